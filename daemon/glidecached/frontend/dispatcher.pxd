from glidecached.budget cimport OpenRequests
from glidecached.frontend.client_connection cimport ClientConnection
from glidecached.frontend.connections cimport ConnectionSet
from glidecached.frontend.messages cimport MessageHeader, Packer, Scanner, Unpacker
from glidecached.frontend.request cimport Cancellations, Request
from glidecached.process.deadlines cimport Deadlines


cdef class Dispatcher:
    cdef ConnectionSet connections
    cdef Deadlines deadlines
    cdef readonly object sliced_work
    cdef object knows_session
    cdef long long instance_id
    cdef dict operations
    cdef OpenRequests open
    cdef readonly Cancellations cancellations
    cdef readonly object refused
    cdef readonly Py_ssize_t accepted
    cdef MessageHeader header
    cdef long long warned_ns

    cdef object dispatch(self, ClientConnection connection, bytes message, long long now_ns)
    cdef object dispatch_large(self, ClientConnection connection, Request request, bytes message)
    cdef object accept(
        self, ClientConnection connection, Request request, object operation, list body, long long now_ns)
    cdef object run(self, ClientConnection connection, object operation, Request request, list body)
    cdef tuple judge(self, object operation, long long now_ns)
    cdef tuple judge_odd(self, list header)
    cdef tuple judge_large(self, Request request, Py_ssize_t length, long long session_id)
    cdef object continue_in_slices(self, ClientConnection connection, object steps, Request request)
    cdef object refuse(self, Request request, int code, str reason)
    cdef object refuse_odd(self, ClientConnection connection, bytes message)
    cdef object refuse_unreadable(self, str reason, str cause=*)
