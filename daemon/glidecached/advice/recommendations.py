"""The advice that follows from a cache's figures: settings that would serve it better, and why, in plain words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from glidecached.formatting import share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_LOOKUPS = 2_000
"""Sampled lookups: with fewer, chance decides."""
MOST_ERROR = 0.03
GOOD_ENOUGH = 0.005
"""A bound whose hit rate is so little below the best is as good."""
LEAST_GAIN = 0.01
MOST_STALE = 0.01
FEW_STALE = 0.001
MOST_DOUBT = 0.02
"""With a larger error of the share of stale reads, it is not known that few are stale."""


def shortfall(report: Mapping[str, Any]) -> str | None:
    """Return why the traffic is too little for advice, or None if it is enough."""
    if report["sampled_lookups"] < LEAST_LOOKUPS:
        return f"{report['sampled_lookups']:,} lookups were sampled; advice needs {LEAST_LOOKUPS:,}"
    error, lost = report["expected_error"], report["lost_events"]
    if error <= MOST_ERROR:
        return None
    needed = f"the error to expect is {_points(error)}; advice needs {_points(MOST_ERROR)} or less"
    lost_part = lost / (lost + report["sampled_lookups"])
    # More traffic mends the error of a small sample, but not that of one with holes.
    return (
        f"{needed}: {lost:,} samples were lost, {share(lost_part)} of all"
        if lost_part > error / 2
        else f"{needed}, and so more traffic"
    )


def _points(part: float) -> str:
    return f"{part * 100:.1f} points"


def recommendations(
    report: Mapping[str, Any], by_size: Sequence[Mapping[str, Any]], by_ttl: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what should be changed, as maps of `what` (the setting), `to` and `why`; empty if nothing should."""
    now = report["now"]
    doubt = report["expected_stale_error"] or 0.0
    found = (
        size_advice(now, by_size),
        ttl_advice(now, by_ttl, doubt, report["seconds"] * 1000),
        policy_advice(now, report["by_policy"]),
    )
    return [advice for advice in found if advice is not None]


def size_advice(now: Mapping[str, Any], by_size: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the smallest bound that is as good as the best, unless today's is.

    A larger one is advised if it serves a hundredth of all lookups more; a smaller one if it costs next to nothing.
    """
    bounded = [each for each in by_size if each["max_cache_kb"] is not None]
    best = max(each["hit_rate"] for each in by_size)
    reached = [each for each in bounded if each["hit_rate"] >= best - GOOD_ENOUGH]
    # Where even the largest bound is not as good as none, it is the best there is to say.
    chosen = reached[0] if reached else bounded[-1]
    to, rate = chosen["max_cache_kb"], chosen["hit_rate"]
    if to > now["max_cache_kb"] and rate - now["hit_rate"] >= LEAST_GAIN:
        why = f"the hit rate would be {share(rate)} instead of {share(now['hit_rate'])}"
        if reached:
            why += "; a larger bound would bring less than half a point more"
        else:
            why += f"; a larger bound would bring more, at most {share(best)}"
        return {"what": "max_cache_kb", "to": to, "why": why}
    if to < now["max_cache_kb"] and rate >= now["hit_rate"] - GOOD_ENOUGH:
        rates = share(rate), share(now["hit_rate"])
        stays = f"stay at {rates[0]}" if rates[0] == rates[1] else f"be {rates[0]} instead of {rates[1]}"
        why = f"the hit rate would {stays}: the rest of the memory is not needed"
        return {"what": "max_cache_kb", "to": to, "why": why}
    return None


def ttl_advice(
    now: Mapping[str, Any],
    by_ttl: Sequence[Mapping[str, Any]],
    doubt: float = 0.0,
    seen_ms: float = math.inf,
) -> dict[str, Any] | None:
    """Return a shorter TTL where many reads are stale, or a longer one where few are and it serves more hits.

    A longer one is no longer than `seen_ms`, the time of the traffic so far: what changes later has not been seen.
    `doubt` is the error to expect of a share of stale reads: many are stale only if that many less were still many.
    """
    known = [each for each in by_ttl if each["stale_reads"] is not None]
    today = next((each for each in known if each["entry_ttl_ms"] == now["entry_ttl_ms"]), None)
    if today is None:
        return None
    if today["stale_reads"] > MOST_STALE:
        if today["stale_reads"] - doubt <= MOST_STALE:
            return None
        shorter = [
            each
            for each in known
            if each["entry_ttl_ms"]
            and (each["entry_ttl_ms"] < now["entry_ttl_ms"] or not now["entry_ttl_ms"])
        ]
        fresh = [each for each in shorter if each["stale_reads"] <= MOST_STALE]
        chosen = fresh[-1] if fresh else shorter[0] if shorter else None
        if chosen is None or chosen["stale_reads"] >= today["stale_reads"]:
            return None
        why = (
            f"{share(today['stale_reads'])} of all reads are stale; it would be {share(chosen['stale_reads'])}, "
            f"with a hit rate of {share(chosen['hit_rate'])} instead of {share(now['hit_rate'])}"
        )
        return {"what": "entry_ttl_ms", "to": chosen["entry_ttl_ms"], "why": why}
    if doubt > MOST_DOUBT:
        return None
    longer = [
        each
        for each in known
        if now["entry_ttl_ms"]
        and (each["entry_ttl_ms"] > now["entry_ttl_ms"] or not each["entry_ttl_ms"])
        and each["stale_reads"] <= FEW_STALE
        and (each["entry_ttl_ms"] or math.inf) <= seen_ms
    ]
    if not longer:
        return None
    best = max(each["hit_rate"] for each in longer)
    chosen = next(each for each in longer if each["hit_rate"] >= best - GOOD_ENOUGH)
    if chosen["hit_rate"] - now["hit_rate"] < LEAST_GAIN:
        return None
    why = (
        f"the hit rate would be {share(chosen['hit_rate'])} instead of {share(now['hit_rate'])}, "
        f"and {share(chosen['stale_reads'])} of all reads would be stale"
    )
    return {"what": "entry_ttl_ms", "to": chosen["entry_ttl_ms"], "why": why}


def policy_advice(now: Mapping[str, Any], by_policy: Mapping[str, float]) -> dict[str, Any] | None:
    """Return the other policy if it serves a hundredth of all lookups more."""
    best = max(by_policy, key=lambda policy: by_policy[policy])
    if by_policy[best] - by_policy[now["eviction_policy"]] < LEAST_GAIN:
        return None
    why = f"the hit rate would be {share(by_policy[best])} instead of {share(by_policy[now['eviction_policy']])}"
    return {"what": "eviction_policy", "to": best, "why": why}
