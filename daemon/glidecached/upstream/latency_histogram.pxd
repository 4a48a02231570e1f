cdef class LatencyHistogram:
    cdef long long _counts[14]
    cdef long long _sum_ns
    cdef public Py_ssize_t reconnects

    cpdef int replied(self, long long duration_ns) except -1
