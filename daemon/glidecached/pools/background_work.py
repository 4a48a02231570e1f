"""Long work on pools in the background, a little in each turn of the loop: generation copies, and flushes."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from glidecached.pools.pool import FROM_THE_TOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop

logger = logging.getLogger(__name__)

_SLICE_NS = 2_000_000
"""The longest time that requests wait for one turn's share of the work."""


class BackgroundCopies:
    """The generation copies in progress. For the loop's thread. `failed` is called with each pool whose copy failed."""

    def __init__(self, loop: Loop, failed: Callable[[Pool], object]) -> None:
        self._loop = loop
        self._failed = failed
        self._pools: deque[Pool] = deque()
        self._planned = False
        self._settled: deque[Callable[[], object]] = deque()
        self._settling = False

    def add(self, pool: Pool) -> None:
        """Continue the generation copy of a pool that `is_resizing`, until it is done."""
        self._pools.append(pool)
        self._plan()

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Call `callback` once no pool is being resized, in the order of asking; at once if none is.

        A callback may start new copies; later callbacks then wait for these as well.
        """
        self._settled.append(callback)
        if not self._pools:
            self._settle()

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            self._loop.defer(self._turn)

    def _turn(self) -> None:
        self._planned = False
        pool = self._pools[0]
        failed = False
        try:
            if pool.is_resizing:  # the pool may have ended meanwhile
                failed = not pool.continue_resize(time.monotonic_ns() + _SLICE_NS) and not pool.is_resizing
        except BaseException:
            failed = True
            raise
        finally:
            self._turned(pool, failed=failed)

    def _turned(self, pool: Pool, *, failed: bool) -> None:
        if failed or not pool.is_resizing:
            self._pools.popleft()
        try:
            if failed:
                self._failed(pool)
        finally:
            if self._pools:
                self._plan()
            else:
                self._settle()

    def _settle(self) -> None:
        if self._settling:
            return
        self._settling = True
        try:
            while self._settled and not self._pools:
                callback = self._settled.popleft()
                try:
                    callback()
                except Exception:
                    logger.exception("a callback after resizes failed", extra={"callback": repr(callback)})
        finally:
            self._settling = False


class Flush:
    """An operator's flush of a pool, which begins when it is made. `done` is called with the number of removed entries.

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
                self._generation, self._below = pool.generation, FROM_THE_TOP
            self._below, removed = pool.flush(self._below, time.monotonic_ns() + _SLICE_NS)
            self._removed += removed
            if self._below:
                self._loop.defer(self._turn)
                return
        self._done(self._removed)
