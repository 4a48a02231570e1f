cdef object finish(object coroutine)


cdef class PendingRequests:
    cdef Py_ssize_t limit
    cdef public Py_ssize_t open
    cdef object forks
    cdef object made_after
    cdef object too_many

    cdef int begin(self) except -1
    cdef bint are_the_parents(self) except -1
