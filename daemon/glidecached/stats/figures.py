"""STATS' map for its readers: labels, states, and percentiles of its histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def cache_label(cache: Mapping[str, Any]) -> tuple[str, str]:
    """Return a cache's name and `"yes"`, or the id of a cache object without a name and `"no"`."""
    return (cache["id"] or "", "no") if cache["name"] is None else (cache["name"], "yes")


def upstream_label(upstream: Mapping[str, Any]) -> str:
    """Return the name in the configuration; for a client's own servers, their addresses and the database."""
    name: str | None = upstream["name"]
    return ",".join(upstream["addresses"]) + f"/{upstream['database']}" if name is None else name


def upstream_state(upstream: Mapping[str, Any]) -> str:
    """Return whether there is a connection, and if not, why."""
    if upstream["connected_to"]:
        return f"connected to {upstream['connected_to']}"
    return f"not connected: {upstream['last_error']}" if upstream["last_error"] else "not used yet"


def upstreams_by_label(upstreams: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group upstreams by label: clients with several users at the same servers have several upstreams of one label."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for upstream in upstreams:
        grouped.setdefault(upstream_label(upstream), []).append(upstream)
    return grouped


def percentile_us(bounds_us: Sequence[int], counts: Sequence[int], fraction: float) -> float | None:
    """Return the latency in µs that `fraction` of the requests did not exceed; None without requests.

    `counts` has one number per bound and one for values beyond the last bound. Latencies count as spread evenly within
    a bucket. Values beyond the last bound have no upper bound, so the result is the last bound.
    """
    wanted = sum(counts) * fraction
    if not wanted:
        return None
    below = 0
    lower = 0
    for bound, number in zip(bounds_us, counts, strict=False):
        if number and below + number >= wanted:
            return lower + (bound - lower) * (wanted - below) / number
        below += number
        lower = bound
    return float(lower)


def since(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[int]:
    """Return the counts of `after` since `before`; all of them if `before` belongs to another histogram."""
    counts: list[int] = list(after["counts"])
    if before["bounds_us"] != after["bounds_us"]:
        return counts
    differences = [new - old for new, old in zip(counts, before["counts"], strict=True)]
    return counts if min(differences) < 0 else differences
