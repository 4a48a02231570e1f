"""Percentiles of the daemon's latency histograms (`STATS`, an upstream's `latency`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def percentile_us(bounds_us: Sequence[int], counts: Sequence[int], fraction: float) -> float | None:
    """The latency in µs that `fraction` of the requests did not exceed; None without requests.

    `counts` has one number per bound and one for what was beyond them all. Within a bucket latencies are taken to be
    spread evenly; of what was beyond the last bound no more is known than that, so the answer is the bound.
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
    """The counts of `after` that came since `before`; all of them where that is another histogram's."""
    counts: list[int] = list(after["counts"])
    if before["bounds_us"] != after["bounds_us"]:
        return counts
    differences = [new - old for new, old in zip(counts, before["counts"], strict=True)]
    return counts if min(differences) < 0 else differences
