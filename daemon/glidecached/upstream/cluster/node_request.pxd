from libc.stdint cimport int64_t

from glidecached.upstream.call cimport Call, SingleCall
from glidecached.upstream.cluster.reply_collector cimport ReplyCollector, SingleReply
from glidecached.upstream.lane cimport Lanes
from glidecached.upstream.sender cimport CallSender


cdef class Node:
    cdef readonly object address
    cdef readonly object upstream
    # The upstream's compiled part, which requests use.
    cdef Lanes lanes
    cdef readonly Py_ssize_t open
    cdef readonly int64_t heard_ns
    cdef public int missing
    cdef public bint in_use

    cpdef object send(self, NodeRequest request)
    cpdef object expect_answer(self)
    cdef int leave(self, NodeRequest request) except -1


cdef class ClusterDispatcher(CallSender):
    cdef readonly object topology
    cdef public Py_ssize_t open
    cdef public Py_ssize_t max_open
    cdef public Py_ssize_t submitted
    cdef readonly object handler
    cdef object plan
    cdef dict nodes
    # The primaries' addresses by slot, as in the topology.
    cdef list primaries
    # Some primaries' addresses and their nodes, each at a place by the address's place in memory.
    cdef list recent_addresses
    cdef list recent_nodes
    cdef bint closed

    cpdef object send(self, NodeRequest request)
    cdef object send_to_slot(self, NodeCommand request, int slot)
    cdef Node node_at(self, object address)
    cdef NodeCommand request_to_slot(self, SingleCall call, int slot, ReplyCollector collector)


cdef class NodeRequest(SingleCall):
    cdef readonly ClusterDispatcher dispatcher
    # An int is a slot.
    cdef public object where
    cdef public bint replica
    cdef readonly bint resendable
    cdef readonly bint blocking
    cdef public bint asking
    cdef public object freshness
    cdef public Node node
    cdef public bint sent
    cdef public int redirections
    cdef public int losses
    cdef public int waits
    cdef readonly bint to_skip

    cpdef object give_up(self, int code, str message)
    cpdef object leave_node(self)
    cpdef object finish(self)
    cpdef bytes pack_commands(self)
    cpdef bint receive_reply(self, object reply) except -1
    cpdef object report_abandoned(self)
    cpdef object report_failure(self, int code, str message)


cdef class NodeCommand(NodeRequest):
    cdef ReplyCollector collector
    cdef Py_ssize_t place


cdef class NodeReadWithTtl(NodeCommand):
    cdef list replies
    # Replies to ASKING, which alternate with the others.
    cdef bint doubled
