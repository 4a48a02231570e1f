from libc.stdint cimport int64_t


cdef class Deadlines:
    cdef object loop
    cdef dict slots

    cdef set slot_for(self, int64_t deadline_ns, int64_t now_ns)
