from glidecached.frontend.caller cimport Caller


cdef class OpenRequests:
    cdef public Py_ssize_t max_per_peer
    cdef readonly Py_ssize_t total
    cdef readonly Py_ssize_t peers

    cpdef bint enter(self, Caller caller) except -1
    cpdef object leave(self, Caller caller)


cdef class Account:
    cdef object shares
    cdef readonly object peer
    # The bytes held, and the bytes that the shares have granted for them.
    cdef readonly Py_ssize_t held
    cdef readonly Py_ssize_t granted
    # The reason for which the last `charge` was refused.
    cdef readonly str full
    cdef bint closed

    cdef bint charge(self, Py_ssize_t size) except -1
    cdef bint charge_more(self, Py_ssize_t size) except -1
    cdef object why_not(self, Py_ssize_t size)
    cdef int force(self, Py_ssize_t size) except -1
    cdef int credit(self, Py_ssize_t size) except -1
    cdef int trim(self, Py_ssize_t keep) except -1
    cdef int close(self) except -1
