/* The layout of a pool in shared memory: the one place where its bytes are defined (docs/design/pool-layout.md).
 *
 * Each structure is drawn beside its definition. A number behind a name is a width in bits; the number before a row is
 * its offset in bytes. Words are drawn from their highest bit to their lowest. tests/unit/pool/test_layout.py compares
 * each drawing with the compiled structure.
 *
 * <id>.<generation>.pool, written by the daemon, mapped read-only by workers. Here the numbers are bytes:
 *   ┌─────────────┬─────────────────────┬─────────────────────┬──────────────────────────────────────┐
 *   │ header 4096 │ primary buckets 64  │ overflow buckets 64 │ arena of granules 76                 │
 *   │             │ n in use            │                     │ entries, as chains of extents        │
 *   └─────────────┴─────────────────────┴─────────────────────┴──────────────────────────────────────┘
 *   Each region has its place for the pool's whole bound; memory is allocated as it grows.
 *
 * <id>.<generation>.board, written by the daemon and by workers:
 *   ┌──────────────────────┬────────────────────┬────────────────┬────────────────────┐
 *   │ counter shards 4096  │ access records 16  │ ring head 4096 │ samples 24         │
 *   └──────────────────────┴────────────────────┴────────────────┴────────────────────┘
 *   Ring head and samples have memory once the daemon takes a sample.
 */
#ifndef GLIDECACHE_LAYOUT_H
#define GLIDECACHE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define GPOOL_MAGIC UINT64_C(0x6c6f6f5063643147) /* "G1dcPool" as little-endian bytes: also shows the byte order */
#define GPOOL_LAYOUT_VERSION 4

#define GPOOL_HEADER_BYTES 4096
#define GPOOL_BUCKET_BYTES 64
#define GPOOL_BUCKET_SLOTS 6
#define GPOOL_GRANULE_BYTES 76
#define GPOOL_GRANULE_PAYLOAD 72 /* what a granule surely carries: 76 less a link, whether extents are long or single */
#define GPOOL_SHARDS 64
#define GPOOL_SHARD_BYTES 64
#define GPOOL_BOARD_HEADER_BYTES (GPOOL_SHARDS * GPOOL_SHARD_BYTES)
#define GPOOL_RING_HEAD_BYTES 4096
#define GPOOL_SAMPLE_BYTES 24

/* Shares of a charge besides the granules: one access record, and one entry's part of the index. The index holds a
 * bucket per GPOOL_ENTRIES_PER_BUCKET entries (16 bytes an entry) and overflow buckets: 2.52 bytes an entry in
 * expectation at the worst moment of a doubling round, when 43 % of the buckets are split (Poisson loads; a test
 * calculates it). */
#define GPOOL_RECORD_BYTES 16
#define GPOOL_INDEX_SHARE_BYTES 20
#define GPOOL_ENTRIES_PER_BUCKET 4

#define GPOOL_MAX_GRANULES UINT32_C(0x7fffffff)

#define GPOOL_STATE_ACTIVE 1
#define GPOOL_STATE_RETIRED 2

#define GPOOL_POLICY_LRU 1
#define GPOOL_POLICY_LFU 2

#define GPOOL_KIND_STRING 1
#define GPOOL_KIND_HASH 2
#define GPOOL_KIND_SET 3

/* What a sample says: a hit on an entry of a kind (the kind itself), or a write to a key that was in the pool. */
#define GPOOL_SAMPLE_WRITE 4
#define GPOOL_SAMPLE_WHAT_BITS 4
#define GPOOL_SAMPLE_WHAT_MASK UINT64_C(0xf)

#define GPOOL_TAG_BITS 24
#define GPOOL_TAG_MASK UINT32_C(0xffffff)
#define GPOOL_KIND_BITS 8
#define GPOOL_KIND_MASK UINT32_C(0xff)
#define GPOOL_COUNT_BITS 40
#define GPOOL_COUNT_MASK ((UINT64_C(1) << GPOOL_COUNT_BITS) - 1)

