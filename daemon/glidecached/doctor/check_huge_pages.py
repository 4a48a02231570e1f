"""Huge pages behind large pools: with small ones, a hit in a large pool waits longer for memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.doctor.result import ok, skipped, warn
from glidecached.formatting import byte_size, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

_CHECK = "huge pages"
_LARGE_BYTES = 64 << 20
"""Smaller pools gain little: most of what a processor looks up of them stays in its caches."""
_ENOUGH = 0.5
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ +(.*)")
_COUNTED = "ShmemPmdMapped:"


def check_huge_pages(context: DoctorContext) -> Iterator[Finding]:
    """Check that the kernel has huge pages for the caches that hold more than 64 MB."""
    large = {
        printable(cache["name"] or cache["id"]): cache
        for cache in context.contact.stats.get("caches", ())
        if cache["resident_bytes"] > _LARGE_BYTES
    }
    process = context.contact.process
    if not large:
        yield ok(_CHECK, f"no cache holds more than {byte_size(_LARGE_BYTES)}")
        return
    if process is None or not process.pid or not all("file_id" in cache for cache in large.values()):
        yield skipped(_CHECK, "the daemon's memory cannot be seen from here", "run doctor as root")
        return
    try:
        mapped = huge_bytes(Path(f"/proc/{process.pid}/smaps").read_text())
    except PermissionError:
        yield skipped(_CHECK, "this user may not see the daemon's memory", "run doctor as root")
        return
    for label, cache in large.items():
        names = (f"{cache['file_id']}.{cache['generation']}.{suffix}" for suffix in ("pool", "board"))
        found = sum(mapped.get(str(context.pool_dir / name), 0) for name in names)
        yield judge_share(label, found, cache["resident_bytes"])


def huge_bytes(smaps: str) -> Mapping[str, int]:
    """Return how much of each file the process has mapped by huge pages, from the text of its `/proc/<pid>/smaps`."""
    found: dict[str, int] = {}
    path = ""
    for line in smaps.splitlines():
        mapping = _MAPPING.fullmatch(line)
        if mapping is not None:
            path = mapping[1]
        elif line.startswith(_COUNTED):
            found[path] = found.get(path, 0) + int(line.split()[1]) * 1024
    return found


def judge_share(label: str, huge: int, resident: int) -> Finding:
    """Return the finding about one large cache."""
    seen = f"cache {label}: {byte_size(huge)} of {byte_size(resident)} in huge pages"
    if huge >= resident * _ENOUGH:
        return ok(_CHECK, seen)
    advice = (
        "before Linux 6.1: use a pool_dir on a tmpfs with huge=within_size (docs/operations.md, Huge pages); later: "
        "see that /sys/kernel/mm/transparent_hugepage/shmem_enabled is not deny, and that the host has free memory"
    )
    return warn(_CHECK, seen, advice)
