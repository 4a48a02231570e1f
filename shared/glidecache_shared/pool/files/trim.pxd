from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.memory.arena cimport Arena
from glidecache_shared.pool.memory.access_board cimport Board
from glidecache_shared.pool.files.pool_file cimport PoolFiles
from glidecache_shared.pool.memory.hash_index cimport Index
from glidecache_shared.pool.memory.records cimport Records
from glidecache_shared.pool.eviction cimport VictimSelection


cdef class Trimmer:
    cdef PoolFiles files
    cdef Arena arena
    cdef Index index
    cdef Board board
    cdef Records records
    cdef VictimSelection selection
    cdef uint64_t wait_ns
    cdef uint64_t window_start_ns
    cdef uint32_t peak_buckets
    cdef uint32_t peak_overflow
    cdef uint32_t peak_records
    cdef uint32_t safe_buckets
    cdef uint32_t safe_overflow
    cdef uint32_t safe_records
    cdef bint inherited

    @staticmethod
    cdef Trimmer create(
        PoolFiles files, Arena arena, Index index, Board board, Records records, VictimSelection selection, uint64_t wait_ns,
    )
    cdef void inherit(self, uint64_t now_ns) noexcept
    cdef void run(self, uint64_t now_ns) noexcept

    cdef void _vacate(self, uint64_t now_ns) noexcept
    cdef void _give_back(self, uint64_t now_ns) noexcept
    cdef bint _move_record(self, uint32_t record) noexcept