/* gpool_header: the first six cache lines of the file's first page
 *         ┌─────────────────────────────┬─────────────────────────────┐
 *       0 │ magic 64                                                  │ what this is
 *       8 │ layout_version 32           │ policy 32                   │
 *      16 │ generation 64                                             │
 *      24 │ instance_id 64                                            │
 *      32 │ secret 128                                                │
 *      48 │ ttl_ns 64                                                 │
 *      56 │ metrics 64                                                │
 *         ├───────────────────────────────────────────────────────────┤
 *      64 │ max_bytes 64                                              │ geometry
 *      72 │ max_buckets 64                                            │
 *      80 │ overflow_offset 64                                        │
 *      88 │ max_overflow 64                                           │
 *      96 │ arena_offset 64                                           │
 *     104 │ max_granules 64                                           │
 *     112 │ max_records 64                                            │
 *     120 │ file_bytes 64                                             │
 *         ├───────────────────────────────────────────────────────────┤
 *     128 │ grace_ns 64                                               │ trust, and causes of misses
 *     136 │ time_namespace 64                                         │
 *     144 │ boot_id 128                                               │
 *     160 │ misses_expired 64                                         │
 *     168 │ misses_other_kind 64                                      │
 *     176 │ misses_own_write 64                                       │
 *     184 │ forgotten 64                                              │
 *         ├─────────────────────────────┬─────────────────────────────┤
 *     192 │ state 32                    │ bucket_count 32             │ what each lookup reads
 *     200 │ overflow_count 32           │ granule_count 32            │
 *     208 │ record_count 32             │ unused_3a 32                │
 *     216 │ heartbeat_ns 64                                           │
 *     224 │ sample_threshold 64                                       │
 *     232 │ sample_until 64                                           │
 *     240 │ ring_end 64                                               │
 *     248 │ sampled_below 64                                          │
 *         ├───────────────────────────────────────────────────────────┤
 *     256 │ entry_count 64                                            │ the daemon's counters
 *     264 │ charged_bytes 64                                          │
 *     272 │ daemon_hits 64                                            │
 *     280 │ misses 64                                                 │
 *     288 │ evictions 64                                              │
 *     296 │ expirations 64                                            │
 *     304 │ next_version 64                                           │
 *     312 │ cached_key_writes 64                                      │
 *         ├───────────────────────────────────────────────────────────┤
 *     320 │ survey_until 64                                           │
 *     328 │ unused_5 384                                              │
 *     376 │ seal 64                                                   │
 *         └───────────────────────────────────────────────────────────┘
 */
typedef struct {
    /* line 0: what this is; written once, before the magic (the instance is new at each take-over) */
    uint64_t magic;
    uint32_t layout_version;
    uint32_t policy;
    uint64_t generation;
    uint64_t instance_id;
    uint64_t secret[2];
    uint64_t ttl_ns;  /* 0: entries never expire */
    uint64_t metrics; /* 1: hits and the rest are counted */
    /* line 1: geometry; written once */
    uint64_t max_bytes;
    uint64_t max_buckets;
    uint64_t overflow_offset;
    uint64_t max_overflow;
    uint64_t arena_offset;
    uint64_t max_granules;
    uint64_t max_records;
    uint64_t file_bytes;
    /* line 2: trust, written once, which readers look at once; behind it more of the daemon's counters */
    uint64_t grace_ns;
    uint64_t time_namespace; /* inode of /proc/self/ns/time, 0 where there is none */
    uint8_t boot_id[16];
    uint64_t misses_expired;    /* of all misses: there was an entry, and it had expired */
    uint64_t misses_other_kind; /* it was of another kind */
    uint64_t misses_own_write;  /* it was stored before what the asking client had written */
    uint64_t forgotten; /* live entries that clients or operators had removed by their keys */
    /* line 3: what every lookup reads; changes with growth and once a heartbeat */
    uint32_t state;
    uint32_t bucket_count;   /* primary buckets in use */
    uint32_t overflow_count; /* overflow buckets with memory behind them */
    uint32_t granule_count;  /* granules with memory behind them */
    uint32_t record_count;   /* access records with memory behind them */
    uint32_t unused_3a;
    uint64_t heartbeat_ns;
    uint64_t sample_threshold; /* hits on keys whose hash's low 32 bits are below it may leave a sample; 0: none do */
    uint64_t sample_until;     /* the position in the ring from which hits leave none, until the next window */
    uint64_t ring_end;         /* the position that is not written yet: a sample from there on is lost; 0: no ring */
    uint64_t sampled_below;    /* these are the sampled keys; hits on others leave one only in a survey */
    /* line 4: the daemon's counters */
    uint64_t entry_count;
    uint64_t charged_bytes;
    uint64_t daemon_hits;
    uint64_t misses;
    uint64_t evictions;
    uint64_t expirations;
    uint64_t next_version;      /* above the version of every bucket that was ever given up */
    uint64_t cached_key_writes; /* writes of this host's clients to keys that were in the pool at that moment */
    /* line 5 */
    uint64_t survey_until; /* the position in the ring from which hits on keys that are not sampled leave none */
    uint64_t unused_5[6];
    uint64_t seal; /* 0 while a daemon writes; after a clean stop the sum of all bytes before it */
} gpool_header;

