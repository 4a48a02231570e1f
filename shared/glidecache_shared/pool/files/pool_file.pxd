from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.layout cimport gc_header, gc_view
from glidecache_shared.pool.files.mapping cimport MappedFile, Region


cdef object retire_at(str path)


cdef class PoolFiles:
    cdef readonly MappedFile pool
    cdef readonly MappedFile board
    cdef str stem
    cdef gc_header *header
    cdef gc_view view
    cdef Region primary
    cdef Region overflow
    cdef Region arena
    cdef bint lends_board

    cdef void open(self) noexcept
    cdef bytes secret(self)
    cdef void lend_board(self) noexcept
    cdef uint64_t unseal(self) noexcept
    cdef uint64_t next_seal(self) noexcept
