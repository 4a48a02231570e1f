"""The compiled path of a call in a cluster: its requests to nodes, and the dispatcher that sends them.

A client's call becomes one node request or several: a command, or a transaction, for one node. A redirect may lead a
request to several nodes one after another; its reply collector hears once how it ended. The fast path is for the usual
call: a command with one key and no route, for the primary of the key's slot. It is recognized at first sight. All other
calls are planned (`routing`); the result is the same where a call could take either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import cython
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns
from cython.cimports.glidecached.upstream.call import (
    BULK_LANE,
    command_pieces,
    pack_command,
    pack_key_command,
    packed_with_ttls,
    pieces_with_ttls,
)
from cython.cimports.glidecached.upstream.cluster.slots import slot_of_one_key

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.call import Call, SingleCall
from glidecached.upstream.cluster.reply_collector import ReplyCollector, SingleReply
from glidecached.upstream.sender import CallSender

if TYPE_CHECKING:
    from collections.abc import Callable

    from cython.cimports.libc.stdint import int64_t

    from glidecached.command_order import CommandOrder
    from glidecached.upstream.cluster.routing import Part
    from glidecached.upstream.cluster.topology import Topology
    from glidecached.upstream.replicas import Freshness
    from glidecached.upstream.standalone import StandaloneUpstream
    from glidecached.upstream.target import Address

NAME_AND_KEY = cython.declare(cython.Py_ssize_t, 2)
RECENT_MASK = cython.declare(cython.Py_ssize_t, 63)
_ASKING = cython.declare(bytes, pack_command((b"ASKING",)))
READONLY: bytes = pack_command((b"READONLY",))
"""The bytes that are written before a read that a replica is to answer."""


class Node:
    """One node: its connections, and the number of requests that wait for it. For the loop's thread.

    Its upstream connects on first use, and again by itself when the connection is lost.
    """

    def __init__(self, address: Address, upstream: StandaloneUpstream) -> None:
        self.address = address
        self.upstream = upstream
        self.lanes = upstream.lanes
        self.open: cython.Py_ssize_t = 0
        """The number of requests at the node, without blocking ones."""
        self.heard_ns: int64_t = 0
        """When it last answered, or when it was asked while no request waited for it."""
        self.in_use = True
        """False once it is none of the cluster's nodes any more."""
        self.missing: cython.int = 0
        """The number of consecutive topologies that did not name it."""

    def send(self, request: NodeRequest) -> None:
        """Send a request behind those sent before; one that blocks uses a dedicated connection."""
        request.node = self
        if request.blocking:
            self.upstream.submit_blocking(request)
        else:
            self.expect_answer()
            self.lanes.submit(request)

    def expect_answer(self) -> None:
        """Count a request that is sent and will not block."""
        if not self.open:
            self.heard_ns = monotonic_ns()
        self.open += 1

    def silent_ms(self, now_ns: int) -> float:
        """Return for how long it has not answered although it was asked, in milliseconds."""
        return (now_ns - self.heard_ns) / 1e6 if self.open else 0.0

    def leave(self, request: NodeRequest) -> cython.int:
        """Note that the request has ended or goes to another node."""
        if not request.blocking:
            self.open -= 1
            self.heard_ns = monotonic_ns()
        return 0


class RequestHandler(Protocol):
    """The handler of a dispatcher's unusual requests: see `redirects.Redirects`."""

    def send_unusual(self, request: NodeRequest) -> None:
        """Send a request that does not go to the primary of its slot, or whose primary has never been used."""

    def redirected(self, request: NodeRequest, error: str) -> bool:
        """Handle a server's error. Return True if it was a redirect and the request was sent again."""

    def lost(self, request: NodeRequest, code: int, message: str) -> None:
        """Handle a request whose node could not be asked, or was lost before it answered."""