/* gpool_bucket: one cache line of the hash index
 *         ┌─────────────────────────────┬─────────────────────────────┐
 *       0 │ version 64                                                │
 *       8 │ overflow 32                 │ unused 32                   │
 *      16 │ slots 384                                                 │ six
 *         └───────────────────────────────────────────────────────────┘
 */
typedef struct {
    uint64_t version;  /* odd while the chain that starts here is being changed; unused in overflow buckets */
    uint32_t overflow; /* 1 + number of the next overflow bucket, 0 at the end */
    uint32_t unused;
    uint64_t slots[GPOOL_BUCKET_SLOTS]; /* 0 is empty; filled from the front, without holes */
} gpool_bucket;

/* gpool_slot(hash, granule): the word in a slot
 *         ┌─────────────────────────────┬─────────────────────────────┐
 *         │ hash 32                     │ granule 32                  │
 *         └─────────────────────────────┴─────────────────────────────┘
 */
static inline uint64_t gpool_slot(uint32_t hash, uint32_t granule) { return (uint64_t)hash << 32 | granule; }
static inline uint32_t gpool_slot_hash(uint64_t slot) { return (uint32_t)(slot >> 32); }
static inline uint32_t gpool_slot_granule(uint64_t slot) { return (uint32_t)slot; }

/* gpool_extent: the beginning of a run of granules that carries bytes of an entry. `granules` is its length. An extent
 * of a single granule has no such word: its bytes begin there.
 *         ┌─────────────────────────────┬─────────────────────────────┐
 *       0 │ link 32                     │ granules 32                 │
 *         └─────────────────────────────┴─────────────────────────────┘
 */
typedef struct {
    uint32_t link;
    uint32_t granules;
} gpool_extent;

/* gpool_link(single, next): the link of an extent. `next` is the next extent's first granule, 0 at the chain's end.
 *         ┌──────────┬────────────────────────────────────────────────┐
 *         │ single 1 │ next 31                                        │
 *         └──────────┴────────────────────────────────────────────────┘
 */
static inline uint32_t gpool_link(uint32_t single, uint32_t next) { return single << 31 | next; }
static inline uint32_t gpool_link_single(uint32_t link) { return link >> 31; }
static inline uint32_t gpool_link_next(uint32_t link) { return link & UINT32_C(0x7fffffff); }

/* gpool_entry: the header of an entry, behind the first extent's link. Key and payload follow, over the whole chain. All
 * words have 32 bits, because granules are aligned to 4 bytes only.
 *         ┌─────────────────────────────┬─────────────────────────────┐
 *       0 │ key_bytes 32                │ payload_bytes 32            │
 *       8 │ record 32                   │ tag_kind 32                 │
 *      16 │ expires_low 32              │ expires_high 32             │
 *      24 │ checksum 32                 │
 *         └─────────────────────────────┘
 */
