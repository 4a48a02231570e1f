cdef class Sequence:
    cdef long long last

    cdef long long take(self) noexcept
