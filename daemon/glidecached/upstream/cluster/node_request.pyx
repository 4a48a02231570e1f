"""Node requests, and the usual sending of them (see node_request.pyi)."""

from libc.stdint cimport int64_t

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.upstream.call cimport Call, SingleCall, command_pieces, pack_command
from glidecached.upstream.cluster.sinks cimport ReplyCollector, SingleReply

from glidecache_shared.protocol import ReplyError

cdef bytes ASKING = pack_command((b"ASKING",))
READONLY = pack_command((b"READONLY",))


cdef class NodeState:
    def __init__(self, address, link):
        self.address = address
        self.link = link

    def send(self, NodeRequest leg not None):
        self.send_leg(leg)

    cdef object send_leg(self, NodeRequest leg):
        leg.node = self
        if leg.blocking:
            self.link.submit_blocking(leg)
        else:
            self.expect_answer()
            self.link.submit(leg)

    cpdef object expect_answer(self):
        if not self.open:
            self.heard_ns = monotonic_ns()
        self.open += 1

    cdef int left(self, NodeRequest leg) except -1:
        """Note that the request has ended or goes to another node."""
        if not leg.blocking:
            self.open -= 1
            self.heard_ns = monotonic_ns()
        return 0


cdef class RequestSender:
    def __init__(self, nodes):
        self._nodes = nodes

    def send(self, NodeRequest leg not None):
        self.send_leg(leg)

    cdef object send_leg(self, NodeRequest leg):
        cdef NodeState node = None
        cdef list by_slot
        cdef dict by_address
        if type(leg.where) is int and not leg.replica and leg.freshness is None and self.topology is not None:
            by_slot = self.topology.by_slot
            by_address = self._nodes.by_address
            node = by_address.get(by_slot[leg.where])
        if node is None:
            self.send_unusual(leg)
        else:
            node.send_leg(leg)

    cpdef object send_unusual(self, NodeRequest leg):
        raise NotImplementedError

    cpdef bint redirected(self, NodeRequest leg, str error) except -1:
        raise NotImplementedError

    cpdef object lost(self, NodeRequest leg, int code, str message):
        raise NotImplementedError


cdef class NodeRequest(SingleCall):
    def __init__(self, RequestSender journeys not None, part, int64_t deadline_ns, *, bint resendable, bint blocking):
        self._journeys = journeys
        self.arguments = part.arguments
        self.deadline_ns = deadline_ns
        self.where = part.where
        self.replica = part.replica
        self.resendable = resendable
        self.blocking = blocking

    cpdef bytes pack(self):
        self.sent = True
        self.to_skip = self.asking or self.replica
        if not self.to_skip:
            return self._pack()
        # What makes a node accept a command that is not for it as a primary, for this one time.
        return (ASKING if self.asking else <bytes>READONLY) + self._pack()

    cpdef bint receive(self, object reply) except -1:
        if self.to_skip:
            # Should ASKING or READONLY have been refused, the command's own reply will show it.
            self.to_skip = False
            return False
        return self._receive(reply)

    cpdef Py_ssize_t replies_left(self) except -1:
        return 1 + self.to_skip

    cpdef object abandon(self):
        self._end()
        self._abandon()

    cpdef object succeed(self, object reply):
        self.receive(reply)

    cpdef object fail(self, int code, str message):
        # This node cannot answer; another may.
        self.leave_node()
        self._journeys.lost(self, code, message)

    cpdef object give_up(self, int code, str message):
        self._end()
        self._give_up(code, message)

    cpdef object leave_node(self):
        cdef NodeState node = self.node
        self.node = None
        if node is not None:
            node.left(self)

    cpdef object _end(self):
        self.leave_node()
        self._journeys.open -= 1

    cpdef bytes _pack(self):
        raise NotImplementedError

    cpdef bint _receive(self, object reply) except -1:
        raise NotImplementedError

    cpdef object _abandon(self):
        raise NotImplementedError

    cpdef object _give_up(self, int code, str message):
        raise NotImplementedError


cdef class NodeCommand(NodeRequest):
    def __init__(
        self, RequestSender journeys not None, part, ReplyCollector sink not None, Py_ssize_t place, int64_t deadline_ns,
        *, bint resendable, bint blocking,
    ):
        NodeRequest.__init__(self, journeys, part, deadline_ns, resendable=resendable, blocking=blocking)
        self.sink = sink
        self.place = place

    cpdef bint is_wanted(self, int64_t now_ns) except -1:
        return self.sink.is_wanted(now_ns)

    cpdef bytes _pack(self):
        return pack_command(self.arguments)

    cpdef list pack_pieces(self):
        self.sent = True
        self.to_skip = self.asking or self.replica
        if not self.to_skip:
            return command_pieces(self.arguments)
        return [ASKING if self.asking else <bytes>READONLY, *command_pieces(self.arguments)]

    cpdef bint _receive(self, object reply) except -1:
        if type(reply) is ReplyError and self._journeys.redirected(self, str(reply)):
            return True
        self._end()
        self.sink.take(self.place, reply)
        return True

    cpdef bint may_move(self) except -1:
        return self.resendable and not self.blocking and not self.asking and not self.replica

    cpdef list clients(self):
        return self.sink.clients()

    cpdef object refusal(self, Py_ssize_t reply_bytes):
        return self.sink.refusal(reply_bytes)

    cpdef object travel(self, int way):
        self.way = way
        self.sink.travel(way)

    cpdef object divide(self, object pinned):
        cdef NodeCommand leg
        cdef SingleReply whole
        cdef Call other = self.sink.divide(pinned)
        if other is None:
            return None
        whole = SingleReply.__new__(SingleReply)
        whole.call = other
        leg = leg_to_slot(self._journeys, <SingleCall>other, self.where, whole)
        self._journeys.open += 1
        leg.node = self.node
        (<NodeState>self.node).expect_answer()
        return leg

    cpdef object _abandon(self):
        self.sink.abandon()

    cpdef object _give_up(self, int code, str message):
        self.sink.fail(self.place, code, message)


cdef NodeCommand leg_to_slot(RequestSender journeys, SingleCall call, int slot, ReplyCollector sink):
    """Return the call itself as a request to the primary of its slot."""
    cdef NodeCommand leg = NodeCommand.__new__(NodeCommand)
    leg._journeys = journeys
    leg.arguments = call.arguments
    leg.deadline_ns = call.deadline_ns
    leg.where = slot
    leg.resendable = call.repeatable
    leg.lane = call.lane
    leg.sink = sink
    return leg
