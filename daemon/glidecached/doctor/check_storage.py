"""The place of pools: the directory, its file system, and room for what is configured."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from glidecache_shared.refused_access import refusal, refused_directory
from glidecached.doctor.path_fault import path_fault
from glidecached.doctor.result import fail, ok, skipped, warn
from glidecached.doctor.vantage import POOLS_UNSEEN, pools_obstacle, pools_unseen
from glidecached.formatting import byte_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import DoctorContext, Process
    from glidecached.doctor.result import Finding


_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only its size is looked at
_IN_MEMORY = ("tmpfs", "ramfs")


def check_pool_dir(context: DoctorContext) -> Iterator[Finding]:
    """Check that it is the daemon's own, and that no other user can put files there, or list them."""
    obstacle = pools_obstacle(context)
    if obstacle is not None:
        yield fail("pool directory", *obstacle)
    elif pools_unseen(context):
        yield skipped("pool directory", POOLS_UNSEEN)
    else:
        yield _judge_pool_dir(context.pool_dir, context.contact.process)


def _judge_pool_dir(path: Path, process: Process | None) -> Finding:
    try:
        found = path.lstat()
    except PermissionError:
        return fail("pool directory", *refusal(str(path)))
    except FileNotFoundError:
        if process is None:
            return ok("pool directory", f"{path} does not exist yet; the daemon makes it")
        advice = "restart the daemon, or in a container mount its directory: workers cannot open its pools"
        return fail("pool directory", f"{path} does not exist, although the daemon runs", advice)
    seen = f"{path}: owner uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"
    if not stat.S_ISDIR(found.st_mode):
        return fail("pool directory", f"{path} is not a directory", "remove it, or choose another pool_dir")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return fail("pool directory", f"{seen}: others can put files there", f"chmod 0710 {path}")
    if process is not None and found.st_uid != process.uid:
        return fail("pool directory", seen, f"chown it to uid {process.uid}, the daemon's user")
    if (fault := path_fault(str(path), friend=found.st_uid)) is not None:
        return fail("pool directory", f"{seen}: {fault.reason}", fault.advice)
    if process is not None and (refused := refused_directory(str(path))) is not None:
        return fail("pool directory", *refused)
    return _judge_access(path, found, seen)


def _judge_access(path: Path, found: os.stat_result, seen: str) -> Finding:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        advice = "mount it writable (without :ro, without readOnly): workers write their access boards"
        return fail("pool directory", f"{seen}: mounted read-only here", advice)
    if found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        advice = (
            f"chmod 0710 {path}: a user who knows a file's name can open it if the cache has no access list"
        )
        return warn("pool directory", f"{seen}: others can list its files", advice)
    return ok("pool directory", seen)


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
