from libc.stdint cimport int64_t

cdef enum:
    BOUNDS = 13


cdef class LatencyHistogram:
    cdef int64_t counts[BOUNDS + 1]
    cdef int64_t sum_ns
    cdef public Py_ssize_t reconnects

    cpdef int replied(self, int64_t duration_ns) except -1
