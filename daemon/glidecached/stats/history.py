"""The history of ten minutes, so that the status page shows it when opened: rates between snapshots, in a ring."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from glidecached.stats.figures import cache_label, percentile_us, upstreams_by_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glidecached.process.loop import Loop
    from glidecached.process.timers import Timer
    from glidecached.stats.snapshots import Snapshot, Snapshots

INTERVAL_MS = 2_000
LENGTH = 300
MAX_CACHES = 32
MAX_UPSTREAMS = 16
"""The number that the page shows, with history: those with names first, then the largest caches, busiest upstreams."""


class CachePoint(NamedTuple):
    """One cache over one interval, and at its end. None: no metrics, or no lookups."""

    hit_rate: float | None
    lookups_per_s: float | None
    bytes: int
    evictions_per_s: float | None
    expirations_per_s: float | None


class UpstreamPoint(NamedTuple):
    """One upstream over one interval. None: no reply came."""

    requests_per_s: float
    failures_per_s: float
    median_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One interval: its number, its end in seconds since the epoch, and its points by label."""

    number: int
    at: float
    caches: Mapping[tuple[str, str], CachePoint]
    upstreams: Mapping[str, UpstreamPoint]


class History:
    """A ring of `LENGTH` samples, one every two seconds. For the loop's thread, except `since`, which is for any."""

    def __init__(self, loop: Loop, snapshots: Snapshots) -> None:
        self._loop = loop
        self._snapshots = snapshots
        self._samples: deque[Sample] = deque(maxlen=LENGTH)
        self._numbers = itertools.count(1)
        self._before: Snapshot | None = None
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to take samples."""
        self._before = self._snapshots.take()
        self._timer = self._loop.call_later(INTERVAL_MS, self._sample)

    def stop(self) -> None:
        """Take no more samples, and drop the existing ones."""
        if self._timer is not None:
            self._timer.cancel()
        self._samples.clear()

    def since(self, number: int) -> list[Sample]:
        """Return the samples after that number, oldest first."""
        # Copied in one step, which no other thread can interrupt.
        return [sample for sample in self._samples.copy() if sample.number > number]

    def _sample(self) -> None:
        self._timer = self._loop.call_later(INTERVAL_MS, self._sample)
        now = self._snapshots.take()
        if self._before is not None:
            self._samples.append(sample_between(self._before, now, next(self._numbers)))
        self._before = now


def sample_between(before: Snapshot, now: Snapshot, number: int) -> Sample:
    """Return the sample between two snapshots. Caches and upstreams that the first one lacks have no rates yet."""
    seconds = (now.taken_ns - before.taken_ns) / 1e9
    old_caches = {cache_label(cache): cache for cache in before.numbers["caches"]}
    old_upstreams = upstreams_by_label(before.numbers["upstreams"])
    return Sample(
        number,
        now.taken_at,
        {
            cache_label(cache): _cache_point(old_caches.get(cache_label(cache)), cache, seconds)
            for cache in foremost(now.numbers["caches"])
        },
        {
            label: _upstream_point(old_upstreams[label], group, seconds)
            for label, group in foremost_upstreams(now.numbers["upstreams"]).items()
            if label in old_upstreams
        },
    )


def foremost(caches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the caches for the page: those with names first, then the largest."""
    return sorted(caches, key=lambda cache: (cache["name"] is None, -cache["charged_bytes"]))[:MAX_CACHES]


def foremost_upstreams(upstreams: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the upstreams for the page, by label: those of the configuration in its order, then the busiest."""
    ordered = sorted(
        upstreams_by_label(upstreams).items(),
        key=lambda pair: (
            (0, 0) if pair[1][0]["name"] is not None else (1, -sum(each["requests"] for each in pair[1]))
        ),
    )
    return dict(ordered[:MAX_UPSTREAMS])


def _cache_point(before: dict[str, Any] | None, now: dict[str, Any], seconds: float) -> CachePoint:
    size_bytes = now["charged_bytes"]
    if before is None or not now["settings"]["enable_metrics"]:
        return CachePoint(None, None, size_bytes, None, None)
    hits, misses, evictions, expirations = (
        now["metrics"][name] - before["metrics"][name]
        for name in ("hits", "misses", "evictions", "expirations")
    )
    if min(hits, misses, evictions, expirations) < 0:  # another cache of that name has begun
        return CachePoint(None, None, size_bytes, None, None)
    lookups = hits + misses
    return CachePoint(
        hits / lookups if lookups else None,
        lookups / seconds,
        size_bytes,
        evictions / seconds,
        expirations / seconds,
    )


def _upstream_point(before: list[dict[str, Any]], now: list[dict[str, Any]], seconds: float) -> UpstreamPoint:
    def grown(name: str) -> float:
        difference: int = sum(each[name] for each in now) - sum(each[name] for each in before)
        return max(0, difference) / seconds

    bounds_us = now[0]["latency"]["bounds_us"]
    counts = [max(0, new - old) for new, old in zip(_counts(now), _counts(before), strict=True)]
    return UpstreamPoint(
        grown("requests"),
        grown("failed"),
        _milliseconds(percentile_us(bounds_us, counts, 0.5)),
        _milliseconds(percentile_us(bounds_us, counts, 0.99)),
    )


def _counts(group: list[dict[str, Any]]) -> list[int]:
    return [sum(column) for column in zip(*(each["latency"]["counts"] for each in group), strict=True)]


def _milliseconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1e3
