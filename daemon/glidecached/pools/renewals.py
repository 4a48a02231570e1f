"""Pools that are on their way to their next generation: all of them get a little of each of the loop's turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.loop import Loop
    from glidecached.pools.pool import Pool

_SLICE_NS = 2_000_000
"""How long requests wait for a turn's share of copying, at most."""


class Renewals:
    """For the loop's thread. `failed` is called with each pool that could not be renewed."""

    def __init__(self, loop: Loop, failed: Callable[[Pool], object]) -> None:
        self._loop = loop
        self._failed = failed
        self._pools: list[Pool] = []
        self._settled: list[Callable[[], object]] = []

    def add(self, pool: Pool) -> None:
        """Go on with a pool that `is_renewing`, until it is not."""
        self._pools.append(pool)
        if len(self._pools) == 1:
            self._loop.defer(self._turn)

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Call once no pool is on its way: at once, if none is."""
        if self._pools:
            self._settled.append(callback)
        else:
            callback()

    def _turn(self) -> None:
        pool = self._pools[0]
        if pool.is_renewing:
            try:
                done = pool.go_on(time.monotonic_ns() + _SLICE_NS)
            except BaseException:
                self._pools.pop(0)
                self._go_on()
                raise
            if not done and not pool.is_renewing:
                self._failed(pool)
        if not pool.is_renewing:  # done, failed, or ended by somebody meanwhile
            self._pools.pop(0)
        self._go_on()

    def _go_on(self) -> None:
        if self._pools:
            self._loop.defer(self._turn)
            return
        settled, self._settled = self._settled, []
        for callback in settled:
            callback()
