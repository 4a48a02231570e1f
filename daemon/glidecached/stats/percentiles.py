"""Percentiles of the daemon's latency histograms (`STATS`, an upstream's `latency`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
