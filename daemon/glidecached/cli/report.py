"""STATS' numbers as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAEMON = """\
glidecached {version}, pid {pid}, up {uptime_seconds:.0f} s
  {sessions} sessions, {accepted_requests} requests accepted, {open_requests} open; refused: {refused_text}"""

_UPSTREAM = """\
  {name_text}: {identity}
    {state}; {sessions} sessions, {requests} requests, {failed} failed, {in_flight} in flight, {queued} queued"""

_CACHE = """\
  {label}: {settings[eviction_policy]}, TTL {settings[entry_ttl_ms]} ms, {held_text}
    {metrics[entry_count]} entries, {charged_kb:.0f} of {settings[max_cache_kb]} KB, {resident_kb:.0f} KB of memory
    {metrics[hits]} hits, {metrics[misses]} misses ({metrics[hit_rate]:.1%})
    {metrics[evictions]} evictions, {metrics[expirations]} expirations"""


def report(numbers: dict[str, Any]) -> Iterator[str]:
    """The lines of `glidecache stats`."""
    daemon = numbers["daemon"]
    refused = ", ".join(f"{count} {cause}" for cause, count in sorted(daemon["refused"].items()))
    yield _DAEMON.format(refused_text=refused or "none", **daemon)
    yield "\nupstreams"
    for upstream in numbers["upstreams"]:
        name_text = upstream["name"] or "(a client's own)"
        yield _UPSTREAM.format(name_text=name_text, state=_state(upstream), **upstream)
    yield "\ncaches" if numbers["caches"] else "\nno caches"
    for cache in numbers["caches"]:
        yield _CACHE.format(
            label=cache["name"] or cache["id"],
            held_text="held" if cache["held"] else "not held",
            charged_kb=cache["charged_bytes"] / 1024,
            resident_kb=cache["resident_bytes"] / 1024,
            **cache,
        )


def _state(upstream: dict[str, Any]) -> str:
    if upstream["connected_to"]:
        return f"connected to {upstream['connected_to']}"
    return f"not connected: {upstream['last_error']}" if upstream["last_error"] else "not used yet"
