"""The figures of one cache's report read further: what it could be, what it gains from more memory, what is wrong.

A report is the map that `glidecache advise --json` shows for one cache (docs/advice.md).
"""

from __future__ import annotations

import itertools
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from glidecached.formatting import counted, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SHARE_OF_TOTAL = 0.1
_MANY_STALE_HITS = 0.005
"""The share of hits that may be known to be stale: as much as a smaller bound may cost."""

SIZE, TTL, POLICY, WRITES = "max_cache_kb", "entry_ttl_ms", "eviction_policy", "cached_key_writes"
"""The values of `what` in an advice: keys of the configuration, and the writes to keys that are cached."""
CHANGES = (SIZE, TTL, POLICY, WRITES)


class Verdict(StrEnum):
    """The words for what is wrong with a cache."""

    STARVED = "starved"
    WASTEFUL = "wasteful"
    WRITTEN_TO = "written to"


def advice_on_writes(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the advice about keys that are written while they are cached: of one element, or empty."""
    stale = report["known_stale_hits"] or 0.0
    if not report["enough"] or stale < _MANY_STALE_HITS:
        return []
    why = (
        f"{share(stale)} of the hits were known to be stale, after {counted(report[WRITES], 'write')} of this host to "
        "keys that were cached: forget these keys after each write, or read them without the cache"
    )
    return [{"what": WRITES, "to": 0, "why": why}]


def verdicts(report: Mapping[str, Any]) -> list[tuple[Verdict, dict[str, Any]]]:
    """Return what is wrong with a cache's size and its use, each with the advice that says so."""
    found = []
    for advice in report["advice"]:
        if advice["what"] == SIZE:
            grows = advice["to"] is None or advice["to"] > report["now"][SIZE]
            found.append((Verdict.STARVED if grows else Verdict.WASTEFUL, advice))
        elif advice["what"] == WRITES:
            found.append((Verdict.WRITTEN_TO, advice))
    return found


def could_be(report: Mapping[str, Any]) -> float | None:
    """Return the hit rate to expect with the advised settings; None where there was too little traffic.

    Nothing simulates several changes together. So of changes that raise it the one that raises it most counts, and
    each that lowers it.
    """
    now: float | None = report["now"]["hit_rate"]
    if not report["enough"] or now is None:
        return None
    rates = [_rate_with(report, advice) for advice in report["advice"]]
    changes = [rate - now for rate in rates if rate is not None]
    gain = max([0.0, *changes])
    loss = sum(change for change in changes if change < 0)
    return min(1.0, max(0.0, now + gain + loss))


def rate_at_size(report: Mapping[str, Any], max_cache_kb: float) -> float:
    """Return the hit rate at a bound, between those of the report's sizes; beyond the largest, that one's."""
    sizes = [(each[SIZE], each["hit_rate"]) for each in report["by_size"] if each[SIZE] is not None]
    now = report["now"]
    points = [(0, 0.0), *sorted({**dict(sizes), now[SIZE]: now["hit_rate"]}.items())]
    for (below_kb, below), (above_kb, above) in itertools.pairwise(points):
        if below_kb <= max_cache_kb <= above_kb:
            return float(below + (above - below) * (max_cache_kb - below_kb) / (above_kb - below_kb))
    return float(points[-1][1])


def advised_bytes(report: Mapping[str, Any]) -> float | None:
    """Return the advised bound, the present one where no other is advised; None where the advice is to have none."""
    for advice in report["advice"]:
        if advice["what"] == SIZE:
            return None if advice["to"] is None else float(advice["to"] * 1024)
    return float(report["now"][SIZE] * 1024)


def stale_reads(report: Mapping[str, Any]) -> float | None:
    """Return the expected share of stale reads at the present TTL; None where that is not known."""
    for each in report["by_ttl"]:
        if (each[TTL] or 0) == report["now"][TTL]:
            return None if each["stale_reads"] is None else float(each["stale_reads"])
    return None


def across(reports: Mapping[str, Mapping[str, Any]], max_total_cache_kb: int) -> list[dict[str, Any]]:
    """Return what each cache would gain, and lose, by 10 % of the memory of all, the one that gains most first.

    `reports` are by the caches' names. Both figures are differences of the cache's own hit rate. Those with too little
    traffic are left out.
    """
    step_kb = max_total_cache_kb * _SHARE_OF_TOTAL
    found = [
        {
            "cache": name,
            "gain_of_10_percent": round(_gain(report, step_kb), 6),
            "loss_of_10_percent": round(-_gain(report, -step_kb), 6),
        }
        for name, report in reports.items()
        if report["enough"] and report["now"]["hit_rate"] is not None
    ]
    return sorted(found, key=lambda each: (-each["gain_of_10_percent"], each["cache"]))


def _gain(report: Mapping[str, Any], more_kb: float) -> float:
    now = report["now"]
    change: float = rate_at_size(report, max(0, now[SIZE] + more_kb)) - now["hit_rate"]
    # More memory never serves fewer hits, but for the noise of a small sample.
    return max(0.0, change) if more_kb > 0 else min(0.0, change)


def _rate_with(report: Mapping[str, Any], advice: Mapping[str, Any]) -> float | None:
    """Return the report's hit rate with this change alone; None where it has none."""
    what, to = advice["what"], advice["to"]
    if what == POLICY:
        return _known(report["by_policy"].get(to))
    if what == TTL:
        return _rate_in(report["by_ttl"], TTL, to)
    if what == SIZE:
        exact = _rate_in(report["by_size"], SIZE, to)
        return exact if exact is not None or to is None else rate_at_size(report, to)
    return None


def _rate_in(points: Iterable[Mapping[str, Any]], key: str, value: Any) -> float | None:
    return next((_known(each["hit_rate"]) for each in points if each[key] == value), None)


def _known(rate: float | None) -> float | None:
    return None if rate is None else float(rate)