typedef struct {
    uint32_t key_bytes;
    uint32_t payload_bytes;
    uint32_t record;
    uint32_t tag_kind;
    uint32_t expires_low;
    uint32_t expires_high; /* CLOCK_MONOTONIC in ns at which the entry is expired; 0: never */
    uint32_t checksum;
} gpool_entry;

/* gpool_tag_kind(tag, kind): whose record it is, and what the entry holds
 *         ┌───────────────────────────────────────────┬───────────────┐
 *         │ tag 24                                    │ kind 8        │
 *         └───────────────────────────────────────────┴───────────────┘
 */
static inline uint32_t gpool_tag_kind(uint32_t tag, uint32_t kind) { return tag << GPOOL_KIND_BITS | kind; }
static inline uint32_t gpool_entry_tag(const gpool_entry *entry) { return entry->tag_kind >> GPOOL_KIND_BITS; }
static inline uint32_t gpool_entry_kind(const gpool_entry *entry) { return entry->tag_kind & GPOOL_KIND_MASK; }

/* gpool_record: an access record on the board; record n is at gpool_place(n)
 *         ┌───────────────────────────────────────────────────────────┐
 *       0 │ last_access_ns 64                                         │
 *       8 │ tag_count 64                                              │
 *         └───────────────────────────────────────────────────────────┘
 */
typedef struct {
    uint64_t last_access_ns;
    uint64_t tag_count;
} gpool_record;

/* gpool_tag_count(tag, count): the tag changes with each entry that gets the record; the count is of accesses (LFU)
 *         ┌──────────────────────┬────────────────────────────────────┐
 *         │ tag 24               │ count 40                           │
 *         └──────────────────────┴────────────────────────────────────┘
 */
static inline uint64_t gpool_tag_count(uint32_t tag, uint64_t count) {
    return (uint64_t)tag << GPOOL_COUNT_BITS | count;
}
static inline uint32_t gpool_record_tag(uint64_t tag_count) { return (uint32_t)(tag_count >> GPOOL_COUNT_BITS); }
static inline uint64_t gpool_record_count(uint64_t tag_count) { return tag_count & GPOOL_COUNT_MASK; }

/* gpool_pending: the last access of a hot record by the processes of a shard, until the daemon merges it; LRU only
 *         ┌───────────────────────────────────────────────────────────┐
 *       0 │ owner 64                                                  │
 *       8 │ time_ns 64                                                │
 *         └───────────────────────────────────────────────────────────┘
 */
typedef struct {
    uint64_t owner; /* 0: no process's */
    uint64_t time_ns;
} gpool_pending;

/* gpool_owner(tag, record, owned): whose pending touch it is; `owned` is 1, so that the word is not 0
 *         ┌──────────────────────┬─────────────────────────┬──────────┐
 *         │ tag 24               │ record 32               │ owned 8  │
 *         └──────────────────────┴─────────────────────────┴──────────┘
 */
static inline uint64_t gpool_owner(uint32_t tag, uint32_t record, uint32_t owned) {
    return (uint64_t)tag << 40 | (uint64_t)record << 8 | owned;
}
static inline uint32_t gpool_owner_tag(uint64_t owner) { return (uint32_t)(owner >> 40); }
static inline uint32_t gpool_owner_record(uint64_t owner) { return (uint32_t)(owner >> 8); }
static inline uint32_t gpool_owner_owned(uint64_t owner) { return (uint32_t)owner & 0xff; }

/* gpool_shard: the hits and pending touches of the processes that have chosen it; one cache line
 *         ┌───────────────────────────────────────────────────────────┐
 *       0 │ hits 64                                                   │
 *       8 │ pending 384                                               │ three
 *      56 │ claims 64                                                 │ of the first shard: of all shards
 *         └───────────────────────────────────────────────────────────┘
 */
