from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.layout cimport gpool_view
from glidecache_shared.pool.memory.access_board cimport Board, Candidate, Priority
from glidecache_shared.pool.memory.records cimport Records


cdef class VictimSelection:
    cdef Board board
    cdef Records records
    cdef Candidate *heap
    cdef uint64_t size
    cdef uint64_t room
    cdef Priority threshold
    cdef Candidate *slice
    cdef uint64_t random
    cdef readonly uint64_t scans
    cdef readonly uint64_t push_backs

    @staticmethod
    cdef VictimSelection create(Board board, Records records)
    cdef uint32_t next(self, uint64_t live) noexcept
    cdef void stored(self, uint32_t record) noexcept
    cdef uint32_t prefetch(self) noexcept

    cdef bint _in_use(self, uint32_t record) noexcept
    cdef bint _append(self, Candidate candidate) noexcept
    cdef bint _push(self, Candidate candidate) noexcept
    cdef Candidate _pop(self) noexcept
    cdef void _sift_down(self, uint64_t at, Candidate candidate) noexcept
    cdef void _choose_threshold(self, uint64_t live) noexcept
    cdef uint32_t _scan(self, uint64_t live) noexcept
    cdef uint32_t _smallest(self) noexcept


cdef list hottest_of(
    gpool_view *view, Board board, Records records, uint32_t wanted, uint32_t most_key_bytes, uint64_t now_ns,
)
