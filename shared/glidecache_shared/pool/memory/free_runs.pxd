from libc.stdint cimport uint8_t, uint32_t, uint64_t

from glidecache_shared.pool.layout cimport GPOOL_GRANULE_BYTES, gpool_free_run, gpool_view

cdef enum:
    EXACT_CLASSES = 32
    CLASSES = 136
    CLASS_WORDS = 3

cdef extern from * nogil:
    int __builtin_clz(unsigned int word)

cdef inline gpool_free_run *run_at(gpool_view *view, uint32_t granule) noexcept nogil:
    return <gpool_free_run *>(view.arena + <uint64_t>granule * GPOOL_GRANULE_BYTES)


cdef inline uint32_t *run_footer(gpool_view *view, uint32_t last_granule) noexcept nogil:
    """Return the place of the run's second length, in its last granule's last word: a neighbour finds its start."""
    return <uint32_t *>(view.arena + (<uint64_t>last_granule + 1) * GPOOL_GRANULE_BYTES - 4)


cdef inline uint32_t class_of(uint32_t granules) noexcept nogil:
    cdef uint32_t power
    if granules <= EXACT_CLASSES:
        return granules - 1
    power = 31 - __builtin_clz(granules)
    return EXACT_CLASSES + (power - 5) * 4 + ((granules >> (power - 2)) & 3)


cdef class FreeRuns:
    cdef gpool_view *view
    cdef readonly uint32_t granule_count
    cdef readonly uint32_t free_granules
    cdef uint64_t class_map[CLASS_WORDS]
    cdef uint32_t heads[CLASSES]
    cdef uint8_t *used
    cdef uint64_t used_bytes

    @staticmethod
    cdef FreeRuns create(gpool_view *view)
    @staticmethod
    cdef FreeRuns resume(gpool_view *view, uint32_t granule_count)
    cdef uint32_t next_run(self, uint32_t granule, uint32_t *granules) noexcept
    cdef void collect(self) noexcept
    cdef bint extend(self, uint32_t granule_count) noexcept
    cdef uint32_t length(self, uint32_t granule) noexcept
    cdef uint32_t longest_list(self) noexcept
    cdef uint32_t run_for(self, uint32_t granules) noexcept
    cdef bint sound(self, uint32_t granule) noexcept
    cdef bint allocate(self, uint32_t granule, uint32_t first, uint32_t granules) noexcept
    cdef void release(self, uint32_t granule, uint32_t granules) noexcept
    cdef bint is_used(self, uint32_t granule) noexcept
    cdef bint cover(self, uint32_t granules) noexcept
    cdef bint _is_free(self, uint32_t granule) noexcept
    cdef void _mark(self, uint32_t granule, uint32_t granules, bint used) noexcept
    cdef void _link(self, uint32_t granule, uint32_t granules) noexcept
    cdef bint _unlink(self, uint32_t granule) noexcept
