"""The workers of a run: started, watched while they call, killed, replaced, and asked in the end what they saw."""

from __future__ import annotations

import itertools
import json
import pickle
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from chaos.tally import Count, Tally
from glidecache import ClientSideCache, EvictionPolicy
from support.process import ChildProcess, child_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chaos.worker import Orders

KINDS = ("blocking", "asyncio")
FALLBACKS = ("direct", "error")
_END_TIMEOUT_S = 30


class Worker(ChildProcess):
    """One process of `chaos.worker`."""

    def __init__(self, orders: Orders) -> None:
        super().__init__(orders.path.with_suffix(".log"))
        self.orders = orders
        self.name = f"{orders.path.name} ({orders.kind}, fallback {orders.fallback})"
        self.tally = Tally(orders.tally, orders.lanes)
        path = orders.path.with_suffix(".orders")
        path.write_bytes(pickle.dumps(orders))
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chaos.worker", str(path)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=child_environment(),
            )

    def finish(self) -> None:
        """Let it end in order. Raises `AssertionError` if it cannot."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(_END_TIMEOUT_S)
        assert status == 0, f"{self.name} ended with status {status}:\n{self.log_text()}"
        assert "Traceback" not in self.log_text(), f"{self.name}:\n{self.log_text()}"

    def discard(self) -> None:
        """End it whatever state it is in."""
        self.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def in_call_ns(self) -> int:
        """How long the oldest of the calls has been going on that go on just now."""
        now_ns = time.monotonic_ns()
        return max(now_ns - began_ns if (began_ns := row[Count.BEGUN_NS]) else 0 for row in self.tally.lanes)

    def complaints(self) -> list[dict[str, Any]]:
        """What it saw that ought not to be, or needs a judgement."""
        path = self.orders.complaints
        lines = path.read_text().splitlines() if path.exists() else []
        return [{**json.loads(line), "worker": self.name} for line in lines if line.endswith("}")]


class Team:
    """As many workers at a time as there are places; all of each place's workers are of one kind.

    Blocking and asyncio clients, the named and the unnamed cache, and both fallbacks are mixed in all combinations.
    """

    def __init__(
        self, directory: Path, places: int, make_orders: Callable[..., Orders], caches: list[ClientSideCache]
    ) -> None:
        self._directory = directory
        self._make_orders = make_orders
        self.caches = caches
        self._numbers = itertools.count()
        self.at_work: list[Worker] = []
        self.gone: list[Worker] = []
        for place in range(places):
            self.at_work.append(self._start(place))

    def __iter__(self) -> Iterator[Worker]:
        """All workers that there ever were."""
        return iter(self.gone + self.at_work)

    def kill(self, place: int) -> None:
        """End the worker at a place as the kernel would."""
        self.at_work[place].discard()

    def replace(self, place: int) -> None:
        """Another worker of the same kind comes to the place."""
        self.gone.append(self.at_work[place])
        self.at_work[place] = self._start(place)

    def finish(self) -> None:
        """Let all end in order."""
        for worker in self.at_work:
            worker.finish()

    def discard(self) -> None:
        """End all whatever state they are in."""
        for worker in self:
            worker.discard()

    def total(self, count: Count) -> int:
        """The sum over all workers that there ever were."""
        return sum(worker.tally.total(count) for worker in self)

    def _start(self, place: int) -> Worker:
        number = next(self._numbers)
        return Worker(
            self._make_orders(
                path=self._directory / f"worker-{number}",
                number=number,
                kind=KINDS[place % 2],
                fallback=FALLBACKS[place // 2 % 2],
                cache=self.caches[place // 4 % 2],
            )
        )


def make_caches(name: str, max_cache_kb: int, ttl_ms: int) -> list[ClientSideCache]:
    """A named cache and an unnamed one, with a policy each."""
    return [
        ClientSideCache.create(max_cache_kb, ttl_ms, EvictionPolicy.LRU, enable_metrics=True, name=name),
        ClientSideCache.create(max_cache_kb, ttl_ms, EvictionPolicy.LFU, enable_metrics=True),
    ]