class ClusterDispatcher(CallSender):
    """The sender of one cluster's node requests. Belongs to the loop's thread.

    A request to the primary of its slot is sent from here, by the topology and the nodes known at that moment.
    `handler` gets all others, and those that return without an answer; `plan` gets the calls that are not usual.
    """

    def __init__(
        self,
        nodes: dict[Address, Node],
        handler: RequestHandler,
        plan: Callable[[SingleCall], object],
        max_open: cython.Py_ssize_t,
    ) -> None:
        """`nodes` are those in use; the owner adds and removes them."""
        self.nodes = nodes
        self.handler = handler
        self.plan = plan
        self.max_open = max_open
        """The number of requests under way at which no call takes the fast path."""
        self.topology: Topology | None = None
        self.primaries: list[Address | None] | None = None
        self.open: cython.Py_ssize_t = 0
        """The number of requests under way."""
        self.submitted: cython.Py_ssize_t = 0
        """The number of calls."""
        self.closed = False
        self.recent_addresses: list[Address | None] = [None] * (RECENT_MASK + 1)
        self.recent_nodes: list[Node | None] = [None] * (RECENT_MASK + 1)

    def submit(self, single: Call) -> None:
        """Send the command to the node of its keys, or to where it goes without keys."""
        call: SingleCall = cython.cast(SingleCall, single, typecheck=True)
        collector: SingleReply
        slot: cython.int
        if (
            call.route is None
            # A call on the bulk lane must not overtake a long pipeline that is still being split.
            and call.lane != BULK_LANE
            and self.primaries is not None
            and not self.closed
            and self.open < self.max_open
        ):
            slot = slot_of_one_key(call.arguments)
            if slot >= 0:
                collector = SingleReply.__new__(SingleReply)
                collector.call = call
                self.submitted += 1
                self.open += 1
                self.send_to_slot(self.request_to_slot(call, slot, collector), slot)
                return
        self.plan(call)

    def send(self, request: NodeRequest) -> None:
        """Send a request to the node that serves it now."""
        node: Node | None = None
        if (
            self.primaries is not None
            and type(request.where) is int
            and not request.replica
            and request.freshness is None
        ):
            node = self.node_at(self.primaries[request.where])
        if node is None:
            self.handler.send_unusual(request)
        else:
            node.send(request)

    def send_to_slot(self, request: NodeCommand, slot: cython.int) -> None:
        """Send a request to the primary of its slot, as `send` does."""
        node: Node | None = self.node_at(cython.cast(list, self.primaries)[slot])
        if node is None:
            self.handler.send_unusual(request)
        else:
            node.send(request)

    def node_at(self, address: Address | None) -> Node | None:
        """Return the node at that address of the topology, if it is in use."""
        place: cython.Py_ssize_t = (
            cython.cast(cython.Py_ssize_t, cython.cast(cython.p_void, address)) >> 4
        ) & RECENT_MASK
        node: Node | None = self.recent_nodes[place]
        if node is not None and node.in_use and self.recent_addresses[place] is address:
            return node
        node = self.nodes.get(address)  # type: ignore[arg-type]
        if node is not None:
            self.recent_addresses[place] = address
            self.recent_nodes[place] = node
        return node

    def learn(self, topology: Topology) -> None:
        """Send requests by this topology from now on, and by what it learns from redirects."""
        self.topology = topology
        self.primaries = topology.by_slot

    def close(self) -> None:
        """Let no call take the fast path any more."""
        self.closed = True

    def request_to_slot(self, call: SingleCall, slot: cython.int, collector: ReplyCollector) -> NodeCommand:
        """Return the call itself as a request to the primary of its slot."""
        request: NodeCommand = (
            NodeReadWithTtl.__new__(NodeReadWithTtl) if call.asks_ttl else NodeCommand.__new__(NodeCommand)
        )
        request.dispatcher = self
        request.arguments = call.arguments  # type: ignore[misc]
        request.deadline_ns = call.deadline_ns
        request.where = slot
        request.resendable = call.repeatable
        request.lane = call.lane
        request.collector = collector
        return request


