"""Sending of node requests: to the right node, to the next after a redirection, and again when a node was lost.

A command that a server answered with a redirection did not run. It may be sent again, whatever it is. When a connection
is lost, what had been written may have run: only known reads are sent again. What was never written is sent elsewhere.
All of it happens within the call's deadline, and a limited number of times.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION, ERROR_REQUEST, ERROR_TIMEOUT
from glidecached.upstream.cluster.node_request import RequestSender
from glidecached.upstream.cluster.replica_reads import ShardReads
from glidecached.upstream.cluster.topology import read_redirection
from glidecached.upstream.cluster.topology_refresh import TopologyRefresh, in_any_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop
    from glidecached.upstream.cluster.node_request import NodeCommand, NodeRequest
    from glidecached.upstream.cluster.nodes import Node, Nodes
    from glidecached.upstream.cluster.topology import Topology
    from glidecached.upstream.target import Address, UpstreamOptions

logger = logging.getLogger(__name__)

_MAX_REDIRECTIONS = 8
_AT_ONCE = 3
"""The redirections that are followed without a pause: the map may be old. More mean that it is just changing."""
_MAX_LOSSES = 3
_MAX_WAITS = 64
_FIRST_WAIT_MS = 10
_LONGEST_WAIT_MS = 200
_LATER = frozenset(("TRYAGAIN", "CLUSTERDOWN"))
_REPLICA_UNABLE = frozenset(("MASTERDOWN", "LOADING", "CLUSTERDOWN"))
_FINAL = frozenset((ERROR_BUSY, ERROR_TIMEOUT))


class ClusterDispatcher(RequestSender):
    """The sender of one cluster's node requests. Belongs to the loop's thread."""

    def __init__(
        self,
        loop: Loop,
        nodes: Nodes,
        seeds: tuple[Address, ...],
        options: UpstreamOptions,
        known: Callable[[], object],
        unknown: Callable[[str], object],
    ) -> None:
        super().__init__(nodes)
        self._loop = loop
        self._seeds = seeds
        self._known = known
        self._shard_reads = ShardReads(nodes)
        self._waiting: set[NodeRequest] = set()
        self._closed_reason: str | None = None
        self.refresh = TopologyRefresh(loop, nodes, options, self._learn, unknown)
        self.counts: Counter[str] = Counter()
        """The number of requests that were redirected, by the server's error word, or lost."""

    def look_again(self) -> None:
        """Ask for the topology, which may have changed, unless that is already under way."""
        if self._closed_reason is None:
            self.refresh.request(self._candidates)

    def send_unusual(self, leg: NodeRequest) -> None:
        """Implement `RequestSender`: send to any node, a replica, or the first time to a primary.

        The request waits if there is no such node yet.
        """
        node = self._node_for(leg)
        if node is None:
            return
        replicas = self._replicas_for(leg)
        if replicas and leg.freshness is not None:
            node.send_read(leg, self._shard_reads.of(node, replicas), leg.freshness)
        else:
            node.send(leg)

    def send_in_convoys(self, legs: list[NodeCommand]) -> None:
        """Send the requests of a pipeline that may block: those of one node together."""
        by_node: dict[Node, list[NodeCommand]] = {}
        for leg in legs:
            node = self._node_for(leg)
            if node is not None:
                by_node.setdefault(node, []).append(leg)
        for node, group in by_node.items():
            node.send_in_convoy(group)

    def redirected(self, leg: NodeRequest, error: str) -> bool:
        """Implement `RequestSender`: follow MOVED and ASK; wait a moment after TRYAGAIN and similar errors."""
        word = error.split(" ", 1)[0]
        if leg.replica and word in _REPLICA_UNABLE:
            self._start_again(leg, word)
            leg.replica = False
            self.send(leg)
            return True
        if word in _LATER:
            self._start_again(leg, word)
            self._wait(leg, ERROR_REQUEST, error)
            return True
        if word not in {"MOVED", "ASK"} or leg.node is None or leg.redirections >= _MAX_REDIRECTIONS:
            return False
        try:
            slot, address = read_redirection(error, leg.node.address)
        except ValueError:
            return False
        self._start_again(leg, word)
        leg.redirections += 1
        if word == "ASK":
            leg.asking = True
            self._nodes.at(address).send(leg)
            return True
        leg.where = slot
        leg.replica = False
        leg.freshness = None
        if self.topology is not None and self.topology.primary(slot) != address:
            # Where the map was right, the command is one whose keys are not known here.
            self.topology.move(slot, address)
            self.look_again()
        if leg.redirections <= _AT_ONCE:
            self.send(leg)
        else:
            self._wait(leg, ERROR_REQUEST, error)
        return True

    def lost(self, leg: NodeRequest, code: int, message: str) -> None:
        """Implement `RequestSender`: send again if the request certainly did not run, or may run twice."""
        if code in _FINAL or self._closed_reason is not None:
            leg.give_up(code, message)
            return
        self.counts["lost"] += 1
        self.look_again()
        if leg.sent:
            leg.losses += 1
            if not leg.resendable or leg.losses >= _MAX_LOSSES:
                leg.give_up(code, message)
                return
        # Where a replica is lost, the primary still has everything.
        leg.sent = leg.asking = leg.replica = False
        leg.freshness = None
        self._wait(leg, code, message)

    def close(self, reason: str) -> None:
        """Fail the requests that wait to be sent again; those at nodes fail with their nodes."""
        self._closed_reason = reason
        self.refresh.close()
        for leg in list(self._waiting):
            self._waiting.discard(leg)
            leg.give_up(ERROR_CONNECTION, reason)

    def _start_again(self, leg: NodeRequest, word: str) -> None:
        self.counts[word] += 1
        leg.leave_node()
        leg.sent = leg.asking = False

    def _node_for(self, leg: NodeRequest) -> Node | None:
        topology = self.topology
        where = leg.where
        if topology is None:
            self._wait(leg, ERROR_CONNECTION, "the cluster's topology is not known")
            return None
        if where is None:
            return self._nodes.any_of(topology.primaries)
        if not isinstance(where, int):
            if where in topology.nodes:
                return self._nodes.at(where)
            leg.give_up(ERROR_CONNECTION, f"{where} is not in the cluster any more")
            return None
        if leg.replica:
            replicas = topology.replicas(where)
            if replicas:
                return self._nodes.any_of(replicas)
        address = topology.primary(where)
        if address is None:
            self.look_again()
            self._wait(leg, ERROR_REQUEST, f"CLUSTERDOWN no node of the cluster serves slot {where}")
            return None
        return self._nodes.at(address)

    def _replicas_for(self, leg: NodeRequest) -> tuple[Address, ...]:
        if leg.freshness is None or self.topology is None or not isinstance(leg.where, int):
            return ()
        return self.topology.replicas(leg.where)

    def _wait(self, leg: NodeRequest, code: int, message: str) -> None:
        """Send the request again in a moment, or fail it if its deadline comes first or it waited too often."""
        delay_ms = min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS << min(leg.waits, 8))
        leg.waits += 1
        when_ns = time.monotonic_ns() + delay_ms * 1_000_000
        if leg.waits > _MAX_WAITS or when_ns >= leg.deadline_ns:
            leg.give_up(code, message)
            return
        self._waiting.add(leg)
        self._loop.call_at(when_ns, self._go_on, leg)

    def _go_on(self, leg: NodeRequest) -> None:
        if leg not in self._waiting:
            return
        self._waiting.discard(leg)
        if leg.is_wanted(time.monotonic_ns()):
            self.send(leg)
        else:
            leg.abandon()

    def _learn(self, topology: Topology) -> None:
        self.topology = topology
        self._nodes.keep_only(topology)
        self._shard_reads.forget()
        self._known()

    def _candidates(self) -> list[Address]:
        """Return the nodes to ask for the topology: connected nodes that answer, then the others, then the seeds."""
        if self.topology is None:
            return list(self._seeds)
        now_ns = time.monotonic_ns()
        sound = [
            node.address
            for node in self._nodes
            if node.link.connected and node.silent_ms(now_ns) < _LONGEST_WAIT_MS
        ]
        others = in_any_order(list(self.topology.nodes))
        return list(dict.fromkeys([*in_any_order(sound), *others, *self._seeds]))
