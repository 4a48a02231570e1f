"""The place of pools: the directory, its file system, and room for what is configured."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glidecache_shared import protocol
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError
from glidecached.doctor.context import path_fault
from glidecached.doctor.result import fail, ok, skipped, warn
from glidecached.formatting import byte_size, counted, printable
from glidecached.pools.warm_restart import POOL_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding


_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only its size is looked at
_IN_MEMORY = ("tmpfs", "ramfs")


def check_pool_dir(context: DoctorContext) -> Iterator[Finding]:
    """Check that it is the daemon's own, and that no other user can put files there, or list them."""
    path, process = context.pool_dir, context.contact.process
    try:
        found = path.lstat()
    except FileNotFoundError:
        if process is None:
            yield ok("pool directory", f"{path} does not exist yet; the daemon makes it")
        else:
            advice = "restart the daemon: workers cannot open its pools"
            yield fail("pool directory", f"{path} does not exist, although the daemon runs", advice)
        return
    seen = f"{path}: owner uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"
    if not stat.S_ISDIR(found.st_mode):
        yield fail("pool directory", f"{path} is not a directory", "remove it, or choose another pool_dir")
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fail("pool directory", f"{seen}: others can put files there", f"chmod 0710 {path}")
    elif process is not None and found.st_uid != process.uid:
        advice = f"chown it to uid {process.uid}, the daemon's user"
        yield fail("pool directory", seen, advice)
    elif (fault := path_fault(str(path), friend=found.st_uid)) is not None:
        yield fail("pool directory", f"{seen}: {fault.reason}", fault.advice)
    elif found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        advice = (
            f"chmod 0710 {path}: a user who knows a file's name can open it if the cache has no access list"
        )
        yield warn("pool directory", f"{seen}: others can list its files", advice)
    else:
        yield ok("pool directory", seen)


def check_file_system(context: DoctorContext) -> Iterator[Finding]:
    """Check that pools are in memory: on a disk's file system the kernel writes their pages out."""
    place = _nearest(context.pool_dir)
    kind = file_system_of(place)
    size = os.statvfs(place)
    total = byte_size(size.f_blocks * size.f_frsize)
    seen = f"{place} is on {kind or 'an unknown file system'} of {total}"
    if place != _SHARED_MEMORY and _SHARED_MEMORY.is_dir():
        shared = os.statvfs(_SHARED_MEMORY)
        seen += f"; /dev/shm has {byte_size(shared.f_blocks * shared.f_frsize)}"
    if kind in _IN_MEMORY:
        yield ok("file system", seen)
    else:
        yield warn("file system", seen, "set pool_dir to a directory on a tmpfs, such as one in /dev/shm")


def check_room(context: DoctorContext) -> Iterator[Finding]:
    """Check that the size to which the caches may grow fits, now and at all."""
    place = _nearest(context.pool_dir)
    size = os.statvfs(place)
    total, free = size.f_blocks * size.f_frsize, size.f_bavail * size.f_frsize
    bounds = sum(context.bounds_bytes.values())
    resident = sum(cache["resident_bytes"] for cache in context.contact.stats.get("caches", ()))
    space = f"{byte_size(free)} of {byte_size(total)} free"
    seen = f"{space}; caches may grow to {byte_size(bounds)}, and have {byte_size(resident)}"
    if not total:  # ramfs, or a tmpfs without a size
        yield ok("room", f"{place} has no limit; caches may grow to {byte_size(bounds)}")
    elif bounds > total:
        remount = f"mount -o remount,size=... {_mount_point(place)[0]}"
        advice = f"make it larger ({remount}), or lower max_cache_kb: caches cannot grow to it"
        yield fail("room", seen, advice)
    elif bounds - resident > free:
        yield warn("room", seen, f"see what else fills the file system (du -sh {_mount_point(place)[0]}/*)")
    elif context.configuration.config is not None:
        most = context.configuration.config.daemon.max_total_cache_kb * 1024
        if most > total:
            text = f"{seen}; clients may ask for {byte_size(most)} in total"
            yield warn("room", text, "lower [daemon] max_total_cache_kb to what the file system can hold")
        else:
            yield ok("room", seen)
    else:
        yield skipped(
            "room",
            f"{space}; the size limits are not known without a configuration",
        )


def file_system_of(path: Path) -> str | None:
    """Return the type of the file system that holds `path`, as in /proc/mounts."""
    return _mount_point(path)[1]


def _mount_point(path: Path) -> tuple[str, str | None]:
    """Return where the file system of `path` is mounted, and its type.

    Of two on one place the later covers the earlier.
    """
    real = os.path.realpath(path)
    best: tuple[str, str | None] = ("", None)
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, escaped, kind = line.split(" ")[:3]
        place = escaped.encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")
        below = place.rstrip("/") + "/"
        if (real + "/").startswith(below) and len(place) >= len(best[0]):
            best = (place, kind)
    return best


def _nearest(path: Path) -> Path:
    """Return the directory itself, or the nearest above it that exists."""
    while not path.exists():
        path = path.parent
    return path


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
