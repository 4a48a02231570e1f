from libc.stdint cimport int64_t

from glidecached.upstream.tally cimport Tally


cdef class Connection:
    cdef object loop
    cdef object channel
    cdef object socket
    cdef int descriptor
    cdef bint is_tls
    cdef object owner
    cdef Tally tally
    cdef object reader
    # What the socket has not taken, from `written` on; None when there is nothing.
    cdef bytes unwritten
    cdef Py_ssize_t written
    cdef int events
    cdef readonly object waiting
    cdef readonly int64_t last_received_ns

    cpdef object send(self, object calls)
    cpdef object close(self)
    cdef bint write(self) except -1
    cdef Py_ssize_t send_some(self) except -1
    cdef int watch(self, int events) except -1
    cdef int read(self) except -1
    cdef Py_ssize_t receive_some(self) except -2
    cdef int settle(self) except -1
    cdef int spoil(self, str reason) except -1
    cdef int lose(self, str reason) except -1
