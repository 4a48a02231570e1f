cdef class Deadlines:
    cdef object loop
    cdef dict slots

    cdef set slot_for(self, long long deadline_ns, long long now_ns)

cdef long long width_of(long long distance_ns) noexcept
