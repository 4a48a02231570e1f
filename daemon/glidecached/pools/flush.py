"""An operator's flush: all entries of a pool, a slice of the loop's time after the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop

_SLICE_NS = 2_000_000
"""How long requests wait for a turn's share, at most."""
_FROM_THE_TOP = 0xFFFF_FFFF


class Flush:
    """Begins when it is made. `done` is called with the number of entries removed; in this very call, if they are few.

    What was there at the beginning is gone then, also where the pool got its next generation meanwhile or ended; what
    has come since may be.
    """

    def __init__(self, loop: Loop, pool: Pool, done: Callable[[int], object]) -> None:
        self._loop = loop
        self._pool = pool
        self._done = done
        self._generation = 0
        self._below = 0
        self._removed = 0
        self._turn()

    def _turn(self) -> None:
        pool = self._pool
        if not pool.ended:
            if pool.generation != self._generation:
                self._generation, self._below = pool.generation, _FROM_THE_TOP
            self._below, removed = pool.flush(self._below, time.monotonic_ns() + _SLICE_NS)
            self._removed += removed
            if self._below:
                self._loop.defer(self._turn)
                return
        self._done(self._removed)
