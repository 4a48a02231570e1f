"""Keeping the topology up to date: the nodes to ask, the interval, and the next node when one does not answer."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.call import SingleCall
from glidecached.upstream.cluster.topology import Topology, TopologyError, read_topology
from glidecached.upstream.lane import PROBE

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop
    from glidecached.process.timers import Timer
    from glidecached.upstream.cluster.nodes import Nodes
    from glidecached.upstream.target import Address, UpstreamOptions

_CLUSTER_SLOTS = (b"CLUSTER", b"SLOTS")
_INTERVAL_MS = 100
"""The shortest time between two rounds, however many redirects and losses ask for one."""
_PATIENCE_MS = 300
"""After this time without an answer the next node is asked as well; the first answer counts."""


class TopologyRefresh:
    """The rounds of asking for the topology, one at a time: node after node, until one has an answer.

    `on_topology` is called with each new topology, `on_failure` with the reasons when a round has found none.
    """

    def __init__(
        self,
        loop: Loop,
        nodes: Nodes,
        options: UpstreamOptions,
        on_topology: Callable[[Topology], object],
        on_failure: Callable[[str], object],
    ) -> None:
        self._loop = loop
        self._nodes = nodes
        self.patience_ms = options.connect_timeout_ms
        self._on_topology = on_topology
        self._on_failure = on_failure
        self._left: list[Address] = []
        self._round = 0
        self._asked = 0
        self._reasons: list[str] = []
        self._timer: Timer | None = None
        self._running = False
        self._ended_ns = 0
        self.count = 0
        """The number of topologies that were received."""

    @property
    def running(self) -> bool:
        """Return whether a round is under way or planned."""
        return self._running or self._timer is not None

    def request(self, candidates: Callable[[], list[Address]]) -> None:
        """Begin a round soon, unless one is under way; `candidates` then returns the nodes in the order of asking."""
        if self.running:
            return
        # Never at once: the caller may be in the middle of losing a connection.
        wait_ms = _INTERVAL_MS - (time.monotonic_ns() - self._ended_ns) / 1e6
        self._timer = self._loop.call_later(max(0.0, wait_ms), self._begin, candidates)

    def close(self) -> None:
        """Stop asking."""
        self._end()

    def answered(self, number: int, address: Address, reply: Any) -> None:
        """Handle a node's answer to a question of round `number`."""
        if number != self._round or not self._running:
            return
        self._asked -= 1
        if isinstance(reply, ReplyError):
            self._failed(_refusal(address, str(reply)))
            return
        try:
            topology = read_topology(reply, address)
        except TopologyError as error:
            self._failed(str(error))
            return
        self._end()
        self.count += 1
        self._on_topology(topology)

    def unanswered(self, number: int, address: Address, message: str) -> None:
        """Handle a node that cannot be asked."""
        if number == self._round and self._running:
            self._asked -= 1
            self._failed(message if str(address) in message else f"{address}: {message}")

    def _begin(self, candidates: Callable[[], list[Address]]) -> None:
        self._round += 1
        self._left = candidates()
        self._asked = 0
        self._reasons = []
        self._timer = None
        self._running = True
        self._ask_next()

    def _ask_next(self) -> None:
        if not self._running:
            return
        if self._timer is not None:
            self._timer.cancel()
        if not self._left:
            # All have been asked. A node that has not answered yet gets the time-out of a connection.
            self._timer = self._loop.call_later(self.patience_ms, self._give_up)
            return
        address = self._left.pop(0)
        self._asked += 1
        self._timer = self._loop.call_later(_PATIENCE_MS, self._ask_next)
        self._nodes.at(address).upstream.submit(_Question(self, self._round, address, self.patience_ms))

    def _failed(self, reason: str) -> None:
        self._reasons.append(reason)
        if self._left:
            self._loop.defer(self._ask_next)
        elif not self._asked:
            self._give_up()

    def _give_up(self) -> None:
        reasons = self._reasons or ["no node of the cluster has answered CLUSTER SLOTS in time"]
        self._end()
        self._on_failure("; ".join(reasons))

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._running = False
        self._ended_ns = time.monotonic_ns()


class _Question(SingleCall):
    """A CLUSTER SLOTS command to one node."""

    __slots__ = ("_address", "_number", "_refresh")

    def __init__(self, refresh: TopologyRefresh, number: int, address: Address, patience_ms: float) -> None:
        deadline_ns = time.monotonic_ns() + int(patience_ms * 1e6)
        super().__init__(_CLUSTER_SLOTS, deadline_ns, repeatable=True)
        self.lane = PROBE
        self._refresh = refresh
        self._number = number
        self._address = address

    def abandon(self) -> None:
        self._refresh.unanswered(self._number, self._address, "not connected in time")

    def succeed(self, reply: Any) -> None:
        self._refresh.answered(self._number, self._address, reply)

    def fail(self, code: int, message: str) -> None:
        del code
        self._refresh.unanswered(self._number, self._address, message)


def in_any_order(addresses: list[Address]) -> list[Address]:
    """Return the same addresses, shuffled, so that not all daemons ask the same node."""
    return random.sample(addresses, len(addresses))


def _refusal(address: Address, text: str) -> str:
    if text.startswith("NOPERM"):
        return f"{address}: {text} (a cluster upstream needs CLUSTER SLOTS)"
    return f"{address}: {text}"
