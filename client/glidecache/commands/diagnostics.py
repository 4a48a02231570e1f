"""Plans of the commands that ask a server about its memory and its delays."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import to_status, to_text
from glidecache.commands.encoding import encode_command, encode_each
from glidecache.core.lazy import LazyModule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from glidecache.commands import results
    from glidecache.commands.encoding import Argument
    from glidecache.commands.results import LatencyEntry, LatencyEventInfo, MemoryStats
else:
    results = LazyModule("glidecache.commands.results")


def memory_stats() -> Plan[MemoryStats]:
    """Return the server's use of its memory (`MEMORY STATS`)."""
    return Plan([b"MEMORY", b"STATS"], results.to_memory_stats)


def memory_doctor() -> Plan[str]:
    """Return the server's own diagnosis of its memory (`MEMORY DOCTOR`)."""
    return Plan([b"MEMORY", b"DOCTOR"], to_text)


def memory_malloc_stats() -> Plan[str]:
    """Return the allocator's statistics (`MEMORY MALLOC-STATS`)."""
    return Plan([b"MEMORY", b"MALLOC-STATS"], to_text)


def memory_purge() -> Plan[Literal["OK"]]:
    """Have the allocator give memory back (`MEMORY PURGE`)."""
    return Plan([b"MEMORY", b"PURGE"], to_status)


def latency_history(event: Argument) -> Plan[list[LatencyEntry]]:
    """Return the times at which an event was slow, and its delays (`LATENCY HISTORY`)."""
    return Plan(encode_command(b"LATENCY", b"HISTORY", event), results.to_latency_history)


def latency_latest() -> Plan[list[LatencyEventInfo]]:
    """Return the last time and the worst delay of each event that was slow (`LATENCY LATEST`)."""
    return Plan([b"LATENCY", b"LATEST"], results.to_latest_latencies)


def latency_reset(*events: Argument) -> Plan[int]:
    """Forget the slow times of these events, or of all (`LATENCY RESET`). Return how many events were forgotten."""
    return Plan([b"LATENCY", b"RESET", *encode_each(events, "events")])
