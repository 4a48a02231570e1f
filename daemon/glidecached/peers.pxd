cdef class OpenRequests:
    cdef public Py_ssize_t max_per_peer
    cdef readonly Py_ssize_t total
    cdef dict counts

    cpdef bint enter(self, bytes identity) except -1
    cpdef int leave(self, bytes identity) except -1
