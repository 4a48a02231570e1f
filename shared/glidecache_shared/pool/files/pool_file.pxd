from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.layout cimport gpool_header, gpool_view
from glidecache_shared.pool.files.mapping cimport MappedFile, Region


cdef object retire_at(str path)


cdef class PoolFiles:
    cdef readonly MappedFile pool
    cdef readonly MappedFile board
    cdef str stem
    cdef gpool_header *header
    cdef gpool_view view
    cdef Region primary
    cdef Region overflow
    cdef Region arena
    cdef bint lends_board

    cdef void open(self) noexcept
    cdef bytes secret(self)
    cdef void lend_board(self) noexcept
    cdef uint64_t unseal(self) noexcept
    cdef uint64_t next_seal(self) noexcept
