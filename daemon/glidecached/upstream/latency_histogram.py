"""The durations and reconnections of an upstream, over all its connections, closed ones included."""

from __future__ import annotations

from typing import Any

import cython

BOUNDS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
"""The histogram's upper bounds, inclusive; beyond the last there is one more place."""

_PLACES = cython.declare(cython.int, 14)
_bounds_ns = cython.declare(cython.longlong[13])
_bounds_ns[:] = [bound_us * 1_000 for bound_us in BOUNDS_US]


class LatencyHistogram:
    """One upstream's counts. Shared by its connections, in the loop's one thread."""

    def __init__(self) -> None:
        self._counts: list[int]  # C's, all 0
        self._sum_ns: cython.longlong = 0
        self.reconnects: cython.Py_ssize_t = 0
        """The number of connections that replaced a lost one."""

    def replied(self, duration_ns: cython.longlong) -> None:
        """Count a reply that came this long after its request was submitted."""
        place: cython.int = 0
        while place < _PLACES - 1 and duration_ns > _bounds_ns[place]:
            place += 1
        self._counts[place] += 1
        self._sum_ns += duration_ns

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator.

        `counts` has one number for each bound and one beyond; each counts only its own range.
        """
        return {
            "reconnects": self.reconnects,
            "latency": {
                "bounds_us": list(BOUNDS_US),
                "counts": [self._counts[place] for place in range(_PLACES)],
                "sum_us": self._sum_ns / 1e3,
            },
        }
