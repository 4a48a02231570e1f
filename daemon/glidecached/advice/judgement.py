"""The figures of one cache's report read further: what it could be, what it gains from more memory, what is wrong.

A report is the map that `glidecache advise --json` shows for one cache (docs/advice.md).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from glidecached.formatting import counted, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SHARE_OF_TOTAL = 0.1
_DIGITS = 6
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
    return round(min(1.0, max(0.0, now + gain + loss)), _DIGITS)


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


class MemoryStep(NamedTuple):
    """The gain of a cache's hit rate by 10 % of the memory of all caches, and the loss by as much less."""

    gain: float
    loss: float


def sizes_of_steps(max_cache_kb: int, max_total_cache_kb: int) -> list[int]:
    """Return the bounds of a cache with another 10 % of all memory, and with as much less, if anything is left."""
    step_kb = round(max_total_cache_kb * _SHARE_OF_TOTAL)
    sizes = (max_cache_kb + step_kb, max_cache_kb - step_kb)
    return [size for size in sizes if size > 0]


def step_between(report: Mapping[str, Any], rates: Sequence[float | None]) -> MemoryStep | None:
    """Return the step for the hit rates at the bounds of `sizes_of_steps`; None with too little traffic."""
    now: float | None = report["now"]["hit_rate"]
    if not report["enough"] or now is None:
        return None
    # Without any memory there is no hit.
    more, less = (*rates, 0.0)[:2]
    # More memory never serves fewer hits, but for the noise of a sample.
    return MemoryStep(max(0.0, (now if more is None else more) - now), max(0.0, now - (less or 0.0)))


def across(steps: Mapping[str, MemoryStep | None]) -> list[dict[str, Any]]:
    """Return what each cache would gain and lose by 10 % of the memory of all, the one that gains most first.

    `steps` are by the caches' names. Those with too little traffic are left out.
    """
    found = [
        {
            "cache": name,
            "gain_of_10_percent": round(step.gain, _DIGITS),
            "loss_of_10_percent": round(step.loss, _DIGITS),
        }
        for name, step in steps.items()
        if step is not None
    ]
    return sorted(found, key=lambda each: (-each["gain_of_10_percent"], each["cache"]))


def _rate_with(report: Mapping[str, Any], advice: Mapping[str, Any]) -> float | None:
    """Return the report's hit rate with this change alone; None where it has none."""
    what, to = advice["what"], advice["to"]
    if what == POLICY:
        return _known(report["by_policy"].get(to))
    if what == TTL:
        return _rate_in(report["by_ttl"], TTL, to)
    if what == SIZE:
        return _rate_in(report["by_size"], SIZE, to)
    return None


def _rate_in(points: Iterable[Mapping[str, Any]], key: str, value: Any) -> float | None:
    return next((_known(each["hit_rate"]) for each in points if each[key] == value), None)


def _known(rate: float | None) -> float | None:
    return None if rate is None else float(rate)