class NodeRequest(SingleCall):
    """A request to one node. The node never repeats it by itself: the dispatcher's handler decides.

    Subclasses implement what is written (`pack_commands`), whether a reply was the last (`receive_reply`), and the
    other outcomes (`report_abandoned`, `report_failure`).
    """

    def __init__(
        self,
        dispatcher: ClusterDispatcher,
        part: Part,
        deadline_ns: int64_t,
        *,
        resendable: cython.bint,
        blocking: cython.bint,
    ) -> None:
        self.dispatcher = dispatcher
        self.arguments = part.arguments  # type: ignore[misc]
        self.deadline_ns = deadline_ns
        self.where = part.where
        """A slot, a node, or any primary."""
        self.replica = part.replica
        self.resendable = resendable
        """True if it may run twice."""
        self.blocking = blocking
        self.asking = False
        self.freshness: Freshness | None = None
        """Set if a replica may answer: the data that the replica must have."""
        self.node: Node | None = None
        self.sent = False
        """True if it was written to a connection, and may have run there."""
        self.redirections: cython.int = 0
        self.losses: cython.int = 0
        self.waits: cython.int = 0
        self.to_skip = False
        """True while a reply is due to what was sent before the command."""

    def pack(self) -> bytes:
        """Implement `Call`: for a replica or an ASK, with the words that make a node accept the command once."""
        self.sent = True
        self.to_skip = self.asking or self.replica
        if not self.to_skip:
            return self.pack_commands()
        return (_ASKING if self.asking else READONLY) + self.pack_commands()

    def receive(self, reply: Any) -> cython.bint:
        """Implement `Call`."""
        if self.to_skip:
            # Should ASKING or READONLY have been refused, the command's own reply will show it.
            self.to_skip = False
            return False
        return self.receive_reply(reply)

    def replies_left(self) -> cython.Py_ssize_t:
        """Implement `Call`."""
        return 1 + self.to_skip

    def abandon(self) -> None:
        """Implement `Call`."""
        self.finish()
        self.report_abandoned()

    def succeed(self, reply: Any) -> None:
        """Implement `Call`."""
        self.receive(reply)

    def fail(self, code: cython.int, message: str) -> None:
        """Implement `Call`: this node cannot answer; another may."""
        self.leave_node()
        self.dispatcher.handler.lost(self, code, message)

    def give_up(self, code: cython.int, message: str) -> None:
        """Fail the request: it will not be sent again."""
        self.finish()
        self.report_failure(code, message)

    def leave_node(self) -> None:
        """Leave the node, which no longer waits for it."""
        node: Node | None = self.node
        self.node = None
        if node is not None:
            node.leave(self)

    def finish(self) -> None:
        """Note that it has its outcome."""
        self.leave_node()
        self.dispatcher.open -= 1

    def pack_commands(self) -> bytes:
        """Return the bytes for the node."""
        raise NotImplementedError

    def receive_reply(self, reply: Any) -> cython.bint:
        """Take a reply to it. Return whether it was the last."""
        raise NotImplementedError

    def report_abandoned(self) -> None:
        """Inform the waiting call or collector that the request was not wanted."""
        raise NotImplementedError

    def report_failure(self, code: cython.int, message: str) -> None:
        """Inform the waiting call or collector that there will be no reply."""
        raise NotImplementedError


