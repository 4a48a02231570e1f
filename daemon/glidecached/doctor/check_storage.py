"""The place of pools: the directory, its file system, and room for what is configured."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.doctor.paths import path_fault
from glidecached.doctor.result import fail, ok, skipped, warn
from glidecached.stats.formatting import byte_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import Patient
    from glidecached.doctor.result import Finding

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only its size is looked at
_IN_MEMORY = ("tmpfs", "ramfs")


def check_pool_dir(patient: Patient) -> Iterator[Finding]:
    """Check that it is the daemon's own, and that no other user can put files there, or list them."""
    path, process = patient.pool_dir, patient.contact.process
    try:
        found = path.lstat()
    except FileNotFoundError:
        if process is None:
            yield ok("pool directory", f"{path} does not exist yet; the daemon makes it")
        else:
            advice = "restart the daemon: workers cannot open its pools"
            yield fail("pool directory", f"{path} does not exist, and the daemon runs", advice)
        return
    seen = f"{path}: owner uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"
    if not stat.S_ISDIR(found.st_mode):
        yield fail("pool directory", f"{path} is not a directory", "remove it, or choose another pool_dir")
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fail("pool directory", f"{seen}: others can put files there", f"chmod 0710 {path}")
    elif process is not None and found.st_uid != process.uid:
        advice = f"chown it to uid {process.uid}, as which the daemon runs"
        yield fail("pool directory", seen, advice)
    elif (fault := path_fault(str(path), friend=found.st_uid)) is not None:
        yield fail("pool directory", f"{seen}: {fault.reason}", fault.advice)
    elif found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        advice = f"chmod 0710 {path}: who knows a file's name can open it if the cache has no list"
        yield warn("pool directory", f"{seen}: others can list its files", advice)
    else:
        yield ok("pool directory", seen)


def check_file_system(patient: Patient) -> Iterator[Finding]:
    """Check that pools are in memory: on a disk's file system the kernel writes their pages out."""
    place = _nearest(patient.pool_dir)
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


def check_room(patient: Patient) -> Iterator[Finding]:
    """Check that the size to which the caches may grow fits, now and at all."""
    place = _nearest(patient.pool_dir)
    size = os.statvfs(place)
    total, free = size.f_blocks * size.f_frsize, size.f_bavail * size.f_frsize
    bounds = sum(patient.bounds_bytes.values())
    resident = sum(cache["resident_bytes"] for cache in patient.contact.stats.get("caches", ()))
    space = f"{byte_size(free)} of {byte_size(total)} free"
    seen = f"{space}; caches may grow to {byte_size(bounds)}, and have {byte_size(resident)}"
    if not total:  # ramfs, or a tmpfs without a size
        yield ok("room", f"{place} has no limit; caches may grow to {byte_size(bounds)}")
    elif bounds > total:
        remount = f"mount -o remount,size=... {_mount_point(place)[0]}"
        advice = f"make it larger ({remount}), or lower max_cache_kb: caches would stop short of it"
        yield fail("room", seen, advice)
    elif bounds - resident > free:
        yield warn("room", seen, f"see what else fills the file system (du -sh {_mount_point(place)[0]}/*)")
    elif patient.configuration.config is not None:
        most = patient.configuration.config.daemon.max_total_cache_kb * 1024
        if most > total:
            text = f"{seen}; clients may ask for {byte_size(most)} in all"
            yield warn("room", text, "lower [daemon] max_total_cache_kb to what the file system can hold")
        else:
            yield ok("room", seen)
    else:
        yield skipped(
            "room",
            f"{space}; the bounds are not known without a configuration",
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
