from libc.stdint cimport int64_t

from glidecache_shared.wire.packing cimport Header
from glidecached.process.deadlines cimport Deadlines
from glidecached.frontend.client_connection cimport ClientConnection
from glidecached.peers cimport OpenRequests
from glidecached.frontend.request cimport Request
from glidecached.frontend.connections cimport ConnectionSet


cdef class Dispatcher:
    cdef object socket
    cdef Deadlines deadlines
    cdef ConnectionSet traffic
    cdef readonly object turns
    cdef object knows_session
    cdef object instance_id
    cdef int64_t instance_number
    cdef Py_ssize_t max_message_bytes
    cdef dict operations
    cdef OpenRequests open
    cdef readonly object cancellations
    cdef int64_t warned_ns
    cdef readonly Py_ssize_t accepted
    cdef readonly object refused

    cdef int take(self, bytes identity, object peer, object frame, int64_t now_ns) except -1
    cdef int take_odd(
        self, ClientConnection connection, bytes identity, object peer, bytes frame, int64_t request_id, int64_t now_ns
    ) except -1
    cdef int take_large(self, ClientConnection connection, Request request, bytes frame, Header *header) except -1
    cdef bint move_charge(self, ClientConnection connection, Request request, Py_ssize_t length, Py_ssize_t more) except -1
    cdef int accept(self, ClientConnection connection, Request request, object operation, list body, int64_t now_ns) except -1
    cdef tuple judge(self, Header *header, int64_t now_ns)
    cdef tuple check(self, list message, int64_t now_ns)
    cdef int run(self, ClientConnection connection, object operation, Request request, list body) except -1
    cdef int go_on(self, ClientConnection connection, object steps, Request request) except -1
    cdef int refuse(self, Request request, int code, str message) except -1
    cdef int refuse_unreadable(self, str reason, str cause=*) except -1
