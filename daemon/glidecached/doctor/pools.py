"""The pools' files: their modes, files that no pool owns, and whether the entries are sound."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, Any

from glidecache_shared import protocol
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError
from glidecached.doctor.result import fail, ok, skipped, warn
from glidecached.pools.warm_restart import POOL_SUFFIXES
from glidecached.stats.formatting import printable
from glidecached.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from glidecached.doctor.context import Patient
    from glidecached.doctor.result import Finding

_MOST_NAMES = 5
_HEALING_SECONDS = 2.5
_AS_WHO = "run doctor as root or as the daemon's user"
_NOT_ASKED = "the daemon could not be asked"
_NOT_TOLD = "the daemon tells root, its own user and admin_users what the files are called"


def check_permissions(patient: Patient) -> Iterator[Finding]:
    """Check that only the daemon can write a pool, and that no user outside its group can count on a board."""
    caches, process = patient.contact.stats.get("caches", ()), patient.contact.process
    wrong = []
    if not _names_are_told(patient):
        yield skipped("pool permissions", _NOT_TOLD, _AS_WHO)
        return
    for cache in caches:
        for suffix, forbidden in (
            (".pool", stat.S_IWGRP | stat.S_IWOTH),
            (".board", stat.S_IWOTH),
            (".state", stat.S_IWGRP | stat.S_IWOTH),
        ):
            path = patient.pool_dir / f"{_stem(cache)}{suffix}"
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # a pool that ended or grew into its next generation since it was listed
            if found.st_mode & forbidden:
                wrong.append(f"{path.name}: mode {stat.S_IMODE(found.st_mode):04o}")
            elif process is not None and found.st_uid != process.uid:
                wrong.append(f"{path.name}: owner uid {found.st_uid}")
    if not patient.contact.stats:
        yield skipped("pool permissions", _NOT_ASKED)
    elif wrong:
        advice = "glidecache drop the cache: who can write a pool can change what workers read"
        yield fail("pool permissions", _some(wrong), advice)
    elif caches:
        yield ok("pool permissions", f"only the daemon can write the files of its caches ({len(caches)})")
    else:
        yield skipped("pool permissions", "no cache is in use")


def check_orphans(patient: Patient) -> Iterator[Finding]:
    """Check for files of the pool directory that belong to no pool: they hold unused memory."""
    contact = patient.contact
    if contact.pool_files is None:
        if patient.pool_dir.exists():
            yield skipped(
                "orphaned files",
                f"{patient.pool_dir} cannot be listed",
                _AS_WHO,
            )
        else:
            yield ok("orphaned files", f"{patient.pool_dir} does not exist")
        return
    found = [name for name in contact.pool_files if name.endswith(POOL_SUFFIXES)]
    if not contact.stats:
        waiting = f"{counted(len(found), 'pool file')} left to the next daemon, which keeps or removes them"
        yield skipped("orphaned files", waiting if contact.nobody_is_there else _NOT_ASKED)
        return
    if not _names_are_told(patient):
        yield skipped("orphaned files", _NOT_TOLD, _AS_WHO)
        return
    generations = {cache["file_id"]: cache["generation"] for cache in contact.stats["caches"]}
    # What is gone by now was being replaced.
    orphans = [
        name for name in found if not _is_owned(name, generations) and (patient.pool_dir / name).exists()
    ]
    missing = _missing(patient, contact.stats["caches"])
    if missing:
        # The daemon makes them again at its next heartbeat, under another name.
        time.sleep(_HEALING_SECONDS)
        missing = _missing(patient, _caches_now(patient))
    if missing:
        advice = (
            "see its log for what keeps the daemon from making them again; workers cannot attach meanwhile"
        )
        yield fail("orphaned files", f"{patient.pool_dir} lacks {_some(missing)}", advice)
    elif orphans:
        advice = "restart the daemon, which removes them; or rm them if they are yours"
        yield warn("orphaned files", f"{patient.pool_dir}: {_some(orphans)}", advice)
    else:
        yield ok("orphaned files", f"none among {counted(len(found), 'pool file')}")


def check_entries(patient: Patient) -> Iterator[Finding]:
    """Check every entry's checksum while the daemon continues to write."""
    try:
        from glidecache_shared.pool.check.verify import verify_entries
        from glidecache_shared.pool.reader import PoolFormatError, PoolReader
    except ImportError:
        yield skipped("entries", "the compiled core cannot be loaded")
        return
    caches = patient.contact.stats.get("caches", ())
    if not caches:
        yield skipped("entries", "no cache is in use" if patient.contact.stats else _NOT_ASKED)
    elif not _names_are_told(patient):
        yield skipped("entries", _NOT_TOLD, _AS_WHO)
        return
    for cache in caches:
        label = f"cache {printable(cache['name'] or cache['id'])}"
        stem = str(patient.pool_dir / _stem(cache))
        try:
            found = verify_entries(PoolReader(f"{stem}.pool", f"{stem}.board"))
        except FileNotFoundError:
            yield skipped("entries", f"{label}: it ended meanwhile")
        except OSError as error:
            yield skipped("entries", f"{label}: {error.strerror}", _AS_WHO)
        except PoolFormatError as error:
            yield fail(
                "entries",
                f"{label}: {error}",
                "use the same version of glidecached for command and daemon, in one time namespace",
            )
        else:
            unsettled = (
                f"; changing all the while: {counted(found.unsettled, 'chain')}" if found.unsettled else ""
            )
            if found.damaged:
                seen = f"{label}: {found.damaged} damaged, {found.sound} sound{unsettled}"
                name = printable(cache["name"] or cache["id"])
                yield fail(
                    "entries",
                    seen,
                    # A flush notices what is wrong in the structure, not altered bytes; this makes new files at once.
                    f"glidecache drop {name}; then look for bad memory, or who can write the pool",
                )
            else:
                yield ok("entries", f"{label}: {found.sound} sound{unsettled}")


def _names_are_told(patient: Patient) -> bool:
    """Return whether the daemon has reported the names of its pools' files.

    It reports them to users who may see keys.
    """
    return all("file_id" in cache for cache in patient.contact.stats.get("caches", ()))


def _stem(cache: dict[str, Any]) -> str:
    return f"{cache['file_id']}.{cache['generation']}"


def _is_owned(name: str, generations: dict[str, int]) -> bool:
    """Return whether a pool's file is of the generation in use, or of the next, which may be in preparation."""
    file_id, *number, _suffix = name.split(".")
    if file_id not in generations:
        return False
    return not number or (number[0].isdigit() and int(number[0]) >= generations[file_id])


def _missing(patient: Patient, caches: Iterable[dict[str, Any]]) -> list[str]:
    """Return the missing files that workers open to attach to these caches."""
    names = (
        name
        for cache in caches
        for name in (f"{_stem(cache)}.pool", f"{_stem(cache)}.board", f"{cache['file_id']}.lease")
    )
    return [name for name in names if not (patient.pool_dir / name).exists()]


def _caches_now(patient: Patient) -> list[dict[str, Any]]:
    try:
        with DaemonClient(patient.runtime_dir) as link:
            caches: list[dict[str, Any]] = link.request(protocol.STATS)["caches"]
            return caches
    except (DaemonUnreachableError, RefusedError):
        return []


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(printable, names[:_MOST_NAMES])) + more
