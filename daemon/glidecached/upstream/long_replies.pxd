cdef class LongReplies:
    cdef readonly Py_ssize_t count
    cdef object _keys

    cpdef bint has(self, object arguments) except -1
    cpdef object add(self, object arguments)
