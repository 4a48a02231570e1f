from libc.stdint cimport int64_t

from glidecached.deadlines cimport Deadlines
from glidecached.front.peers cimport OpenRequests
from glidecached.front.request cimport Request


cdef class Front:
    cdef object socket
    cdef Deadlines deadlines
    cdef object instance_id
    cdef Py_ssize_t max_message_bytes
    cdef dict operations
    cdef OpenRequests open
    cdef readonly object cancellations
    cdef int64_t warned_ns
    cdef readonly Py_ssize_t accepted
    cdef readonly object refused

    cdef int take(self, bytes identity, object peer, object frame, int64_t now_ns) except -1
    cdef tuple check(self, list message, int64_t now_ns)
    cdef int run(self, object operation, Request request, list body) except -1
    cdef int refuse(self, Request request, int code, str message) except -1
    cdef int refuse_unreadable(self, str reason, str cause=*) except -1