#define GPOOL_PENDING 3
typedef struct {
    uint64_t hits;
    gpool_pending pending[GPOOL_PENDING];
    uint64_t claims; /* how often a process has claimed a pending touch: unchanged, there is no new owner */
} gpool_shard;

/* gpool_ring: the head of the sample ring, in a page of its own
 *         ┌───────────────────────────────────────────────────────────┐
 *       0 │ next 64                                                   │
 *         └───────────────────────────────────────────────────────────┘
 */
typedef struct {
    uint64_t next; /* the position of the next sample */
} gpool_ring;

/* gpool_sample: what a worker has left; the sample at position p is at p modulo the ring's length
 *         ┌───────────────────────────────────────────────────────────┐
 *       0 │ position 64                                               │
 *       8 │ hash 64                                                   │
 *      16 │ event 64                                                  │
 *         └───────────────────────────────────────────────────────────┘
 */
typedef struct {
    uint64_t position; /* one more than its position: written last; 0 where there was none yet */
    uint64_t hash;     /* the key's, whole */
    uint64_t event;
} gpool_sample;

/* gpool_event(time, what): CLOCK_MONOTONIC in ns, and what happened
 *         ┌─────────────────────────────────────────────────┬─────────┐
 *         │ time 60                                         │ what 4  │
 *         └─────────────────────────────────────────────────┴─────────┘
 */
static inline uint64_t gpool_event(uint64_t time, uint64_t what) { return time << GPOOL_SAMPLE_WHAT_BITS | what; }
static inline uint64_t gpool_event_time(uint64_t event) { return event >> GPOOL_SAMPLE_WHAT_BITS; }
static inline uint64_t gpool_event_what(uint64_t event) { return event & GPOOL_SAMPLE_WHAT_MASK; }

/* gpool_free_run: the beginning of a run of free granules, in the list of its length. Its last word repeats `granules`,
 * so that a neighbour finds its start.
 *         ┌─────────────────────────────┬─────────────────────────────┐
 *       0 │ granules 32                 │ previous 32                 │
 *       8 │ next 32                     │
 *         └─────────────────────────────┘
 */
typedef struct {
    uint32_t granules;
    uint32_t previous;
    uint32_t next;
} gpool_free_run;

_Static_assert(sizeof(gpool_header) == 6 * 64, "the header is six cache lines");
_Static_assert(sizeof(gpool_bucket) == GPOOL_BUCKET_BYTES, "a bucket is one cache line");
_Static_assert(sizeof(gpool_record) == GPOOL_RECORD_BYTES, "an access record is 16 bytes");
_Static_assert(4096 % GPOOL_RECORD_BYTES == 0, "records fill pages");
_Static_assert(sizeof(gpool_shard) == GPOOL_SHARD_BYTES, "a counter shard is one cache line");
_Static_assert(sizeof(gpool_ring) <= GPOOL_RING_HEAD_BYTES, "the ring's head is in its page");
_Static_assert(sizeof(gpool_sample) == GPOOL_SAMPLE_BYTES, "a sample is three words");
_Static_assert(sizeof(gpool_free_run) + 4 <= GPOOL_GRANULE_BYTES, "a free granule holds links and both lengths");
_Static_assert(GPOOL_GRANULE_BYTES % 4 == 0, "extent links are aligned words");
_Static_assert(GPOOL_GRANULE_PAYLOAD == GPOOL_GRANULE_BYTES - 4, "a link word per granule is the worst case");
_Static_assert(2 * GPOOL_GRANULE_BYTES - 8 == 2 * GPOOL_GRANULE_PAYLOAD, "two granules in one extent carry no less");
_Static_assert(GPOOL_TAG_BITS + GPOOL_COUNT_BITS == 64, "tag and count fill a word");
_Static_assert(GPOOL_TAG_BITS + GPOOL_KIND_BITS == 32, "tag and kind fill a word");

