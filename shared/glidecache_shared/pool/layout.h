/* The layout of a pool in shared memory: the one place where its bytes are defined (docs/design/pool-layout.md).
 *
 *  <id>.<generation>.pool, written by the daemon, mapped read-only by workers
 *  ┌────────┬──────────────────────┬─────────────────────┬───────────────────────────────────────┐
 *  │ header │ primary buckets      │ overflow buckets    │ arena: granules of 76 bytes           │
 *  │ 4 KiB  │ 64 B each, n in use  │ 64 B each           │ entries, as chains of extents         │
 *  └────────┴──────────────────────┴─────────────────────┴───────────────────────────────────────┘
 *  Each region has its place for the pool's whole bound; memory is allocated as it grows.
 *
 *  <id>.<generation>.board, written by the daemon and by workers
 *  ┌──────────────────────┬──────────────────────────────────────┐
 *  │ 64 counter shards    │ access records, 16 B each            │
 *  └──────────────────────┴──────────────────────────────────────┘
 *
 *  bucket  64 B  │ version 8 │ overflow 4 │ unused 4 │ 6 slots of 8 │      slot = hash 4 │ granule 4 │
 *  extent        │ link 4 │ (granules 4, unless the link says "single") │ bytes …
 *  entry         │ header 28 │ key │ payload │     spread over the extents of one chain
 *  record  16 B  │ last access 8 │ tag 24 bit, count 40 bit │      number n is at gpool_place(n)
 */
#ifndef GLIDECACHE_LAYOUT_H
#define GLIDECACHE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define GPOOL_MAGIC UINT64_C(0x6c6f6f5063643147) /* "G1dcPool" as little-endian bytes: also shows the byte order */
#define GPOOL_LAYOUT_VERSION 2

#define GPOOL_HEADER_BYTES 4096
#define GPOOL_BUCKET_BYTES 64
#define GPOOL_BUCKET_SLOTS 6
#define GPOOL_GRANULE_BYTES 76
#define GPOOL_GRANULE_PAYLOAD 72 /* what a granule surely carries: 76 less one link, whether extents are long or single */
#define GPOOL_SHARDS 64
#define GPOOL_SHARD_BYTES 64
#define GPOOL_BOARD_HEADER_BYTES (GPOOL_SHARDS * GPOOL_SHARD_BYTES)

/* Shares of a charge besides the granules: one access record, and one entry's part of the index. The index holds a
 * bucket per GPOOL_ENTRIES_PER_BUCKET entries (16 bytes an entry) and overflow buckets, at most 2.6 bytes an entry in
 * expectation at the worst moment of a doubling round (Poisson loads between 4 and 8 a bucket). */
#define GPOOL_RECORD_BYTES 16
#define GPOOL_INDEX_SHARE_BYTES 20
#define GPOOL_ENTRIES_PER_BUCKET 4

#define GPOOL_LINK_SINGLE UINT32_C(0x80000000) /* the extent is one granule, and has no length word */
#define GPOOL_LINK_NEXT UINT32_C(0x7fffffff)   /* the next extent's first granule; 0 ends the chain */
#define GPOOL_MAX_GRANULES UINT32_C(0x7fffffff)

#define GPOOL_STATE_ACTIVE 1
#define GPOOL_STATE_RETIRED 2

#define GPOOL_POLICY_LRU 1
#define GPOOL_POLICY_LFU 2

#define GPOOL_KIND_STRING 1
#define GPOOL_KIND_HASH 2
#define GPOOL_KIND_SET 3

#define GPOOL_TAG_BITS 24
#define GPOOL_TAG_MASK UINT32_C(0xffffff)
#define GPOOL_COUNT_BITS 40
#define GPOOL_COUNT_MASK ((UINT64_C(1) << GPOOL_COUNT_BITS) - 1)

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
    uint64_t misses_expired; /* of all misses: there was an entry, and it had expired */
    uint64_t misses_other_kind; /* it was of another kind */
    uint64_t misses_own_write; /* it was stored before what the asking client had written */
    uint64_t unused_2;
    /* line 3: what every lookup reads; changes with growth and once a heartbeat */
    uint32_t state;
    uint32_t bucket_count;   /* primary buckets in use */
    uint32_t overflow_count; /* overflow buckets with memory behind them */
    uint32_t granule_count;  /* granules with memory behind them */
    uint32_t record_count;   /* access records with memory behind them */
    uint32_t unused_3a;
    uint64_t heartbeat_ns;
    uint64_t unused_3[4];
    /* line 4: the daemon's counters */
    uint64_t entry_count;
    uint64_t charged_bytes;
    uint64_t daemon_hits;
    uint64_t misses;
    uint64_t evictions;
    uint64_t expirations;
    uint64_t next_version; /* above the version of every bucket that was ever given up */
    uint64_t seal;         /* 0 while a daemon writes; after a clean stop the sum of all bytes before it */
} gpool_header;

