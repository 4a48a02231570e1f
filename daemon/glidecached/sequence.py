"""The one sequence of everything that is sent upstream: flights and writes are ordered by it (contract C22)."""

from __future__ import annotations

import cython


class Sequence:
    """Numbers, each above the ones before. For the loop's thread."""

    def __init__(self, first: cython.longlong = 1) -> None:
        self.last = first - 1

    def __call__(self) -> int:
        """Return the next number."""
        return int(self.take())

    def take(self) -> cython.longlong:
        """Return the next number; for compiled code."""
        self.last += 1
        return self.last