class NodeCommand(NodeRequest):
    """A single command, for `place` of a reply collector."""

    def __init__(
        self,
        dispatcher: ClusterDispatcher,
        part: Part,
        collector: ReplyCollector,
        place: cython.Py_ssize_t,
        deadline_ns: int64_t,
        *,
        resendable: cython.bint,
        blocking: cython.bint,
    ) -> None:
        super().__init__(dispatcher, part, deadline_ns, resendable=resendable, blocking=blocking)
        self.collector = collector
        self.place = place

    def is_wanted(self, now_ns: int64_t) -> cython.bint:
        """Implement `Call`: as the collector knows."""
        return self.collector.is_wanted(now_ns)

    def pack_commands(self) -> bytes:
        """Implement `NodeRequest`: one command."""
        packed: bytes
        if type(self.arguments) is tuple and len(cython.cast(tuple, self.arguments)) == NAME_AND_KEY:
            packed = pack_key_command(self.arguments[0], self.arguments[1])
        else:
            packed = pack_command(self.arguments)
        return packed

    def pack_pieces(self) -> list[bytes]:
        """Implement `Call`: as `pack`, without copying long arguments."""
        self.sent = True
        self.to_skip = self.asking or self.replica
        pieces: list[bytes] = command_pieces(self.arguments)
        if self.to_skip:
            pieces.insert(0, _ASKING if self.asking else READONLY)
        return pieces

    def receive_reply(self, reply: Any) -> cython.bint:
        """Implement `NodeRequest`: one reply, which may be a redirect."""
        if type(reply) is ReplyError and self.dispatcher.handler.redirected(self, str(reply)):
            return True
        self.finish()
        self.collector.collect(self.place, reply)
        return True

    def may_move(self) -> cython.bint:
        """Implement `Call`."""
        return self.resendable and not self.blocking and not self.asking and not self.replica

    def clients(self) -> list[CommandOrder]:
        """Implement `Call`."""
        return self.collector.clients()

    def refusal(self, reply_bytes: cython.Py_ssize_t) -> str | None:
        """Implement `Call`."""
        return self.collector.refusal(reply_bytes)

    def travel(self, way: cython.int) -> None:
        """Implement `Call`."""
        self.way = way
        self.collector.travel(way)

    def divide(self, pinned: Any) -> Call | None:
        """Implement `Call`: the other call has a request of its own, at the same node."""
        other: Call | None = self.collector.divide(pinned)
        if other is None:
            return None
        collector: SingleReply = SingleReply.__new__(SingleReply)
        collector.call = other
        request: NodeCommand = self.dispatcher.request_to_slot(
            cython.cast(SingleCall, other), self.where, collector
        )
        self.dispatcher.open += 1
        node: Node | None = self.node
        request.node = node
        if node is not None:
            node.expect_answer()
        return request

    def report_abandoned(self) -> None:
        """Implement `NodeRequest`."""
        self.collector.abandon()

    def report_failure(self, code: cython.int, message: str) -> None:
        """Implement `NodeRequest`."""
        self.collector.fail(self.place, code, message)


class NodeReadWithTtl(NodeCommand):
    """A read and PTTL of its keys, one request: a redirect of any of them redirects all (contract C29).

    The collector gets a list: the read's own reply, and the answers to PTTL in the order of the keys. A primary is
    asked, never a replica.
    """

    replies: list[Any] | None
    doubled: bool

    def pack(self) -> bytes:
        """Implement `Call`: all in one write."""
        self._begin()
        packed: bytes = packed_with_ttls(self.arguments, self.asking)
        return packed

    def pack_pieces(self) -> list[bytes]:
        """Implement `Call`."""
        self._begin()
        pieces: list[bytes] = pieces_with_ttls(self.arguments, self.asking)
        return pieces

    def receive(self, reply: Any) -> cython.bint:
        """Implement `Call`: the outcome is known with the last reply."""
        replies: list[Any] = cython.cast(list, self.replies)
        replies.append(reply)
        if self.replies_left():
            return False
        if self.doubled:
            # Should ASKING have been refused, the replies of the commands themselves will show it.
            replies = replies[1::2]
        # The read's own error comes first. Each entry of the list below is a single command's reply.
        for each in replies:
            if type(each) is ReplyError and self.dispatcher.handler.redirected(self, str(each)):
                return True
        self.finish()
        self.collector.collect(self.place, replies)
        return True

    def replies_left(self) -> cython.Py_ssize_t:
        """Implement `Call`."""
        taken: cython.Py_ssize_t = 0 if self.replies is None else len(self.replies)
        return len(self.arguments) * (1 + self.doubled) - taken

    def restart(self) -> None:
        """Implement `Call`."""
        self.replies = []

    def _begin(self) -> None:
        self.sent = True
        self.replies = []
        self.doubled = self.asking
