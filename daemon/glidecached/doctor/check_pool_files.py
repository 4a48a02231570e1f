"""The files of pools: who may write them, whether each belongs to a pool, and whether every entry is whole."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, Any

from glidecache_shared import protocol
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError
from glidecached.doctor.result import fail, ok, skipped, warn
from glidecached.formatting import counted, printable
from glidecached.pools.warm_restart import POOL_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

_MOST_NAMES = 5
_HEALING_SECONDS = 2.5
_MORE_RIGHTS = "run doctor as root or as the daemon's user"
_NOT_ASKED = "the daemon could not be asked"
_NO_NAMES = "the daemon reports file names only to root, its own user and admin_users"


def check_permissions(context: DoctorContext) -> Iterator[Finding]:
    """Check that only the daemon can write a pool, and that no user outside its group can count on a board."""
    caches, process = context.contact.stats.get("caches", ()), context.contact.process
    wrong = []
    if not _has_file_names(context):
        yield skipped("pool permissions", _NO_NAMES, _MORE_RIGHTS)
        return
    for cache in caches:
        for suffix, forbidden in (
            (".pool", stat.S_IWGRP | stat.S_IWOTH),
            (".board", stat.S_IWOTH),
            (".state", stat.S_IWGRP | stat.S_IWOTH),
        ):
            path = context.pool_dir / f"{_stem(cache)}{suffix}"
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # a pool that ended or grew into its next generation since it was listed
            if found.st_mode & forbidden:
                wrong.append(f"{path.name}: mode {stat.S_IMODE(found.st_mode):04o}")
            elif process is not None and found.st_uid != process.uid:
                wrong.append(f"{path.name}: owner uid {found.st_uid}")
    if not context.contact.stats:
        yield skipped("pool permissions", _NOT_ASKED)
    elif wrong:
        advice = "glidecache drop the cache: a user who can write a pool can change what workers read"
        yield fail("pool permissions", _some(wrong), advice)
    elif caches:
        yield ok("pool permissions", f"only the daemon can write the files of its caches ({len(caches)})")
    else:
        yield skipped("pool permissions", "no cache is in use")


def check_orphans(context: DoctorContext) -> Iterator[Finding]:
    """Check for files of the pool directory that belong to no pool: they hold unused memory."""
    contact = context.contact
    if contact.pool_files is None:
        if context.pool_dir.exists():
            yield skipped(
                "orphaned files",
                f"{context.pool_dir} cannot be listed",
                _MORE_RIGHTS,
            )
        else:
            yield ok("orphaned files", f"{context.pool_dir} does not exist")
        return
    found = [name for name in contact.pool_files if name.endswith(POOL_SUFFIXES)]
    if not contact.stats:
        waiting = f"{counted(len(found), 'pool file')} left to the next daemon, which keeps or removes them"
        yield skipped("orphaned files", waiting if contact.is_absent else _NOT_ASKED)
        return
    if not _has_file_names(context):
        yield skipped("orphaned files", _NO_NAMES, _MORE_RIGHTS)
        return
    generations = {cache["file_id"]: cache["generation"] for cache in contact.stats["caches"]}
    # What is gone by now was being replaced.
    orphans = [
        name for name in found if not _is_owned(name, generations) and (context.pool_dir / name).exists()
    ]
    missing = _missing(context, contact.stats["caches"])
    if missing:
        # The daemon makes them again at its next heartbeat, under another name.
        time.sleep(_HEALING_SECONDS)
        missing = _missing(context, _caches_now(context))
    if missing:
        advice = (
            "see its log for what keeps the daemon from making them again; workers cannot attach meanwhile"
        )
        yield fail("orphaned files", f"{context.pool_dir} lacks {_some(missing)}", advice)
    elif orphans:
        advice = "restart the daemon, which removes them; or rm them if they are yours"
        yield warn("orphaned files", f"{context.pool_dir}: {_some(orphans)}", advice)
    else:
        yield ok("orphaned files", f"none among {counted(len(found), 'pool file')}")


def check_entries(context: DoctorContext) -> Iterator[Finding]:
    """Check every entry's checksum while the daemon continues to write."""
    try:
        from glidecache_shared.pool.check import verify_entries
        from glidecache_shared.pool.reader import PoolFormatError, PoolReader
    except ImportError:
        yield skipped("entries", "the compiled core cannot be loaded")
        return
    caches = context.contact.stats.get("caches", ())
    if not caches:
        yield skipped("entries", "no cache is in use" if context.contact.stats else _NOT_ASKED)
    elif not _has_file_names(context):
        yield skipped("entries", _NO_NAMES, _MORE_RIGHTS)
        return
    for cache in caches:
        label = f"cache {printable(cache['name'] or cache['id'])}"
        stem = str(context.pool_dir / _stem(cache))
        try:
            found = verify_entries(PoolReader(f"{stem}.pool", f"{stem}.board"))
        except FileNotFoundError:
            yield skipped("entries", f"{label}: it has ended meanwhile")
        except OSError as error:
            yield skipped("entries", f"{label}: {error.strerror}", _MORE_RIGHTS)
        except PoolFormatError as error:
            yield fail(
                "entries",
                f"{label}: {error}",
                "use the same version of glidecached for command and daemon, in one time namespace",
            )
        else:
            unsettled = (
                f"; {counted(found.unsettled, 'chain')} changed too often to be checked"
                if found.unsettled
                else ""
            )
            if found.damaged:
                seen = f"{label}: {found.damaged} damaged, {found.sound} sound{unsettled}"
                name = printable(cache["name"] or cache["id"])
                yield fail(
                    "entries",
                    seen,
                    # A flush notices what is wrong in the structure, not altered bytes; this makes new files at once.
                    f"glidecache drop {name}; then look for bad memory, and for users who can write the pool",
                )
            else:
                yield ok("entries", f"{label}: {found.sound} sound{unsettled}")


def _has_file_names(context: DoctorContext) -> bool:
    """Return whether the daemon has reported the names of its pools' files.

    It reports them to users who may see keys.
    """
    return all("file_id" in cache for cache in context.contact.stats.get("caches", ()))


def _stem(cache: dict[str, Any]) -> str:
    return f"{cache['file_id']}.{cache['generation']}"


def _is_owned(name: str, generations: dict[str, int]) -> bool:
    """Return whether a pool's file is of the generation in use, or of the next, which may be in preparation."""
    file_id, *number, _suffix = name.split(".")
    if file_id not in generations:
        return False
    return not number or (number[0].isdigit() and int(number[0]) >= generations[file_id])


def _missing(context: DoctorContext, caches: Iterable[dict[str, Any]]) -> list[str]:
    """Return the missing files that workers open to attach to these caches."""
    names = (
        name
        for cache in caches
        for name in (f"{_stem(cache)}.pool", f"{_stem(cache)}.board", f"{cache['file_id']}.lease")
    )
    return [name for name in names if not (context.pool_dir / name).exists()]


def _caches_now(context: DoctorContext) -> list[dict[str, Any]]:
    try:
        with DaemonClient(context.runtime_dir) as link:
            caches: list[dict[str, Any]] = link.request(protocol.STATS)["caches"]
            return caches
    except (DaemonUnreachableError, RefusedError):
        return []


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(printable, names[:_MOST_NAMES])) + more
