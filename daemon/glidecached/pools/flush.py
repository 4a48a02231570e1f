"""An operator's flush: it removes all entries of a pool, in slices of the loop's time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop

_SLICE_NS = 2_000_000
"""The longest time that requests wait for one turn's share."""
_FROM_THE_TOP = 0xFFFF_FFFF


class Flush:
    """A flush, which begins when it is made. `done` is called with the number of removed entries.

    With few entries, that happens during construction. All entries that existed at the beginning are gone then, even if
    the pool got its next generation or ended meanwhile. Newer entries may be gone, too.
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
