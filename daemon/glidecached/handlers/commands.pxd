from glidecached.client_session cimport ClientSession, Sessions
from glidecached.frontend.operations cimport Operation
from glidecached.frontend.request cimport Request
from glidecached.handlers.arguments cimport need, need_all_bytes, need_command, need_kind
from glidecached.handlers.calls cimport BatchRequestCall, CommandCall, ReadCall
from glidecached.pools.entries cimport PoolEntries
from glidecached.handlers.facts cimport CommandFacts, facts_of, note_write, note_writes
from glidecached.sequence cimport Sequence
from glidecached.many_reads cimport ManyReadsParts
from glidecached.single_flight cimport Flights
from glidecached.upstream.long_replies cimport LongReplies


cdef class CommandHandlers:
    cdef Sessions sessions
    cdef Sequence next_sequence
    cdef LongReplies long_replies
    cdef object dedicated

    cpdef object command(self, Request request, list body)
    cdef object pass_through(self, Request request, ClientSession session, list arguments, object route)
    cpdef object read(self, Request request, list body)
    cpdef object get_many(self, Request request, list body)
    cdef object read_key(self, Request request, ClientSession session, int kind, bytes key)
    cdef bint may_block(self, Request request, ClientSession session) except -1
    cpdef object send_command(
        self, Request request, ClientSession session, list arguments, bint reads, int lane, object route)
    cpdef object send_read(self, Request request, ClientSession session, int kind, bytes key, int lane)
    cpdef object send_get_many(self, Request request, ClientSession session, list keys, int lane)
    cdef object submit_batch(
        self, Request request, object screening, object session_id, bint atomic, list commands, object route,
        list packed=*)
    cdef object send_blocking_batch(
        self, Request request, ClientSession session, list commands, bint reads, object route)
    cpdef object send_batch(
        self, Request request, ClientSession session, list commands, bint atomic, bint reads, int lane, object route,
        list packed)


cdef class CommandOperation(Operation):
    cdef CommandHandlers handlers


cdef class GetManyOperation(Operation):
    cdef CommandHandlers handlers


cdef class ReadOperation(Operation):
    cdef CommandHandlers handlers


cdef bint lacks_some(list values) except -1
cdef bint may_route(Request request, ClientSession session, object route) except -1
