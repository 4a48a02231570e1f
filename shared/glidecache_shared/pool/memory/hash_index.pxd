from libc.stdint cimport uint8_t, uint32_t, uint64_t

from glidecache_shared.pool.layout cimport (
    GPOOL_BUCKET_SLOTS,
    gpool_bucket,
    gpool_fence_release,
    gpool_store_relaxed_u32,
    gpool_store_relaxed_u64,
    gpool_store_release_u64,
    gpool_view,
)
from glidecache_shared.pool.files.mapping cimport Region
from glidecache_shared.pool.memory.id_bitmap cimport IdBitmap


cdef inline void begin_change(gpool_bucket *primary) noexcept nogil:
    """Make the chain's version odd, before anything in the chain changes."""
    gpool_store_relaxed_u64(&primary.version, primary.version + 1)
    gpool_fence_release()  # pairs with the reader's acquire fence: a reader of a change below sees the odd version too


cdef inline void end_change(gpool_bucket *primary) noexcept nogil:
    # Pairs with the reader's acquire load: a reader of this version sees all changes before it.
    gpool_store_release_u64(&primary.version, primary.version + 1)


cdef inline void empty(gpool_bucket *bucket) noexcept nogil:
    """Clear a bucket's slots and its link, within a change."""
    cdef int i
    for i in range(GPOOL_BUCKET_SLOTS):
        gpool_store_relaxed_u64(&bucket.slots[i], 0)
    gpool_store_relaxed_u32(&bucket.overflow, 0)


cdef class Index:
    cdef gpool_view *view
    cdef Region primary
    cdef Region overflow
    cdef readonly uint32_t bucket_count
    cdef readonly uint64_t entry_count
    cdef IdBitmap overflow_ids

    @staticmethod
    cdef Index create(gpool_view *view, Region primary, Region overflow)
    @staticmethod
    cdef Index resume(gpool_view *view, Region primary, Region overflow)
    cdef bint count_overflow(self, const uint8_t *linked) noexcept
    cdef gpool_bucket *bucket_for(self, uint32_t hash) noexcept
    cdef bint insert(self, uint32_t hash, uint32_t granule) noexcept
    cdef bint remove(self, uint32_t hash, uint32_t granule) noexcept
    cdef void set_record(self, uint32_t hash, uint32_t granule, uint32_t record, uint32_t tag) noexcept
    cdef bint merge(self) noexcept
    cdef bint lower_overflow(self) noexcept
    cdef uint32_t overflow_in_use(self) noexcept

    cdef bint _sound(self, gpool_bucket *bucket) noexcept
    cdef int _collect(self, uint32_t number, uint64_t *slots, int count) noexcept
    cdef bint _append(self, gpool_bucket *bucket, uint64_t slot) noexcept
    cdef void _shorten(self, gpool_bucket *bucket) noexcept
    cdef uint32_t _take_overflow(self) noexcept
    cdef void _split(self) noexcept
    cdef void _distribute(self, uint64_t *slots, int count) noexcept
