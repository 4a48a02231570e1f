cdef class Account:
    cdef object shares
    cdef readonly object peer
    # What is held, and what was granted for it by the shares.
    cdef readonly Py_ssize_t held
    cdef readonly Py_ssize_t granted
    # Why the last `take` was refused.
    cdef readonly str full
    cdef bint closed

    cdef bint take(self, Py_ssize_t size) except -1
    cdef bint take_more(self, Py_ssize_t size) except -1
    cdef int force(self, Py_ssize_t size) except -1
    cdef int give(self, Py_ssize_t size) except -1
    cdef int trim(self, Py_ssize_t keep) except -1
    cdef int close(self) except -1
