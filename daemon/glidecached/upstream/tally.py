"""What an upstream counts over all its connections, those that are gone included: durations and reconnections."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

BOUNDS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
"""The histogram's upper bounds, inclusive; beyond the last there is one more place."""

_BOUNDS_NS = tuple(bound_us * 1_000 for bound_us in BOUNDS_US)


class Tally:
    """One upstream's counts. Shared by its connections, in the loop's one thread."""

    __slots__ = ("_counts", "_sum_ns", "reconnects")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_US) + 1)
        self._sum_ns = 0
        self.reconnects = 0
        """How many connections were made in the place of one that was lost."""

    def replied(self, duration_ns: int) -> None:
        """A reply came, so long after its request was submitted."""
        self._counts[bisect_left(_BOUNDS_NS, duration_ns)] += 1
        self._sum_ns += duration_ns

    def stats(self) -> dict[str, Any]:
        """Numbers for the operator: `counts` has one number a bound and one beyond, each of its own place alone."""
        return {
            "reconnects": self.reconnects,
            "latency": {
                "bounds_us": list(BOUNDS_US),
                "counts": list(self._counts),
                "sum_us": self._sum_ns / 1e3,
            },
        }
