from glidecached.process.deadlines cimport Deadlines
from glidecached.peers cimport OpenRequests
from glidecached.frontend.request cimport Request


cdef class Cancellations:
    cdef Deadlines deadlines
    cdef OpenRequests open
    # Connections that have ended; request ids by connection; detached sessions, with the requests that detached them.
    cdef set peers
    cdef dict named
    cdef list sessions
    cdef bint planned
    cdef readonly Py_ssize_t cancelled

    cdef int plan(self) except -1
    cdef bint is_cancelled(self, Request request) except -1
    cdef Request closed_with_session(self, Request request)
