"""The C definitions of layout.h, atomics.h, siphash.h, checksum.h, lookup.h, touch.h and sample_ring.h, for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "atomics.h" nogil:
    uint32_t gpool_load_relaxed_u32(const uint32_t *word)
    uint64_t gpool_load_relaxed_u64(const uint64_t *word)
    uint32_t gpool_load_acquire_u32(const uint32_t *word)
    uint64_t gpool_load_acquire_u64(const uint64_t *word)
    void gpool_store_relaxed_u32(uint32_t *word, uint32_t value)
    void gpool_store_relaxed_u64(uint64_t *word, uint64_t value)
    void gpool_store_release_u32(uint32_t *word, uint32_t value)
    void gpool_store_release_u64(uint64_t *word, uint64_t value)
    void gpool_fence_acquire()
    void gpool_fence_release()
    uint64_t gpool_load_strict_u64(const uint64_t *word)
    void gpool_store_strict_u64(uint64_t *word, uint64_t value)
    void gpool_add_relaxed_u64(uint64_t *word, uint64_t amount)
    void gpool_spin_hint()


cdef extern from "siphash.h" nogil:
    uint64_t gpool_siphash13(uint64_t k0, uint64_t k1, const uint8_t *data, size_t length)


cdef extern from "checksum.h" nogil:
    uint64_t gpool_sum(const uint8_t *data, size_t length, uint64_t seed)
    uint32_t gpool_entry_checksum(
        uint32_t kind, const uint8_t *key, size_t key_length, const uint8_t *payload, size_t payload_length)


cdef extern from "layout.h" nogil:
    enum:
        GPOOL_LAYOUT_VERSION
        GPOOL_HEADER_BYTES
        GPOOL_BUCKET_BYTES
        GPOOL_BUCKET_SLOTS
        GPOOL_GRANULE_BYTES
        GPOOL_GRANULE_PAYLOAD
        GPOOL_SHARDS
        GPOOL_PENDING
        GPOOL_BOARD_HEADER_BYTES
        GPOOL_MOST_SAMPLES
        GPOOL_SAMPLE_WRITE
        GPOOL_RECORD_BYTES
        GPOOL_BLOCK_RECORDS
        GPOOL_INDEX_SHARE_BYTES
        GPOOL_ENTRIES_PER_BUCKET
        GPOOL_MIN_CHARGE
        GPOOL_STATE_ACTIVE
        GPOOL_STATE_RETIRED
        GPOOL_POLICY_LRU
        GPOOL_POLICY_LFU
        GPOOL_KIND_STRING
        GPOOL_KIND_HASH
        GPOOL_KIND_SET
    const uint64_t GPOOL_MAGIC
    const uint32_t GPOOL_MAX_GRANULES
    const uint32_t GPOOL_TAG_MASK

    ctypedef struct gpool_header:
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
        uint64_t forgotten
        uint32_t state
        uint32_t bucket_count
        uint32_t overflow_count
        uint32_t granule_count
        uint32_t record_count
        uint64_t heartbeat_ns
        uint64_t sample_threshold
        uint64_t sample_until
        uint64_t ring_end
        uint64_t sampled_below
        uint64_t entry_count
        uint64_t charged_bytes
        uint64_t daemon_hits
        uint64_t misses
        uint64_t evictions
        uint64_t expirations
        uint64_t next_version
        uint64_t cached_key_writes
        uint64_t survey_until
        uint64_t seal

    ctypedef struct gpool_bucket:
        uint64_t version
        uint32_t overflow
        uint64_t slots[6]

    ctypedef struct gpool_extent:
        uint32_t link
        uint32_t granules

    ctypedef struct gpool_entry:
        uint32_t key_bytes
        uint32_t payload_bytes
        uint32_t record
        uint32_t tag_kind
        uint32_t expires_low
        uint32_t expires_high
        uint32_t checksum

    ctypedef struct gpool_record:
        uint64_t last_access_ns
        uint64_t tag_count

    ctypedef struct gpool_pending:
        uint64_t owner
        uint64_t time_ns

    ctypedef struct gpool_shard:
        uint64_t hits
        gpool_pending pending[3]
        uint64_t claims

    ctypedef struct gpool_ring:
        uint64_t next

    ctypedef struct gpool_sample:
        uint64_t position
        uint64_t hash
        uint64_t event

    ctypedef struct gpool_free_run:
        uint32_t granules
        uint32_t previous
        uint32_t next

    uint64_t gpool_slot(uint32_t hash, uint32_t granule)
    uint32_t gpool_slot_hash(uint64_t slot)
    uint32_t gpool_slot_granule(uint64_t slot)
    uint32_t gpool_link(bint single, uint32_t next)
    bint gpool_link_single(uint32_t link)
    uint32_t gpool_link_next(uint32_t link)
    uint32_t gpool_tag_kind(uint32_t tag, uint32_t kind)
    uint32_t gpool_entry_tag(const gpool_entry *entry)
    uint32_t gpool_entry_kind(const gpool_entry *entry)
    uint32_t gpool_owner_record(uint64_t owner)
    uint32_t gpool_owner_tag(uint64_t owner)
    uint64_t gpool_event_time(uint64_t event)
    uint64_t gpool_event_what(uint64_t event)
    uint32_t gpool_ring_samples(uint64_t max_records)
    uint64_t gpool_ring_offset(uint64_t max_records)
    uint64_t gpool_ring_bytes(uint64_t max_records)
    uint64_t gpool_tag_count(uint32_t tag, uint64_t count)
    uint32_t gpool_record_tag(uint64_t tag_count)
    uint64_t gpool_record_count(uint64_t tag_count)

    uint64_t gpool_granules(uint64_t key_bytes, uint64_t payload_bytes)
    uint64_t gpool_charge(uint64_t key_bytes, uint64_t payload_bytes)
    uint64_t gpool_extent_capacity(uint64_t granules)
    uint64_t gpool_extent_granules(uint64_t bytes)
    uint32_t gpool_bucket_of(uint32_t hash, uint32_t count)


cdef extern from "lookup.h" nogil:
    const uint32_t GPOOL_READER_CHAIN

    ctypedef struct gpool_view:
        gpool_header *header
        gpool_bucket *primary
        gpool_bucket *overflow
        uint8_t *arena
        uint32_t max_buckets
        uint32_t max_overflow
        uint32_t max_granules
        uint32_t max_records
        uint32_t max_chain
        uint32_t damaged

    ctypedef struct gpool_cursor:
        uint8_t *at
        uint64_t left
        uint32_t next
        uint32_t granule_count

    ctypedef struct gpool_found:
        gpool_entry entry
        gpool_cursor payload
        uint32_t granule

    uint32_t gpool_shard_of(uint32_t process_id)
    void gpool_prefetch(const void *address)
    uint32_t gpool_place(uint32_t record)
    uint32_t gpool_published(const uint32_t *word, uint32_t maximum)
    bint gpool_cursor_enter(const gpool_view *view, uint32_t granule, gpool_cursor *cursor)
    bint gpool_cursor_copy(const gpool_view *view, gpool_cursor *cursor, uint8_t *target, uint64_t length)
    bint gpool_cursor_equals(const gpool_view *view, gpool_cursor *cursor, const uint8_t *bytes, uint64_t length)
    bint gpool_cursor_write(const gpool_view *view, gpool_cursor *cursor, const uint8_t *source, uint64_t length)
    bint gpool_entry_open(const gpool_view *view, uint32_t granule, gpool_entry *entry, gpool_cursor *cursor)
    uint64_t gpool_entry_expires_ns(const gpool_entry *entry)
    gpool_bucket *gpool_next_bucket(const gpool_view *view, const gpool_bucket *bucket)
    bint gpool_find(
        const gpool_view *view, const gpool_bucket *bucket, uint32_t hash,
        const uint8_t *key, uint64_t key_bytes, gpool_found *found)

    ctypedef struct gpool_glance:
        const gpool_bucket *bucket
        uint64_t version
        const uint8_t *payload
        uint32_t payload_bytes
        uint32_t record
        uint32_t tag

    bint gpool_glance_at(
        const gpool_view *view, uint32_t hash, const uint8_t *key, uint64_t key_bytes, uint64_t now_ns, gpool_glance *glance)


cdef extern from "touch.h" nogil:
    enum:
        GPOOL_LAST_TOUCHES
    ctypedef struct gpool_last_touch:
        pass
    void gpool_touch_time(gpool_record *record, uint64_t now_ns)
    void gpool_touch_apart(
        gpool_record *record, uint32_t number, uint32_t tag, uint64_t now_ns, gpool_shard *shards, uint32_t shard,
        gpool_last_touch *last)
    void gpool_touch(gpool_record *record, uint32_t tag, uint64_t now_ns, bint is_lfu)


cdef extern from "sample_ring.h" nogil:
    ctypedef struct gpool_ring_view:
        gpool_ring *head
        gpool_sample *samples
        uint64_t mask
    gpool_ring_view gpool_ring_at(uint8_t *board, uint64_t max_records)
    void gpool_leave_hit(
        const gpool_ring_view *ring, const gpool_header *header, uint64_t hash, uint64_t now_ns, uint32_t kind)
    void gpool_leave_write(const gpool_ring_view *ring, const gpool_header *header, uint64_t hash, uint64_t now_ns)
