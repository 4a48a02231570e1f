from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.layout cimport gc_bucket, gc_view
from glidecache_shared.pool.mapping cimport Region
from glidecache_shared.pool.numbers cimport FreeNumbers


cdef class Index:
    cdef gc_view *view
    cdef Region primary
    cdef Region overflow
    cdef readonly uint32_t bucket_count
    cdef readonly uint64_t entry_count
    cdef FreeNumbers overflow_numbers
    cdef uint64_t next_version

    @staticmethod
    cdef Index over(gc_view *view, Region primary, Region overflow)
    cdef gc_bucket *bucket_for(self, uint32_t hash) noexcept
    cdef bint insert(self, uint32_t hash, uint32_t granule) noexcept
    cdef bint remove(self, uint32_t hash, uint32_t granule) noexcept
    cdef void set_record(self, uint32_t hash, uint32_t granule, uint32_t record, uint32_t tag) noexcept
    cdef bint merge(self) noexcept
    cdef bint lower_overflow(self) noexcept
    cdef uint32_t overflow_in_use(self) noexcept

    cdef bint _append(self, gc_bucket *bucket, uint64_t slot) noexcept
    cdef void _shorten(self, gc_bucket *bucket) noexcept
    cdef uint32_t _take_overflow(self) noexcept
    cdef void _split(self) noexcept
    cdef void _distribute(self, uint64_t *slots, int count) noexcept
