from libc.stdint cimport int64_t

from glidecached.upstream.call cimport SingleCall
from glidecached.upstream.cluster.sinks cimport ReplyCollector


cdef class NodeState:
    cdef readonly object address
    cdef readonly object link
    cdef readonly Py_ssize_t open
    cdef readonly int64_t heard_ns

    cdef object send_leg(self, NodeRequest leg)
    cpdef object expect_answer(self)
    cdef int left(self, NodeRequest leg) except -1


cdef class RequestSender:
    cdef public object topology
    cdef public Py_ssize_t open
    cdef readonly object _nodes

    cdef object send_leg(self, NodeRequest leg)
    cpdef object send_unusual(self, NodeRequest leg)
    cpdef bint redirected(self, NodeRequest leg, str error) except -1
    cpdef object lost(self, NodeRequest leg, int code, str message)


cdef class NodeRequest(SingleCall):
    cdef readonly RequestSender _journeys
    # An int is a slot.
    cdef public object where
    cdef public bint replica
    cdef readonly bint resendable
    cdef readonly bint blocking
    cdef public bint asking
    cdef public object freshness
    cdef public NodeState node
    cdef public bint sent
    cdef public int redirections
    cdef public int losses
    cdef public int waits
    cdef readonly bint to_skip

    cpdef object give_up(self, int code, str message)
    cpdef object leave_node(self)
    cpdef object _end(self)
    cpdef bytes _pack(self)
    cpdef bint _receive(self, object reply) except -1
    cpdef object _abandon(self)
    cpdef object _give_up(self, int code, str message)


cdef class NodeCommand(NodeRequest):
    cdef ReplyCollector sink
    cdef Py_ssize_t place


cdef NodeCommand leg_to_slot(RequestSender journeys, SingleCall call, int slot, ReplyCollector sink)
