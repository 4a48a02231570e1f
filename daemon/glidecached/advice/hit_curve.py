"""A share of lookups, as it depends on a bound or a TTL, between the points at which it is known."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
