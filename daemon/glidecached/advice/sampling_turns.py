"""The turns of all pools' sampling: what workers have left is taken four times a second, or sooner if it is much."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from glidecached.advice.pool_sampling import PoolSampling
    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop

INTERVAL_MS = 250.0
_SLICE_NS = 1_000_000
"""The longest time that requests wait for one turn's share of the work."""


class SamplingTurns:
    """The timers behind all `PoolSampling`. For the loop's thread; `pools` are iterated over at each time."""

    def __init__(self, loop: Loop, pools: Iterable[Pool]) -> None:
        self._loop = loop
        self._pools = pools
        self._waiting: list[PoolSampling] = []
        self._busy: list[PoolSampling] = []
        """Those that cannot wait until all have their turn."""
        self._comes_early = False

    def start(self) -> None:
        """Begin to take turns, until the loop ends."""
        self._loop.call_later(INTERVAL_MS, self._begin)

    def _begin(self) -> None:
        self._loop.call_later(INTERVAL_MS, self._begin)
        self._add([pool.sampling for pool in self._pools if pool.sampling is not None])

    def _come_early(self) -> None:
        busy, self._busy, self._comes_early = self._busy, [], False
        self._add(busy)

    def _add(self, more: list[PoolSampling]) -> None:
        idle = not self._waiting
        waiting = {id(sampling): sampling for sampling in [*self._waiting, *more]}
        self._waiting = list(waiting.values())
        if idle and self._waiting:
            self._turn()

    def _turn(self) -> None:
        """Continue with those that wait, for a slice of time; in the next turn of the loop with the rest."""
        until_ns = time.monotonic_ns() + _SLICE_NS
        while self._waiting:
            sampling = self._waiting.pop()
            if sampling.turn(until_ns):
                self._waiting.append(sampling)
            elif sampling.wait_ms < INTERVAL_MS:
                self._busy.append(sampling)
            if time.monotonic_ns() >= until_ns:
                break
        if self._waiting:
            self._loop.defer(self._turn)
        elif self._busy and not self._comes_early:
            self._comes_early = True
            self._loop.call_later(min(sampling.wait_ms for sampling in self._busy), self._come_early)
