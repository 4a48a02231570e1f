"""Redirects and losses: node requests that go to another node, or again, and those that are not usual.

A command that a server answered with a redirect did not run. It may be sent again, whatever it is. When a connection
is lost, what had been written may have run: only known reads are sent again. What was never written is sent elsewhere.
All of it happens within the call's deadline, and a limited number of times.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION, ERROR_REQUEST, ERROR_TIMEOUT
from glidecached.upstream.cluster.node_batches import NodePipeline
from glidecached.upstream.cluster.node_request import ClusterDispatcher
from glidecached.upstream.cluster.replica_reads import ShardReads
from glidecached.upstream.cluster.topology import read_redirection
from glidecached.upstream.cluster.topology_refresh import TopologyRefresh, in_any_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop
    from glidecached.upstream.call import SingleCall
    from glidecached.upstream.cluster.node_request import Node, NodeCommand, NodeRequest
    from glidecached.upstream.cluster.nodes import Nodes
    from glidecached.upstream.cluster.topology import Topology
    from glidecached.upstream.target import Address, UpstreamOptions

_MAX_REDIRECTIONS = 8
_AT_ONCE = 3
"""The redirects that are followed without a pause: the map may be old. More mean that it is just changing."""
_MAX_LOSSES = 3
_MAX_WAITS = 64
_FIRST_WAIT_MS = 10
_LONGEST_WAIT_MS = 200
_LATER = frozenset(("TRYAGAIN", "CLUSTERDOWN"))
_REPLICA_UNABLE = frozenset(("MASTERDOWN", "LOADING", "CLUSTERDOWN"))
_FINAL = frozenset((ERROR_BUSY, ERROR_TIMEOUT))


class Redirects:
    """The handler of one cluster's dispatcher: see `node_request.RequestHandler`. Belongs to the loop's thread.

    It has the dispatcher, and gives it the topology.
    """

    def __init__(
        self,
        loop: Loop,
        nodes: Nodes,
        seeds: tuple[Address, ...],
        options: UpstreamOptions,
        plan: Callable[[SingleCall], object],
        on_topology: Callable[[], object],
        on_failure: Callable[[str], object],
    ) -> None:
        self.dispatcher = ClusterDispatcher(nodes.by_address, self, plan, options.max_waiting_requests)
        self._nodes = nodes
        self._loop = loop
        self._seeds = seeds
        self._on_topology = on_topology
        self._shard_reads = ShardReads(nodes)
        self._waiting: set[NodeRequest] = set()
        self._closed_reason: str | None = None
        self.refresh = TopologyRefresh(loop, nodes, options, self._learn, on_failure)
        self.counts: Counter[str] = Counter()
        """The number of requests that were redirected, by the server's error word, or lost."""

    def request_refresh(self) -> None:
        """Ask for the topology, which may have changed, unless that is already under way."""
        if self._closed_reason is None:
            self.refresh.request(self._candidates)

    def send_unusual(self, request: NodeRequest) -> None:
        """Implement `RequestHandler`: send to any node, a replica, or the first time to a primary.

        The request waits if there is no such node yet.
        """
        node = self._node_for(request)
        if node is None:
            return
        replicas = self._replicas_for(request)
        freshness = request.freshness
        if replicas and freshness is not None:
            request.node = node
            node.expect_answer()
            reads = self._shard_reads.of(node, replicas)
            reads.submit(request, freshness.floor, primary_too=freshness.primary_too)
        else:
            node.send(request)

    def send_blocking_pipeline(self, requests: list[NodeCommand]) -> None:
        """Send the requests of a pipeline that may block: those of one node together, on a dedicated connection."""
        by_node: dict[Node, list[NodeCommand]] = {}
        for request in requests:
            node = self._node_for(request)
            if node is not None:
                by_node.setdefault(node, []).append(request)
        for node, group in by_node.items():
            for request in group:
                request.node = node
            node.upstream.submit_blocking(NodePipeline(group))

    def redirected(self, request: NodeRequest, error: str) -> bool:
        """Implement `RequestHandler`: follow MOVED and ASK; wait a moment after TRYAGAIN and similar errors."""
        word = error.split(" ", 1)[0]
        if request.replica and word in _REPLICA_UNABLE:
            self._start_again(request, word)
            request.replica = False
            self.dispatcher.send(request)
            return True
        if word in _LATER:
            self._start_again(request, word)
            self._wait(request, ERROR_REQUEST, error)
            return True
        if word not in {"MOVED", "ASK"} or request.node is None or request.redirections >= _MAX_REDIRECTIONS:
            return False
        try:
            slot, address = read_redirection(error, request.node.address)
        except ValueError:
            return False
        self._start_again(request, word)
        request.redirections += 1
        if word == "ASK":
            request.asking = True
            self._nodes.at(address).send(request)
            return True
        request.where = slot
        request.replica = False
        request.freshness = None
        if self.dispatcher.topology is not None and self.dispatcher.topology.primary(slot) != address:
            # Where the map was right, the command is one whose keys are not known here.
            self.dispatcher.topology.move(slot, address)
            self.request_refresh()
        if request.redirections <= _AT_ONCE:
            self.dispatcher.send(request)
        else:
            self._wait(request, ERROR_REQUEST, error)
        return True

    def lost(self, request: NodeRequest, code: int, message: str) -> None:
        """Implement `RequestHandler`: send again if the request certainly did not run, or may run twice."""
        if code in _FINAL or self._closed_reason is not None:
            request.give_up(code, message)
            return
        self.counts["lost"] += 1
        self.request_refresh()
        if request.sent:
            request.losses += 1
            if not request.resendable or request.losses >= _MAX_LOSSES:
                request.give_up(code, message)
                return
        # Where a replica is lost, the primary still has everything.
        request.sent = request.asking = request.replica = False
        request.freshness = None
        self._wait(request, code, message)

    def close(self, reason: str) -> None:
        """Fail the requests that wait to be sent again; those at nodes fail with their nodes."""
        self._closed_reason = reason
        self.dispatcher.close()
        self.refresh.close()
        for request in list(self._waiting):
            self._waiting.discard(request)
            request.give_up(ERROR_CONNECTION, reason)

    def _start_again(self, request: NodeRequest, word: str) -> None:
        self.counts[word] += 1
        request.leave_node()
        request.sent = request.asking = False

    def _node_for(self, request: NodeRequest) -> Node | None:
        topology = self.dispatcher.topology
        where = request.where
        if topology is None:
            self._wait(request, ERROR_CONNECTION, "the cluster's topology is not known")
            return None
        if where is None:
            return self._nodes.any_of(topology.primaries)
        if not isinstance(where, int):
            if where in topology.nodes:
                return self._nodes.at(where)
            request.give_up(ERROR_CONNECTION, f"{where} is not in the cluster any more")
            return None
        if request.replica:
            replicas = topology.replicas(where)
            if replicas:
                return self._nodes.any_of(replicas)
        address = topology.primary(where)
        if address is None:
            self.request_refresh()
            self._wait(request, ERROR_REQUEST, f"CLUSTERDOWN no node of the cluster serves slot {where}")
            return None
        return self._nodes.at(address)

    def _replicas_for(self, request: NodeRequest) -> tuple[Address, ...]:
        if (
            request.freshness is None
            or self.dispatcher.topology is None
            or not isinstance(request.where, int)
        ):
            return ()
        return self.dispatcher.topology.replicas(request.where)

    def _wait(self, request: NodeRequest, code: int, message: str) -> None:
        """Send the request again in a moment, or fail it if its deadline comes first or it waited too often."""
        delay_ms = min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS << min(request.waits, 8))
        request.waits += 1
        when_ns = time.monotonic_ns() + delay_ms * 1_000_000
        if request.waits > _MAX_WAITS or when_ns >= request.deadline_ns:
            request.give_up(code, message)
            return
        self._waiting.add(request)
        self._loop.call_at(when_ns, self._go_on, request)

    def _go_on(self, request: NodeRequest) -> None:
        if request not in self._waiting:
            return
        self._waiting.discard(request)
        if request.is_wanted(time.monotonic_ns()):
            self.dispatcher.send(request)
        else:
            request.abandon()

    def _learn(self, topology: Topology) -> None:
        self.dispatcher.learn(topology)
        self._nodes.keep_only(topology)
        self._shard_reads.forget()
        self._on_topology()

    def _candidates(self) -> list[Address]:
        """Return the nodes to ask for the topology: connected nodes that answer, then the others, then the seeds."""
        if self.dispatcher.topology is None:
            return list(self._seeds)
        now_ns = time.monotonic_ns()
        sound = [
            node.address
            for node in self._nodes
            if node.upstream.connected and node.silent_ms(now_ns) < _LONGEST_WAIT_MS
        ]
        others = in_any_order(list(self.dispatcher.topology.nodes))
        return list(dict.fromkeys([*in_any_order(sound), *others, *self._seeds]))
