"""One cache's part of `glidecache advise --json`: the figures at the points that were asked for, and the advice."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from glidecached.advice.hit_curve import HitCurve, PopularKeys
from glidecached.advice.recommendations import recommendations, shortfall
from glidecached.advice.simulated_points import (
    BYTES_PER_KB,
    NS_PER_MS,
    SHOWN_SIZE_FACTORS,
    UNBOUNDED_POINT,
    scaled_bound,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.advice.sample_estimates import SampleEstimates

_DIGITS = 6


def advice_report(
    estimates: SampleEstimates, sizes_kb: Sequence[int] | None, ttls_ms: Sequence[int] | None, lost: int
) -> dict[str, Any]:
    """Return the report. Raises `ValueError` for a size that is not positive, or a negative TTL."""
    today = estimates.points[0]
    by_size = _by_size(estimates, sizes_kb)
    by_ttl = _by_ttl(estimates, ttls_ms)
    other = estimates.points[-1]
    report: dict[str, Any] = {
        "seconds": round(estimates.seconds, 3),
        "lookups": int(estimates.lookups),
        "sampled_lookups": int(estimates.sampled_lookups),
        "sampled_keys": estimates.sampled_keys,
        "sample_rate": estimates.sample_rate,
        "sampled_time": round(estimates.time_share, _DIGITS),
        "lost_events": lost,
        "expected_error": expected_error(estimates, lost),
        "expected_stale_error": expected_stale_error(estimates),
        "enough": True,
        "shortfall": None,
        "now": {
            "max_cache_kb": today.max_bytes // BYTES_PER_KB,
            "entry_ttl_ms": today.ttl_ns // NS_PER_MS,
            "eviction_policy": today.policy,
            "hit_rate": _rounded(estimates.hit_rates[0]),
        },
        "by_size": by_size,
        "by_ttl": by_ttl,
        "by_policy": {
            today.policy: _rounded(estimates.hit_rates[0]),
            other.policy: _rounded(estimates.hit_rates[-1]),
        },
        "changed_refreshes": _rounded(estimates.changed_refreshes),
        "known_stale_hits": _rounded(estimates.known_stale_hits),
        "advice": [],
    }
    report["shortfall"] = shortfall(report)
    report["enough"] = report["shortfall"] is None
    if report["enough"]:
        # Advice is about the usual points, whichever are shown.
        report["advice"] = recommendations(report, _by_size(estimates, None), _by_ttl(estimates, None))
    return report


def expected_error(estimates: SampleEstimates, lost: int) -> float:
    """Return the error to expect of a hit rate: the largest standard error of the sizes.

    It has six parts: which keys are sampled, how many bytes these have, that only a share of the time is sampled, how
    far the simulation of today's settings is from the real pool, what was lost, and what hit an entry that is older
    than the sample, which other settings may not have kept.
    """
    if not estimates.sampled_lookups:
        return 1.0
    keys = max(estimates.errors[: UNBOUNDED_POINT + 1])
    rate = estimates.hit_rates[0] or 0.0
    away = 1 - estimates.time_share
    # Lookups of a window depend on each other: so they count as a quarter of their number.
    time = math.sqrt(away * max(rate * (1 - rate), 0.01) / (estimates.sampled_lookups / 4))
    # Traffic that is another between windows than in them is known by half only.
    time = math.hypot(time, estimates.window_change)
    # Twice: an entry leaves as a whole, and where few have most bytes, the others leave at the wrong times too.
    size = 2 * estimates.bytes_error * _steepest(estimates)
    unknown = (lost + estimates.assumed_hits) / (lost + estimates.sampled_lookups)
    return round(min(math.hypot(keys, size, time, estimates.own_error) + unknown, 1.0), _DIGITS)


def _steepest(estimates: SampleEstimates) -> float:
    """Return how much a hit rate rises with the bound, at most: as if for a bound that is e times as large."""
    rates = _known_rates(estimates)
    bounded = sorted((size, rate) for size, rate in rates.items() if size < math.inf and rate is not None)
    return max(
        (
            (above - below) / math.log(larger / smaller)
            for (smaller, below), (larger, above) in itertools.pairwise(bounded)
        ),
        default=0.0,
    )


def expected_stale_error(estimates: SampleEstimates) -> float | None:
    """Return the error to expect of a share of stale reads: two standard errors, the largest of the TTLs."""
    known = [error for error in estimates.stale_errors if error is not None]
    return _rounded(2 * max(known)) if known else None


def _by_size(estimates: SampleEstimates, sizes_kb: Sequence[int] | None) -> list[dict[str, Any]]:
    today = estimates.points[0]
    rates = _known_rates(estimates)
    if sizes_kb is None:
        shown = sorted({scaled_bound(today.max_bytes, factor) for factor in SHOWN_SIZE_FACTORS})
        return [
            *({"max_cache_kb": size // BYTES_PER_KB, "hit_rate": _rounded(rates[size])} for size in shown),
            {"max_cache_kb": None, "hit_rate": _rounded(rates[math.inf])},
        ]
    for size in sizes_kb:
        if size <= 0:
            message = f"a size must be a positive number of KB, not {size}"
            raise ValueError(message)
    # From there on a bound changes nothing.
    unbounded = rates.pop(math.inf)
    rates = {size: rate for size, rate in rates.items() if size < estimates.full_bytes}
    rates[max([estimates.full_bytes, *rates])] = unbounded
    curve = below = HitCurve(rates, estimates.reused_within_bytes)
    smallest = min(rates)
    if today.policy == "LFU" and min(sizes_kb, default=smallest) * BYTES_PER_KB < smallest:
        below = HitCurve(rates, PopularKeys(estimates.popularity(), estimates.sample_rate).hits)
    return [
        {
            "max_cache_kb": size,
            "hit_rate": _rounded(
                (curve if size * BYTES_PER_KB >= smallest else below).at(size * BYTES_PER_KB)
            ),
        }
        for size in sizes_kb
    ]


def _known_rates(estimates: SampleEstimates) -> dict[float, float | None]:
    """Return the hit rates at the simulated bounds in bytes, at today's TTL and policy."""
    today = estimates.points[0]
    return {
        point.max_bytes or math.inf: rate
        for point, rate in zip(estimates.points, estimates.hit_rates, strict=True)
        if point.policy == today.policy and point.ttl_ns == today.ttl_ns
    }


