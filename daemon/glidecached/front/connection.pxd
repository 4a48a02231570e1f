from libc.stdint cimport int64_t

from glidecache_shared.outbox cimport Outbox
from glidecache_shared.zmtp cimport Stream


cdef class PeerConnection:
    cdef object socket
    cdef Stream stream
    cdef Outbox outbox
    cdef Py_ssize_t max_message_bytes
    cdef public Py_ssize_t max_unsent
    cdef readonly bytes identity
    cdef readonly object peer
    cdef readonly int64_t accepted_ns
    cdef readonly int descriptor
    cdef readonly bint ended
    cdef public bint watches_room

    cpdef int receive(self) except -1
    cpdef object take(self)
    cpdef bint flush(self) except -1
    cdef bint is_full(self) noexcept