typedef struct {
    uint64_t version;  /* odd while the chain that starts here is being changed; unused in overflow buckets */
    uint32_t overflow; /* 1 + number of the next overflow bucket, 0 at the end */
    uint32_t unused;
    uint64_t slots[GPOOL_BUCKET_SLOTS]; /* hash << 32 | granule; 0 is empty; filled from the front, without holes */
} gpool_bucket;

/* After the link words of an entry's first extent. Seven 32-bit words, because granules are aligned to 4 bytes only. */
typedef struct {
    uint32_t key_bytes;
    uint32_t payload_bytes;
    uint32_t record;
    uint32_t tag_kind; /* tag << 8 | kind */
    uint32_t expires_low;
    uint32_t expires_high; /* CLOCK_MONOTONIC in ns at which the entry is expired; 0: never */
    uint32_t checksum;
} gpool_entry;

typedef struct {
    uint64_t last_access_ns;
    uint64_t tag_count; /* tag << 40 | count */
} gpool_record;

typedef struct {
    uint64_t hits;
    uint64_t unused[7];
} gpool_shard;

_Static_assert(sizeof(gpool_header) == 5 * 64, "the header is five cache lines");
_Static_assert(offsetof(gpool_header, max_bytes) == 64, "geometry starts line 1");
_Static_assert(offsetof(gpool_header, grace_ns) == 128, "trust starts line 2");
_Static_assert(offsetof(gpool_header, state) == 192, "what lookups read starts line 3");
_Static_assert(offsetof(gpool_header, entry_count) == 256, "counters start line 4");
_Static_assert(offsetof(gpool_header, seal) == 312, "the seal is the header's last word");
_Static_assert(sizeof(gpool_bucket) == GPOOL_BUCKET_BYTES, "a bucket is one cache line");
_Static_assert(offsetof(gpool_bucket, slots) == 16, "slots follow version and link");
_Static_assert(sizeof(gpool_entry) == 28, "an entry's header is seven words");
_Static_assert(sizeof(gpool_record) == GPOOL_RECORD_BYTES, "an access record is 16 bytes");
_Static_assert(4096 % GPOOL_RECORD_BYTES == 0, "records fill pages");
_Static_assert(sizeof(gpool_shard) == GPOOL_SHARD_BYTES, "a counter shard is one cache line");
_Static_assert(GPOOL_GRANULE_BYTES % 4 == 0, "extent links are aligned words");
_Static_assert(GPOOL_GRANULE_PAYLOAD == GPOOL_GRANULE_BYTES - 4, "a link word per granule is the worst case");
_Static_assert(2 * GPOOL_GRANULE_BYTES - 8 == 2 * GPOOL_GRANULE_PAYLOAD, "two granules in one extent carry no less");
_Static_assert(GPOOL_TAG_BITS + GPOOL_COUNT_BITS == 64, "tag and count fill a word");

/* The granules that an entry needs when each becomes an extent of its own: the worst case that its charge covers. */
static inline uint64_t gpool_granules(uint64_t key_bytes, uint64_t payload_bytes) {
    return (sizeof(gpool_entry) + key_bytes + payload_bytes + GPOOL_GRANULE_PAYLOAD - 1) / GPOOL_GRANULE_PAYLOAD;
}

static inline uint64_t gpool_charge(uint64_t key_bytes, uint64_t payload_bytes) {
    return gpool_granules(key_bytes, payload_bytes) * GPOOL_GRANULE_BYTES + GPOOL_RECORD_BYTES + GPOOL_INDEX_SHARE_BYTES;
}

/* The place of an access record: within each page of 256 records, rows and columns of a square of 16 change places. So
 * records with neighbouring numbers, as entries stored one after the other have, are in cache lines of their own, and
 * workers that read neighbouring entries do not take each other's lines away. Its own inverse. */
#define GPOOL_BLOCK_RECORDS 256
static inline uint32_t gpool_place(uint32_t record) {
    return (record & ~UINT32_C(255)) | (record & 15) << 4 | (record >> 4 & 15);
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