def _by_ttl(estimates: SampleEstimates, ttls_ms: Sequence[int] | None) -> list[dict[str, Any]]:
    today = estimates.points[0]
    known = {
        point.ttl_ns or math.inf: (rate, stale)
        for point, rate, stale in zip(
            estimates.points, estimates.hit_rates, estimates.stale_reads, strict=True
        )
        if point.policy == today.policy and point.max_bytes == today.max_bytes
    }
    rates = HitCurve({ttl: rate for ttl, (rate, _) in known.items()}, estimates.reused_within_ns)
    stale = HitCurve({ttl: share for ttl, (_, share) in known.items()}, math.log1p)
    if ttls_ms is None:
        ttls_ms = [int(ttl) // NS_PER_MS for ttl in sorted(known) if NS_PER_MS <= ttl < math.inf] + [0]
    for ttl in ttls_ms:
        if ttl < 0:
            message = f"a TTL must be a number of ms, 0 for none, not {ttl}"
            raise ValueError(message)
    found = []
    for ttl in ttls_ms:
        rate = rates.at(ttl * NS_PER_MS or math.inf)
        upstream = (
            None
            if rate is None or not estimates.seconds
            else (1 - rate) * estimates.lookups / estimates.seconds
        )
        found.append(
            {
                "entry_ttl_ms": ttl,
                "hit_rate": _rounded(rate),
                "upstream_per_second": None if upstream is None else round(upstream, 3),
                "stale_reads": _rounded(stale.at(ttl * NS_PER_MS or math.inf)),
            }
        )
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
