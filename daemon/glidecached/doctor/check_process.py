"""The kernel's limits for the daemon's process: open files, memory, and one clock with the workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glidecache_shared.pool.files.boot_identity import BOOT_ID, clock_fault, time_namespace
from glidecached.doctor.result import fail, ok, skipped, warn
from glidecached.formatting import byte_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

_FEW_FILES = 1_024
"""Each client has one connection: a host with some hundreds of workers comes near this limit."""
_NEARLY_ALL = 0.8
_OWN_MEMORY_BYTES = 64 << 20
"""The memory that the daemon needs beside its pools. Their pages count as its own: it touches them first."""
_SAMPLE_BYTES = 4 << 20
"""The most that the daemon needs besides for each cache whose traffic is sampled (docs/advice.md)."""

CGROUPS = Path("/sys/fs/cgroup")
_PRACTICALLY_UNLIMITED = 1 << 60
"""The older hierarchy has no word for unlimited, but a number near 2 to the 63rd."""


def check_limits(context: DoctorContext) -> Iterator[Finding]:
    """Open files for all clients, and files as long as a pool."""
    pid = _pid(context)
    if not pid:
        yield skipped("limits", "the daemon's process cannot be seen from here")
        return
    limits = _limits(pid)
    files, length = limits["Max open files"], limits["Max file size"]
    in_use = _open_files(pid, context)
    seen = f"open files: {_number(files)} allowed, {in_use or 'an unknown number'} in use; file size: {_number(length)}"
    longest = max(context.bounds_bytes.values(), default=0)
    if length is not None and length < longest:
        advice = "remove LimitFSIZE= or ulimit -f where the daemon is started: a pool is one file"
        yield fail("limits", f"{seen}, the largest cache may grow to {byte_size(longest)}", advice)
    elif files is not None and (files < _FEW_FILES or in_use > files * _NEARLY_ALL):
        yield warn(
            "limits",
            seen,
            "raise it where the daemon is started: LimitNOFILE=65536 in its unit, or ulimit -n 65536",
        )
    else:
        yield ok("limits", seen)


def check_memory(context: DoctorContext) -> Iterator[Finding]:
    """Check that the control group's limit leaves room for the pools: a process that exceeds it is killed."""
    pid = _pid(context)
    if not pid:
        yield skipped("memory limit", "the daemon's process cannot be seen from here")
        return
    limit = memory_limit_bytes(Path(f"/proc/{pid}/cgroup").read_text(), CGROUPS)
    bounds = sum(context.bounds_bytes.values())
    own = _OWN_MEMORY_BYTES + _SAMPLE_BYTES * _sampled(context)
    if limit is None:
        yield ok("memory limit", "the daemon's control group has no limit")
        return
    seen = f"the daemon's control group is limited to {byte_size(limit)}; its caches may grow to {byte_size(bounds)}"
    if limit < bounds + own:
        enough = byte_size(bounds + own)
        advice = (
            f"MemoryMax={enough} or more, or a lower max_cache_kb: pools' pages are charged to the daemon"
        )
        yield fail("memory limit", seen, advice)
    else:
        yield ok("memory limit", seen)


def check_clock(context: DoctorContext) -> Iterator[Finding]:
    """Check that workers and daemon have the same monotonic clock, of the same boot.

    Workers judge an entry's age by their own clock.
    """
    pid = _pid(context)
    told = context.contact.stats.get("daemon", {})
    if not pid:
        yield _judge_clock(told)
        return
    try:
        theirs = Path(f"/proc/{pid}/ns/time").stat().st_ino
    except FileNotFoundError:
        theirs = 0  # a kernel without time namespaces
    except PermissionError:
        yield _judge_clock(told)
        return
    own = time_namespace()
    if theirs == own and _sees_another_boot(pid):
        advice = (
            "the service's own /proc hides the container's boot_id: in a container of systemd-nspawn, systemctl edit "
            "glidecached: ProtectProc=default, ProtectKernelTunables=no, ProtectControlGroups=no"
        )
        yield fail(
            "clock", "the daemon sees another boot_id than this process: workers refuse its pools", advice
        )
    elif theirs == own:
        yield ok("clock", "this process and the daemon share boot and time namespace")
    else:
        advice = "run workers and daemon in one time namespace: workers in another cannot use its pools"
        yield fail("clock", f"the daemon's time namespace is {theirs}, this process's {own}", advice)


def _judge_clock(told: dict[str, Any]) -> Finding:
    """Judge by what the daemon reports, as a worker judges by the pool's header: for a process that cannot be seen."""
    if "time_namespace" not in told:
        return skipped(
            "clock", "the daemon's process cannot be seen from here, and it did not report its clock"
        )
    fault = clock_fault(bytes.fromhex(told["boot_id"]), told["time_namespace"])
    if fault is not None:
        return fail("clock", f"the daemon's times are {fault[0]}: workers refuse its pools", fault[1])
    return ok("clock", "this process and the daemon share boot and time namespace")


def _sees_another_boot(pid: int) -> bool:
    """Return whether the process sees another boot, as far as this user may look.

    The content of /proc depends on who mounted it, and for which user.
    """
    try:
        return Path(f"/proc/{pid}/root{BOOT_ID}").read_bytes() != Path(BOOT_ID).read_bytes()
    except OSError:
        return False


def memory_limit_bytes(membership: str, root: Path) -> int | None:
    """Return the smallest memory limit of the control groups named in `membership`, and of those above them.

    `membership` is the text of a `/proc/<pid>/cgroup`; `root` is where the hierarchies are mounted. None where there is
    no limit, or none that can be seen.
    """
    limits = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            hierarchy, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            hierarchy, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = hierarchy / path.lstrip("/")
        places = (place for place in (group, *group.parents) if place.is_relative_to(hierarchy))
        limits += [_read_limit(place / name) for place in places]
    known = [limit for limit in limits if limit is not None and limit < _PRACTICALLY_UNLIMITED]
    return min(known, default=None)


def _read_limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _sampled(context: DoctorContext) -> int:
    """Return the number of caches whose traffic is sampled; a daemon of another version may sample none."""
    caches = context.contact.stats.get("caches", ())
    return sum(cache.get("cached_key_writes") is not None for cache in caches)


def _pid(context: DoctorContext) -> int:
    return 0 if context.contact.process is None else context.contact.process.pid


def _limits(pid: int) -> dict[str, int | None]:
    """Return soft limits by their names; None is unlimited."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    column = lines[0].index("Soft Limit")
    soft = {line[:column].strip(): line[column:].split()[0] for line in lines[1:]}
    return {name: int(value) if value.isdigit() else None for name, value in soft.items()}


def _open_files(pid: int, context: DoctorContext) -> int:
    """Return the number of open files; for another user's process at least the number of sessions."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - a daemon has many, and asks itself
    except PermissionError:
        return int(context.contact.stats.get("daemon", {}).get("sessions", 0))


def _number(limit: int | None) -> str:
    return "unlimited" if limit is None else f"{limit:,}"
