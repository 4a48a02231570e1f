"""A share of lookups, as it depends on a bound or a TTL, between the points at which it is known."""

from __future__ import annotations

import itertools
import math
from bisect import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class HitCurve:
    """A curve through points, which begins with 0 at 0.

    `known` has the values of points, None where one is not known; the last point may be infinite. `reach` is a function
    that rises as the curve does: between two points the curve rises with it, and straight where it does not rise.
    """

    def __init__(self, known: Mapping[float, float | None], reach: Callable[[float], float]) -> None:
        self._points = sorted((place, value) for place, value in known.items() if value is not None)
        self._reach = reach

    def at(self, place: float) -> float | None:
        """Return the curve's value at a place; None if nothing is known."""
        if not self._points:
            return None
        for (below, low), (above, high) in itertools.pairwise([(0.0, 0.0), *self._points]):
            if place < above:
                return low + (high - low) * self._way(below, place, above)
            if place == above:
                return high
        return self._points[-1][1]

    def _way(self, below: float, place: float, above: float) -> float:
        """Return how much of the way between two points lies before a place, as a share."""
        start, here, end = self._reach(below), self._reach(place), self._reach(above)
        if start < end < math.inf:
            return (here - start) / (end - start)
        return 0.0 if above == math.inf else (place - below) / (above - below)


class PopularKeys:
    """The hits on the keys that are read most, as many as a bound has room for: an LFU pool keeps these.

    `keys` has the number of lookups of each, and its charge in bytes. One key's part of a bound is the newest entry's,
    which the next one evicts. Each key represents 1 / `share` keys, with all their bytes.
    """

    def __init__(self, keys: Iterable[tuple[int, float]], share: float = 1.0) -> None:
        ordered = sorted(keys, reverse=True)
        self._newest = share * sum(charge for _, charge in ordered) / max(len(ordered), 1)
        self._bytes = [0.0, *itertools.accumulate(charge for _, charge in ordered)]
        self._hits = [0.0, *itertools.accumulate(float(lookups - 1) for lookups, _ in ordered)]

    def hits(self, max_bytes: float) -> float:
        """Return how many hits they have, the last of them in part."""
        kept = max(max_bytes - self._newest, 0.0)
        after = bisect(self._bytes, kept)
        if after == len(self._bytes):
            return self._hits[-1]
        below, above = self._bytes[after - 1], self._bytes[after]
        part = (kept - below) / (above - below)
        return self._hits[after - 1] + part * (self._hits[after] - self._hits[after - 1])
