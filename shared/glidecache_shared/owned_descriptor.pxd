from libc.stdint cimport uint64_t


cdef class OwnedDescriptor:
    cdef readonly int number
    cdef uint64_t device
    cdef uint64_t inode

    cdef int adopt(self, int number) except -1
    cpdef bint is_own(self) noexcept
    cdef void release(self) noexcept
