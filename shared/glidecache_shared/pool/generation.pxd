from libc.stdint cimport uint64_t

from glidecache_shared.pool.memory.arena cimport Arena
from glidecache_shared.pool.memory.access_board cimport Board, LateHits
from glidecache_shared.pool.files.pool_file cimport PoolFiles
from glidecache_shared.pool.memory.hash_index cimport Index
from glidecache_shared.pool.layout cimport gpool_header, gpool_view
from glidecache_shared.pool.memory.records cimport Records
from glidecache_shared.pool.memory.sample_ring cimport SampleRing
from glidecache_shared.pool.eviction cimport VictimSelection
from glidecache_shared.pool.files.trim cimport Trimmer


cdef class PoolGeneration:
    cdef PoolFiles files
    cdef gpool_view *view
    cdef gpool_header *header
    cdef Arena arena
    cdef Index index
    cdef Board board
    cdef Records records
    cdef VictimSelection selection
    cdef Trimmer trimmer
    cdef SampleRing ring
    cdef bint counting
    cdef uint64_t faults_mended
    # The bound in force, which a resize may have lowered below the files' own; what alone is larger is not stored.
    cdef uint64_t bound_bytes
    cdef uint64_t largest_bytes
    # Of the generation before, for as long as one of its readers may be late.
    cdef LateHits late_hits
    cdef readonly object recovery

    cdef void _mend_board(self) noexcept
    cdef int inherit_hits(self, PoolGeneration before) except -1
    cdef void _count_late_hits(self, uint64_t now) noexcept
    cdef int _check_open(self) except -1
    cdef int _check_sound(self) except -1
    cdef int _check_damage(self) except -1
