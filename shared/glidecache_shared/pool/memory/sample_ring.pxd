from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.files.mapping cimport MappedFile
from glidecache_shared.pool.layout cimport gpool_header, gpool_ring_view, gpool_sample

cdef enum:
    # Positions that were taken and not written yet are looked at once more: so many, the others are lost at once.
    MOST_EMPTY = 256


cdef class SampleRing:
    cdef MappedFile file
    cdef gpool_header *header
    cdef gpool_ring_view view
    cdef uint64_t max_records
    # Everything before this position has been taken, or is among the empty ones.
    cdef uint64_t taken
    cdef uint64_t empty[MOST_EMPTY]
    cdef int empty_count
    cdef readonly uint64_t lost
    cdef readonly uint64_t faults
    cdef readonly bint has_memory

    @staticmethod
    cdef SampleRing create(MappedFile file, gpool_header *header)
    cdef bint begin(self) noexcept
    cdef bint has_news(self) noexcept
    cdef uint32_t take(self, gpool_sample *into) noexcept
    cdef uint64_t publish(self, uint64_t threshold, uint64_t allowance, uint64_t survey) noexcept
    cdef bint is_used_up(self) noexcept
    cdef void stop(self) noexcept
    cdef bint mend(self) noexcept
    cdef uint32_t capacity(self) noexcept
