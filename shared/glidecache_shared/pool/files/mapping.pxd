from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef class MappedFile:
    cdef readonly str path
    cdef readonly uint64_t bytes
    cdef uint8_t *base
    cdef int descriptor

    cdef void unmap(self) noexcept
    cdef int _map(self, int protection) except -1
    cdef uint8_t *_reserve(self) noexcept


cdef class Region:
    cdef MappedFile file
    cdef uint64_t offset
    cdef uint64_t max_bytes
    cdef uint64_t bytes
    cdef readonly uint64_t refusals
    cdef uint64_t joined
    cdef uint32_t leave_out
    cdef uint32_t left_out
    cdef bint made_huge

    cdef bint ensure(self, uint64_t wanted) noexcept
    cdef bint is_large(self) noexcept
    cdef bint is_huge(self) noexcept
    cdef uint64_t next_huge(self, uint64_t at) noexcept
    cdef bint back(self, uint64_t start, uint64_t length) noexcept
    cdef bint _back_by_huge_page(self, uint64_t at) noexcept
    cdef bint _collapse(self, uint64_t at) noexcept
    cdef bint join(self) noexcept
    cdef bint resume(self, uint64_t bytes) noexcept
    cdef void fetch(self, uint64_t length) noexcept
    cdef void punch_rest(self) noexcept
    cdef bint restore(self, uint64_t start, uint64_t length) noexcept
    cdef bint punch(self, uint64_t start, uint64_t length) noexcept
    cdef void shrink(self, uint64_t bytes) noexcept
