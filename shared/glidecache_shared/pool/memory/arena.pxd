from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.memory.free_runs cimport FreeRuns
from glidecache_shared.pool.layout cimport gpool_view
from glidecache_shared.pool.files.mapping cimport Region


cdef struct Hole:
    uint32_t granule
    uint32_t granules
    uint64_t first_page
    uint64_t end_page
    uint64_t set_aside_ns
    bint backed
    bint punched


cdef class Arena:
    cdef gpool_view *view
    cdef Region region
    cdef readonly FreeRuns runs
    cdef Hole *holes
    cdef readonly uint32_t hole_count
    cdef uint32_t hole_room

    @staticmethod
    cdef Arena create(gpool_view *view, Region region)

    @staticmethod
    cdef Arena resume(gpool_view *view, Region region)
    cdef bint collect(self, uint64_t now_ns) noexcept
    cdef bint reserve(self, uint64_t granules) noexcept
    cdef uint32_t allocate(self, uint64_t bytes) noexcept
    cdef void release(self, uint32_t granule, uint64_t bytes) noexcept
    cdef void set_aside(self, uint64_t keep_granules, uint64_t spare_granules, uint64_t now_ns) noexcept
    cdef void punch(self, uint64_t before_ns) noexcept
    cdef uint64_t hole_granules(self) noexcept

    cdef bint _hole_in(
        self, uint32_t start, uint32_t end, uint64_t max_pages, bint huge, uint64_t now_ns, Hole *hole,
    ) noexcept
    cdef bint _add_hole(self, Hole hole) noexcept
    cdef bint _grow(self, uint64_t granules) noexcept
    cdef bint _fill(self) noexcept
