from glidecached.upstream.cluster.node_request cimport RequestSender


cdef class FastPath:
    cdef public object _options
    cdef public object _closed_reason
    cdef public object _early
    cdef public Py_ssize_t _submitted
    cdef public RequestSender _journeys

    cpdef bint _has_room(self) except -1


cpdef int slot_of_one_key(object arguments) except -2