/* The granules that an entry needs when each becomes an extent of its own: the worst case that its charge covers. */
static inline uint64_t gpool_granules(uint64_t key_bytes, uint64_t payload_bytes) {
    return (sizeof(gpool_entry) + key_bytes + payload_bytes + GPOOL_GRANULE_PAYLOAD - 1) / GPOOL_GRANULE_PAYLOAD;
}

static inline uint64_t gpool_charge(uint64_t key_bytes, uint64_t payload_bytes) {
    return gpool_granules(key_bytes, payload_bytes) * GPOOL_GRANULE_BYTES
        + GPOOL_RECORD_BYTES + GPOOL_INDEX_SHARE_BYTES;
}

/* The place of an access record: within each page of 256 records, rows and columns of a square of 16 change places. So
 * records with neighbouring numbers, as entries stored one after the other have, are in cache lines of their own, and
 * workers that read neighbouring entries do not take each other's lines away. Its own inverse. */
#define GPOOL_BLOCK_RECORDS 256
static inline uint32_t gpool_place(uint32_t record) {
    return (record & ~UINT32_C(255)) | (record & 15) << 4 | (record >> 4 & 15);
}

/* How many samples the ring of a board for that many access records has: a power of two, and at most a sixteenth of the
 * pool's bound but for the smallest pools. Where it begins on the board: behind the last page of records. */
#define GPOOL_MOST_SAMPLES 4096
#define GPOOL_FEWEST_SAMPLES 1024
static inline uint32_t gpool_ring_samples(uint64_t max_records) {
    uint32_t samples = GPOOL_MOST_SAMPLES;
    while (samples > GPOOL_FEWEST_SAMPLES && samples > max_records / 4)
        samples /= 2;
    return samples;
}
static inline uint64_t gpool_ring_offset(uint64_t max_records) {
    return GPOOL_BOARD_HEADER_BYTES
        + (max_records + GPOOL_BLOCK_RECORDS - 1) / GPOOL_BLOCK_RECORDS * GPOOL_BLOCK_RECORDS * GPOOL_RECORD_BYTES;
}
static inline uint64_t gpool_ring_bytes(uint64_t max_records) {
    return GPOOL_RING_HEAD_BYTES + (uint64_t)gpool_ring_samples(max_records) * GPOOL_SAMPLE_BYTES;
}

/* The counter shard of a process: every other one first, so that processes which were started together do not get
 * neighbouring cache lines, which processors fetch in pairs. */
static inline uint32_t gpool_shard_of(uint32_t process_id) {
    return (process_id << 1 | (process_id / (GPOOL_SHARDS / 2) & 1)) % GPOOL_SHARDS;
}

#define GPOOL_MIN_CHARGE (GPOOL_GRANULE_BYTES + GPOOL_RECORD_BYTES + GPOOL_INDEX_SHARE_BYTES)

/* Bytes that an extent of `granules` granules carries. */
static inline uint64_t gpool_extent_capacity(uint64_t granules) {
    return granules == 1 ? GPOOL_GRANULE_PAYLOAD : granules * GPOOL_GRANULE_BYTES - 8;
}

/* The granules of one extent that carries `bytes`. */
static inline uint64_t gpool_extent_granules(uint64_t bytes) {
    return bytes <= GPOOL_GRANULE_PAYLOAD ? 1 : (bytes + 8 + GPOOL_GRANULE_BYTES - 1) / GPOOL_GRANULE_BYTES;
}

/* The primary bucket of a hash among `count` (linear hashing, Litwin 1980): the low bits for the next power of two, or
 * one bit fewer where that bucket is not split yet. */
static inline uint32_t gpool_bucket_of(uint32_t hash, uint32_t count) {
    uint32_t mask = count <= 1 ? 0 : UINT32_MAX >> __builtin_clz(count - 1);
    uint32_t bucket = hash & mask;
    return bucket < count ? bucket : bucket & (mask >> 1);
}

#endif
