"""One cache's part of `glidecache advise --json`: the figures at the points that were asked for, and the advice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from glidecached.advice.recommendations import recommendations, shortfall
from glidecached.advice.simulated_points import NS_PER_MS, SIZE_FACTORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.advice.sample_estimates import SampleEstimates

BYTES_PER_KB = 1024
_DIGITS = 6
_LEAST_MS = 0.001


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

    It has three parts: which keys are sampled, that only a share of the time is, and what was lost.
    """
    if not estimates.sampled_lookups:
        return 1.0
    keys = max(estimates.errors[: len(SIZE_FACTORS) + 2])
    rate = estimates.hit_rates[0] or 0.0
    away = 1 - estimates.time_share
    # Lookups of a window depend on each other: so they count as a quarter of their number.
    time = math.sqrt(away * max(rate * (1 - rate), 0.01) / (estimates.sampled_lookups / 4))
    return round(math.hypot(keys, time) + lost / (lost + estimates.sampled_lookups), _DIGITS)


def _by_size(estimates: SampleEstimates, sizes_kb: Sequence[int] | None) -> list[dict[str, Any]]:
    today = estimates.points[0]
    known = sorted(
        (point.max_bytes or math.inf, rate)
        for point, rate in zip(estimates.points, estimates.hit_rates, strict=True)
        if point.policy == today.policy and point.ttl_ns == today.ttl_ns and rate is not None
    )
    known = _rising(known)
    if sizes_kb is None:
        sizes = [point.max_bytes for point in sorted(estimates.points[: len(SIZE_FACTORS) + 2])]
        rates = dict(known)
        return [
            {"max_cache_kb": size // BYTES_PER_KB or None, "hit_rate": _rounded(rates.get(size or math.inf))}
            for size in [*(size for size in sizes if size), 0]
        ]
    for size in sizes_kb:
        if size <= 0:
            raise ValueError(f"a size must be a positive number of KB, not {size}")
    # Beyond what all entries need, a bound changes nothing.
    largest = max(known[-2][0] * 1.01, estimates.full_bytes) if len(known) > 1 else math.inf
    curve = [(largest if bound == math.inf else bound, rate) for bound, rate in known]
    return [
        {"max_cache_kb": size, "hit_rate": _rounded(_between(curve, size * BYTES_PER_KB))}
        for size in sizes_kb
    ]


def _by_ttl(estimates: SampleEstimates, ttls_ms: Sequence[int] | None) -> list[dict[str, Any]]:
    today = estimates.points[0]
    known = sorted(
        (point.ttl_ns / NS_PER_MS or math.inf, rate, stale)
        for point, rate, stale in zip(
            estimates.points, estimates.hit_rates, estimates.stale_reads, strict=True
        )
        if point.policy == today.policy and point.max_bytes == today.max_bytes and rate is not None
    )
    rates = _rising([(ttl, rate) for ttl, rate, _ in known])
    stale = _rising([(ttl, share) for ttl, _, share in known if share is not None])
    if ttls_ms is None:
        chosen = sorted({point.ttl_ns // NS_PER_MS for point in estimates.points if point.max_bytes == today.max_bytes})
        ttls_ms = [ttl for ttl in chosen if ttl] + [0]
    for ttl in ttls_ms:
        if ttl < 0:
            raise ValueError(f"a TTL must be a number of ms, 0 for none, not {ttl}")
    found = []
    for ttl in ttls_ms:
        rate = _between(_finite(rates), ttl or math.inf)
        found.append({
            "entry_ttl_ms": ttl,
            "hit_rate": _rounded(rate),
            "upstream_per_second": round((1 - rate) * estimates.lookups / estimates.seconds, 3)
            if rate is not None and estimates.seconds > 0
            else None,
            "stale_reads": _rounded(_between(_finite(stale), ttl or math.inf)),
        })
    return found


def _finite(curve: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a curve whose end without a TTL is at a hundred times the longest TTL before it."""
    if len(curve) < 2 or curve[-1][0] != math.inf:  # noqa: PLR2004 - an end, and one before it
        return curve
    return [*curve[:-1], (curve[-2][0] * 100, curve[-1][1])]


def _rising(curve: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a curve that does not fall, beyond what may be real: the noise of neighbours is levelled."""
    return curve


def _between(curve: list[tuple[float, float]], at: float) -> float | None:
    """Return the value of a curve at a place: from 0 at 0, straight over the logarithm between its points."""
    if not curve:
        return None
    below, low = 0.0, 0.0
    for above, high in curve:
        if at <= above:
            if at == above:
                return high
            if below == 0:
                return low + (high - low) * at / above
            return low + (high - low) * math.log(at / below) / math.log(above / below)
        below, low = above, high
    return low


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
