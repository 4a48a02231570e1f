from libc.stdint cimport uint8_t, uint32_t, uint64_t

from glidecache_shared.pool.layout cimport gc_view
from glidecache_shared.pool.mapping cimport Region

cdef enum:
    CLASSES = 136
    CLASS_WORDS = 3


cdef class Arena:
    cdef gc_view *view
    cdef Region region
    cdef readonly uint32_t granule_count
    cdef readonly uint32_t free_granules
    cdef uint64_t class_map[CLASS_WORDS]
    cdef uint32_t heads[CLASSES]
    cdef uint8_t *used
    cdef uint64_t used_bytes

    @staticmethod
    cdef Arena over(gc_view *view, Region region)

    cdef bint reserve(self, uint64_t granules) noexcept
    cdef uint32_t allocate(self, uint64_t bytes) noexcept
    cdef void release(self, uint32_t granule) noexcept

    cdef bint _is_used(self, uint32_t granule) noexcept
    cdef void _mark(self, uint32_t granule, uint32_t granules, bint used) noexcept
    cdef bint _cover(self, uint32_t granules) noexcept
    cdef void _link(self, uint32_t granule, uint32_t granules) noexcept
    cdef void _unlink(self, uint32_t granule) noexcept
    cdef void _give_back(self, uint32_t granule, uint32_t granules) noexcept
    cdef uint32_t _run_for(self, uint32_t granules) noexcept
