from glidecache_shared.owned_descriptor cimport OwnedDescriptor
from glidecache_shared.wire.zmtp cimport SendBuffer, Stream


cdef class Dealer:
    cdef object __weakref__
    cdef readonly OwnedDescriptor file
    # The file's number, also after it was closed: event loops know the connection by it.
    cdef readonly int descriptor
    cdef readonly bint ended
    cdef Stream stream
    cdef SendBuffer unsent_parts
    # A message that has arrived and has not been asked for yet.
    cdef object arrived
    cdef bint writable

    cpdef bint has_arrived(self) noexcept
    cpdef bint has_unsent(self) noexcept
    cpdef int events(self) except -1
    cpdef object receive(self)
    cpdef object flush(self)
    cdef int send_one(self, bytes frame) except -1
    cdef int need_writable(self) except -1
    cdef int append(self, bytes frame) except -1
    cdef Py_ssize_t hand_over(self) except -1
    cdef object next(self)
