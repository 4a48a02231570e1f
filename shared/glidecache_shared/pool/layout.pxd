"""The C definitions of layout.h, atomics.h, siphash.h, checksum.h, lookup.h and touch.h, for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "atomics.h" nogil:
    uint32_t gc_load_relaxed_u32(const uint32_t *word)
    uint64_t gc_load_relaxed_u64(const uint64_t *word)
    uint32_t gc_load_acquire_u32(const uint32_t *word)
    uint64_t gc_load_acquire_u64(const uint64_t *word)
    void gc_store_relaxed_u32(uint32_t *word, uint32_t value)
    void gc_store_relaxed_u64(uint64_t *word, uint64_t value)
    void gc_store_release_u32(uint32_t *word, uint32_t value)
    void gc_store_release_u64(uint64_t *word, uint64_t value)
    void gc_fence_acquire()
    void gc_fence_release()
    void gc_add_relaxed_u64(uint64_t *word, uint64_t amount)
    void gc_spin_hint()


cdef extern from "siphash.h" nogil:
    uint64_t gc_siphash13(uint64_t k0, uint64_t k1, const uint8_t *data, size_t length)


cdef extern from "checksum.h" nogil:
    uint64_t gc_xxh64(const uint8_t *data, size_t length, uint64_t seed)
    uint32_t gc_entry_checksum(
        uint32_t kind, const uint8_t *key, size_t key_length, const uint8_t *payload, size_t payload_length)


cdef extern from "layout.h" nogil:
    enum:
        GC_LAYOUT_VERSION
        GC_HEADER_BYTES
        GC_BUCKET_BYTES
        GC_BUCKET_SLOTS
        GC_GRANULE_BYTES
        GC_GRANULE_PAYLOAD
        GC_SHARDS
        GC_BOARD_HEADER_BYTES
        GC_RECORD_BYTES
        GC_BLOCK_RECORDS
        GC_INDEX_SHARE_BYTES
        GC_ENTRIES_PER_BUCKET
        GC_MIN_CHARGE
        GC_STATE_ACTIVE
        GC_STATE_RETIRED
        GC_POLICY_LRU
        GC_POLICY_LFU
        GC_KIND_STRING
        GC_KIND_HASH
        GC_KIND_SET
        GC_TAG_BITS
        GC_COUNT_BITS
    const uint64_t GC_MAGIC
    const uint64_t GC_COUNT_MASK
    const uint32_t GC_LINK_SINGLE
    const uint32_t GC_LINK_NEXT
    const uint32_t GC_MAX_GRANULES
    const uint32_t GC_TAG_MASK

    ctypedef struct gc_header:
        uint64_t magic
        uint32_t layout_version
        uint32_t policy
        uint64_t generation
        uint64_t instance_id
        uint64_t secret[2]
        uint64_t ttl_ns
        uint64_t metrics
        uint64_t max_bytes
        uint64_t max_buckets
        uint64_t overflow_offset
        uint64_t max_overflow
        uint64_t arena_offset
        uint64_t max_granules
        uint64_t max_records
        uint64_t file_bytes
        uint64_t grace_ns
        uint64_t time_namespace
        uint8_t boot_id[16]
        uint64_t misses_expired
        uint64_t misses_other_kind
        uint64_t misses_own_write
        uint32_t state
        uint32_t bucket_count
        uint32_t overflow_count
        uint32_t granule_count
        uint32_t record_count
        uint64_t heartbeat_ns
        uint64_t entry_count
        uint64_t charged_bytes
        uint64_t daemon_hits
        uint64_t misses
        uint64_t evictions
        uint64_t expirations
        uint64_t next_version
        uint64_t seal

    ctypedef struct gc_bucket:
        uint64_t version
        uint32_t overflow
        uint64_t slots[6]

    ctypedef struct gc_entry:
        uint32_t key_bytes
        uint32_t payload_bytes
        uint32_t record
        uint32_t tag_kind
        uint32_t expires_low
        uint32_t expires_high
        uint32_t checksum

    ctypedef struct gc_record:
        uint64_t last_access_ns
        uint64_t tag_count

    ctypedef struct gc_shard:
        uint64_t hits

    uint64_t gc_granules(uint64_t key_bytes, uint64_t payload_bytes)
    uint64_t gc_charge(uint64_t key_bytes, uint64_t payload_bytes)
    uint64_t gc_extent_capacity(uint64_t granules)
    uint64_t gc_extent_granules(uint64_t bytes)
    uint32_t gc_bucket_of(uint32_t hash, uint32_t count)


cdef extern from "lookup.h" nogil:
    const uint32_t GC_READER_CHAIN

    ctypedef struct gc_view:
        gc_header *header
        gc_bucket *primary
        gc_bucket *overflow
        uint8_t *arena
        uint32_t max_buckets
        uint32_t max_overflow
        uint32_t max_granules
        uint32_t max_records
        uint32_t max_chain
        uint32_t damaged

    ctypedef struct gc_cursor:
        uint8_t *at
        uint64_t left
        uint32_t next
        uint32_t granule_count

    ctypedef struct gc_found:
        gc_entry entry
        gc_cursor payload
        uint32_t granule

    uint32_t gc_shard_of(uint32_t process_id)
    void gc_prefetch(const void *address)
    uint32_t gc_place(uint32_t record)
    uint32_t gc_published(const uint32_t *word, uint32_t maximum)
    bint gc_cursor_enter(const gc_view *view, uint32_t granule, gc_cursor *cursor)
    bint gc_cursor_copy(const gc_view *view, gc_cursor *cursor, uint8_t *target, uint64_t length)
    bint gc_cursor_write(const gc_view *view, gc_cursor *cursor, const uint8_t *source, uint64_t length)
    bint gc_entry_open(const gc_view *view, uint32_t granule, gc_entry *entry, gc_cursor *cursor)
    uint64_t gc_entry_expires_ns(const gc_entry *entry)
    gc_bucket *gc_next_bucket(const gc_view *view, const gc_bucket *bucket)
    bint gc_find(
        const gc_view *view, const gc_bucket *bucket, uint32_t hash,
        const uint8_t *key, uint64_t key_bytes, gc_found *found)


cdef extern from "touch.h" nogil:
    void gc_touch(gc_record *record, uint32_t tag, uint64_t now_ns, bint count)
