from libc.stdint cimport uint64_t

from glidecache_shared.pool.memory.access_board cimport Board


cdef class LateHits:
    cdef Board board
    cdef uint64_t counted
    cdef uint64_t until_ns

    @staticmethod
    cdef LateHits of(Board board, uint64_t until_ns)
    cdef uint64_t take(self) noexcept
