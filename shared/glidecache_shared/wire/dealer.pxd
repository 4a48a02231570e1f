from glidecache_shared.owned cimport OwnedDescriptor
from glidecache_shared.wire.send_buffer cimport SendBuffer
from glidecache_shared.wire.zmtp cimport Stream


cdef class Dealer:
    cdef Stream stream
    cdef SendBuffer outbox
    # A message that has come and was not asked for yet.
    cdef object arrived
    cdef bint writable
    cdef readonly bint ended
    cdef readonly int descriptor
    cdef OwnedDescriptor file

    cpdef int events(self) except -1
    cpdef object receive(self)
    cpdef object flush(self)
    cdef Py_ssize_t hand_over(self) except -1
    cdef object next(self)
