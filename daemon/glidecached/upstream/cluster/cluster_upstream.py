"""The upstream of a cluster: it splits a client's call into node requests, and combines their replies."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeGuard

from glidecache_shared.command_table import is_known_read
from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION, ERROR_REQUEST
from glidecached.upstream.call import BatchCall, SingleCall
from glidecached.upstream.cluster.multi_node_watch import ReservedOverNodes
from glidecached.upstream.cluster.node_batches import LongPipelines, NodeTransaction
from glidecached.upstream.cluster.node_request import NodeCommand, NodeReadWithTtl
from glidecached.upstream.cluster.nodes import Nodes
from glidecached.upstream.cluster.redirects import Redirects
from glidecached.upstream.cluster.reply_collector import AggregatedReply, PipelineReplies, SingleReply
from glidecached.upstream.cluster.routing import (
    Part,
    RoutingError,
    plan,
    plan_transaction,
    with_answers_by_key,
)
from glidecached.upstream.lane import BULK
from glidecached.upstream.latency_histogram import LatencyHistogram
from glidecached.upstream.replicas import Freshness
from glidecached.upstream.sender import UpstreamCore
from glidecached.upstream.target import numeric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from glidecached.process.loop import Loop
    from glidecached.upstream.cluster.reply_collector import ReplyCollector
    from glidecached.upstream.cluster.topology import Topology
    from glidecached.upstream.dedicated import ReservationHolder
    from glidecached.upstream.target import Address, Target, UpstreamOptions

    ClientCall = SingleCall | BatchCall

logger = logging.getLogger(__name__)

_WATCH_INTERVAL_MS = 500
_SILENT_MS = 1_000
_REFRESH_INTERVAL_NS = 30_000_000_000
_LONG_PIPELINE = 1_000
_COMMANDS_IN_STEP = 50


class ClusterUpstream(UpstreamCore):
    """The upstream of one cluster: see `glidecached.upstream.interface.Upstream`.

    `submit` is the compiled dispatcher's own: usual calls take its fast path, and this class plans all others.

    The first call asks the target's addresses for the topology; calls wait for it, and fail with the reasons when no
    node can be asked. Later the daemon asks again after redirects, when nodes are lost or silent, and regularly while
    there are sessions. One node gets its requests in order; redirects and waiting may change it.
    """

    def __init__(self, loop: Loop, target: Target, options: UpstreamOptions) -> None:
        self.target = target
        self.last_error: str | None = None
        self._loop = loop
        self._options = options
        self._latencies = LatencyHistogram()
        self._nodes = Nodes(loop, target, options, self._latencies)
        self._redirects = Redirects(
            loop,
            self._nodes,
            target.addresses,
            options,
            self._plan_call,
            self._topology_known,
            self._topology_unknown,
        )
        self._dispatcher = self._redirects.dispatcher
        self.sender = self._dispatcher
        self.fills_cache = True  # a node that is no longer the primary redirects readers to the new one
        self.submit = self._dispatcher.submit
        """Send one command: see `node_request.ClusterDispatcher`."""
        self._early: deque[tuple[ClientCall, bool, Freshness | None]] = deque()
        """Calls that wait for the topology."""
        self._closed_reason: str | None = None
        self._sessions = 0
        self._refused = 0
        self._long_pipelines = LongPipelines(loop)
        self._refreshed_ns = 0
        self._watch = loop.call_later(_WATCH_INTERVAL_MS, self._watch_nodes)

    @property
    def sessions(self) -> int:
        """Return the number of sessions that use it. The sessions keep this count."""
        return self._sessions

    @sessions.setter
    def sessions(self, count: int) -> None:
        self._sessions = count
        self._nodes.keep_connected(count)

    @property
    def proved(self) -> bool:
        """Return whether a node has accepted the target's credentials, and not refused them since (contract C18)."""
        return self._nodes.proved

    @property
    def busy(self) -> bool:
        """Return whether any call is open."""
        return bool(self._dispatcher.open or self._early)

    def submit_read(self, call: SingleCall, floor: int, *, primary_too: bool) -> None:
        """Send a read, as `submit` does. A replica of the primary may answer if it has all writes up to `floor`."""
        self._begin(call, blocking=False, freshness=Freshness(floor, primary_too))

    def submit_batch(self, call: BatchCall) -> None:
        """Send a transaction to one node; send a pipeline's commands each to their own node, in one write per node."""
        self._begin(call, blocking=False)

    def submit_blocking(self, call: ClientCall) -> None:
        """Send on connections of their own at the nodes concerned."""
        self._begin(call, blocking=True)

    def reserve(self, keys: Sequence[bytes], holder: ReservationHolder) -> ReservedOverNodes | str:
        """Reserve connections to the primaries of these keys; or return why there is none."""
        if self._closed_reason is not None:
            return self._closed_reason
        if self._dispatcher.topology is None:
            self._redirects.request_refresh()
            return "the cluster's topology is not known yet"
        reserved = ReservedOverNodes(self._dispatcher, self._nodes, holder)
        problem = reserved.reserve(keys)
        if problem is not None:
            reserved.close()
            return problem
        return reserved

    def drop_unwanted(self) -> None:
        """Drop calls that no client waits for any more: those not sent, and those with a connection of their own."""
        now_ns = time.monotonic_ns()
        early, self._early = self._early, deque()
        for entry in early:
            if entry[0].is_wanted(now_ns):
                self._early.append(entry)
            else:
                entry[0].abandon()
        for node in self._nodes:
            node.upstream.drop_unwanted()

    def has_nodes(self, addresses: Sequence[Address]) -> bool:
        """Return whether all addresses are the cluster's nodes, by its own nodes' topology or by the target."""
        topology = self._dispatcher.topology
        if topology is None:
            return False
        known = {numeric(each) for each in (*self.target.addresses, *topology.nodes)}
        return known.issuperset(map(numeric, addresses))

    def request_refresh(self) -> None:
        """Ask for the topology again, unless that is under way."""
        self._redirects.request_refresh()

    @property
    def max_dedicated(self) -> int:
        """Return the most connections for blocking calls and watches, to all nodes together."""
        return self._options.max_blocking_connections * max(1, sum(1 for _ in self._nodes))

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on, to all nodes. Other credentials are tried out at once."""
        self.target = target
        self._options = options
        self._nodes.reconfigure(target, options)
        self._dispatcher.max_open = options.max_waiting_requests
        self._redirects.refresh.patience_ms = options.connect_timeout_ms

    def close(self, reason: str) -> None:
        """Close everything; open calls fail."""
        if self._closed_reason is not None:
            return
        self._closed_reason = reason
        self._watch.cancel()
        self._redirects.close(reason)
        self._nodes.close(reason)
        self._fail_early(reason)

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator."""
        topology = self._dispatcher.topology
        nodes = [node.upstream.stats() for node in self._nodes]
        connected = [str(node.address) for node in self._nodes if node.upstream.connected]
        return {
            "mode": "cluster",
            "identity": str(self.target.identity),
            "addresses": [str(address) for address in self.target.addresses],
            "database": self.target.database,
            "connected_to": ", ".join(connected) or None,
            "software": [version._asdict() for version in self._nodes.server_versions],
            "last_error": self.last_error,
            "sessions": self._sessions,
            "requests": self._dispatcher.submitted,
            "failed": self._refused + sum(node["failed"] for node in nodes),
            "in_flight": sum(node["in_flight"] for node in nodes),
            "queued": len(self._early) + sum(node["queued"] for node in nodes),
            "connections_made": sum(node["connections_made"] for node in nodes),
            "blocking_connections": sum(node["blocking_connections"] for node in nodes),
            "slots_covered": 0 if topology is None else topology.slots_covered,
            "nodes": [] if topology is None else self._describe_nodes(topology),
            "redirections": dict(self._redirects.counts),
            "refreshes": self._redirects.refresh.count,
            **self._latencies.stats(),
        }

    def _plan_call(self, call: SingleCall) -> None:
        """Plan a call that does not take the fast path."""
        self._begin(call, blocking=False)

    def _begin(self, call: ClientCall, *, blocking: bool, freshness: Freshness | None = None) -> None:
        self._dispatcher.submitted += 1
        topology = self._dispatcher.topology
        if self._closed_reason is not None:
            self._refuse(call, ERROR_CONNECTION, self._closed_reason)
        elif self._dispatcher.open + len(self._early) >= self._options.max_waiting_requests:
            bound = self._options.max_waiting_requests
            self._refuse(call, ERROR_BUSY, f"{bound} requests already wait for this cluster")
        elif topology is None:
            self._early.append((call, blocking, freshness))
            self._redirects.request_refresh()
        else:
            self._send_call(call, topology, blocking=blocking, freshness=freshness)

    def _send_call(
        self, call: ClientCall, topology: Topology, *, blocking: bool, freshness: Freshness | None
    ) -> None:
        if call.lane == BULK and not blocking and (self._long_pipelines.busy or _is_long(call)):
            self._long_pipelines.start(self._send_in_steps(call, topology))
        else:
            self._send_at_once(call, topology, blocking=blocking, freshness=freshness)

    def _send_at_once(
        self, call: ClientCall, topology: Topology, *, blocking: bool, freshness: Freshness | None
    ) -> None:
        try:
            if isinstance(call, SingleCall):
                requests = self._requests_of(
                    call.arguments, topology, call, SingleReply(call), 0, blocking=blocking
                )
            elif call.atomic:
                self._send_transaction(call, topology, blocking=blocking)
                return
            else:
                requests = self._requests_of_pipeline(call, topology, blocking=blocking)
        except RoutingError as error:
            self._refuse(call, ERROR_REQUEST, str(error))
            return
        self._dispatcher.open += len(requests)
        if blocking and isinstance(call, BatchCall):
            self._redirects.send_blocking_pipeline(requests)
        else:
            for request in requests:
                request.lane = call.lane
                request.freshness = None if call.route is not None else freshness
                self._dispatcher.send(request)

    def _send_in_steps(self, call: ClientCall, topology: Topology) -> Iterator[None]:
        """Split and send a long pipeline, some commands a step; also a call that must not overtake one."""
        if not _is_long(call):
            self._send_at_once(call, topology, blocking=False, freshness=None)
            return
        commands = call.commands
        collector = PipelineReplies(len(commands), SingleReply(call))
        requests: list[NodeCommand] = []
        try:
            for place, command in enumerate(commands):
                requests += self._requests_of(command, topology, call, collector, place, blocking=False)
                if place % _COMMANDS_IN_STEP == 0:
                    yield None
        except RoutingError as error:
            self._refuse(call, ERROR_REQUEST, str(error))
            return
        self._dispatcher.open += len(requests)
        for place, request in enumerate(requests):
            request.lane = call.lane
            self._dispatcher.send(request)
            if place % _COMMANDS_IN_STEP == 0:
                yield None

    def _requests_of(
        self,
        arguments: Any,
        topology: Topology,
        call: ClientCall,
        collector: ReplyCollector,
        place: int,
        *,
        blocking: bool,
    ) -> list[NodeCommand]:
        parts, policy = plan(arguments, call.route, topology)
        make = NodeCommand
        if isinstance(call, SingleCall) and call.asks_ttl:
            make = NodeReadWithTtl
            policy = None if policy is None else with_answers_by_key(policy)
        if policy is not None:
            collector, place = AggregatedReply(parts, policy, collector, place), 0
        # The commands of a pipeline that only read may be sent again by themselves.
        resendable = call.repeatable or (isinstance(call, BatchCall) and is_known_read(arguments))
        return [
            make(
                self._dispatcher,
                part,
                collector,
                place + number,
                call.deadline_ns,
                resendable=resendable,
                blocking=blocking,
            )
            for number, part in enumerate(parts)
        ]

    def _requests_of_pipeline(
        self, call: BatchCall, topology: Topology, *, blocking: bool
    ) -> list[NodeCommand]:
        commands = call.commands
        collector = PipelineReplies(len(commands), SingleReply(call))
        return [
            request
            for place, command in enumerate(commands)
            for request in self._requests_of(command, topology, call, collector, place, blocking=blocking)
        ]

    def _send_transaction(self, call: BatchCall, topology: Topology, *, blocking: bool) -> None:
        where, replica = plan_transaction(call.commands, call.route, topology)
        self._dispatcher.open += 1
        request = NodeTransaction(self._dispatcher, Part((), where, replica), call, blocking=blocking)
        request.lane = call.lane
        self._dispatcher.send(request)

    def _describe_nodes(self, topology: Topology) -> list[dict[str, Any]]:
        slots = topology.slots_by_node()
        known = {node.address: node for node in self._nodes}
        return [
            {
                "address": str(address),
                "role": "primary" if address in slots else "replica",
                "slots": slots.get(address, 0),
                "connected": address in known and known[address].upstream.connected,
                "last_error": known[address].upstream.last_error if address in known else None,
            }
            for address in topology.nodes
        ]

    def _refuse(self, call: ClientCall, code: int, message: str) -> None:
        self._refused += 1
        call.fail(code, message)

    def _topology_known(self) -> None:
        topology = self._dispatcher.topology
        if topology is None:
            return
        if self.last_error is not None:
            logger.info("cluster reachable again", extra={"cluster": str(self.target.addresses[0])})
        self.last_error = None
        self._refreshed_ns = time.monotonic_ns()
        early, self._early = self._early, deque()
        for call, blocking, freshness in early:
            if call.is_wanted(self._refreshed_ns):
                self._send_call(call, topology, blocking=blocking, freshness=freshness)
            else:
                call.abandon()

    def _topology_unknown(self, reason: str) -> None:
        if self.last_error != reason:
            logger.warning(
                "cluster topology unavailable",
                extra={"cluster": str(self.target.addresses[0]), "reason": reason},
            )
        self.last_error = reason
        self._fail_early(reason)

    def _fail_early(self, reason: str) -> None:
        early, self._early = self._early, deque()
        for call, *_ in early:
            self._refuse(call, ERROR_CONNECTION, reason)

    def _watch_nodes(self) -> None:
        """Ask for the topology regularly, and when a node is silent: it may have been replaced."""
        self._watch = self._loop.call_later(_WATCH_INTERVAL_MS, self._watch_nodes)
        now_ns = time.monotonic_ns()
        silent = any(node.silent_ms(now_ns) > _SILENT_MS for node in self._nodes)
        old = self._sessions > 0 and now_ns - self._refreshed_ns > _REFRESH_INTERVAL_NS
        if self._dispatcher.topology is not None and (silent or old):
            self._redirects.request_refresh()


def _is_long(call: ClientCall) -> TypeGuard[BatchCall]:
    return isinstance(call, BatchCall) and not call.atomic and len(call.commands) >= _LONG_PIPELINE
