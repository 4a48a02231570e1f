from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    NO_ID = 0xFFFFFFFF


cdef class IdBitmap:
    cdef uint64_t *words
    cdef uint64_t *summary
    cdef uint32_t word_room
    cdef readonly uint32_t count
    cdef readonly uint32_t free_count

    cdef bint extend(self) noexcept
    cdef bint resume(self, uint32_t count) noexcept
    cdef uint32_t allocate(self) noexcept
    cdef void release(self, uint32_t number) noexcept
    cdef bint is_free(self, uint32_t number) noexcept
    cdef void drop_free_end(self) noexcept
    cdef bint _make_room(self, uint64_t count) noexcept
    cdef void _take(self, uint32_t number) noexcept
