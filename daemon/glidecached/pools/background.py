"""Generation copies in the background: one pool after another, a little in each turn of the loop."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop

logger = logging.getLogger(__name__)

_SLICE_NS = 2_000_000
"""The longest time that requests wait for one turn's share of copying."""


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
        """Continue the generation copy of a pool that `is_renewing`, until it is done."""
        self._pools.append(pool)
        self._plan()

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Call `callback` once no pool is being renewed, in the order of asking; at once, if none is and none waits.

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
            if pool.is_renewing:  # the pool may have ended meanwhile
                failed = not pool.go_on(time.monotonic_ns() + _SLICE_NS) and not pool.is_renewing
        except BaseException:
            failed = True
            raise
        finally:
            self._turned(pool, failed=failed)

    def _turned(self, pool: Pool, *, failed: bool) -> None:
        if failed or not pool.is_renewing:
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
                    logger.exception("%r failed; the others that wait for pools to change go on", callback)
        finally:
            self._settling = False
