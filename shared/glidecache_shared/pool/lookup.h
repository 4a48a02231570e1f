/* Finding an entry: the walk that reader and store share.
 *
 * Everything here may run while the daemon changes what is read. So each link, number and length is checked against
 * what the header publishes before it is followed, each loop is bounded, and nothing that is returned may be believed
 * until the caller has seen the bucket's version unchanged (docs/design/memory-model.md). The payload bytes are copied
 * by plain memcpy: a copy that raced with the writer is thrown away by that check and never looked at.
 */
#ifndef GLIDECACHE_LOOKUP_H
#define GLIDECACHE_LOOKUP_H

#include <string.h>

#include "atomics.h"
#include "layout.h"

/* A mapping of a pool file, with its geometry as validated when it was mapped. */
typedef struct {
    gpool_header *header;
    gpool_bucket *primary;
    gpool_bucket *overflow;
    uint8_t *arena;
    uint32_t max_buckets;
    uint32_t max_overflow;
    uint32_t max_granules;
    uint32_t max_records;
    uint32_t max_chain; /* how many buckets of one chain are looked at: GPOOL_READER_CHAIN, or all for the daemon */
    uint32_t damaged;   /* the daemon's: the file contradicts the daemon's own record (never reset) */
} gpool_view;

/* A position in the bytes of an extent chain. */
typedef struct {
    uint8_t *at;
    uint64_t left; /* bytes from `at` to the end of this extent */
    uint32_t next; /* the next extent's first granule, or 0 */
    uint32_t granule_count;
} gpool_cursor;

typedef struct {
    gpool_entry entry;
    gpool_cursor payload; /* at the payload's first byte */
    uint32_t granule;
} gpool_found;

/* A count that the header publishes; one that the mapping cannot hold reads as 0. */
static inline uint32_t gpool_published(const uint32_t *word, uint32_t maximum) {
    uint32_t count = gpool_load_acquire_u32(word); /* pairs with the release in Region growth: memory first, count after */
    return count <= maximum ? count : 0;
}

static inline bool gpool_cursor_enter(const gpool_view *view, uint32_t granule, gpool_cursor *cursor) {
    cursor->at = NULL;
    cursor->left = 0;
    cursor->next = 0;
    if (granule == 0 || granule >= cursor->granule_count)
        return false;
    gpool_extent *extent = (gpool_extent *)(view->arena + (uint64_t)granule * GPOOL_GRANULE_BYTES);
    uint32_t link = gpool_load_relaxed_u32(&extent->link);
    cursor->next = gpool_link_next(link);
    if (gpool_link_single(link)) {
        cursor->at = (uint8_t *)extent + sizeof extent->link;
        cursor->left = GPOOL_GRANULE_PAYLOAD;
        return true;
    }
    uint32_t granules = gpool_load_relaxed_u32(&extent->granules);
    if (granules < 2 || granules > cursor->granule_count - granule)
        return false;
    cursor->at = (uint8_t *)(extent + 1);
    cursor->left = gpool_extent_capacity(granules);
    return true;
}

/* Copy the next `length` bytes out of the chain. Every extent carries bytes, so the loop ends. */
static inline bool gpool_cursor_copy(const gpool_view *view, gpool_cursor *cursor, uint8_t *target, uint64_t length) {
    while (length > cursor->left) {
        memcpy(target, cursor->at, cursor->left);
        target += cursor->left;
        length -= cursor->left;
        if (!gpool_cursor_enter(view, cursor->next, cursor))
            return false;
    }
    memcpy(target, cursor->at, length);
    cursor->at += length;
    cursor->left -= length;
    return true;
}

static inline bool gpool_cursor_equals(const gpool_view *view, gpool_cursor *cursor, const uint8_t *bytes, uint64_t length) {
    while (length > cursor->left) {
        if (memcmp(bytes, cursor->at, cursor->left) != 0)
            return false;
        bytes += cursor->left;
        length -= cursor->left;
        if (!gpool_cursor_enter(view, cursor->next, cursor))
            return false;
    }
    if (memcmp(bytes, cursor->at, length) != 0)
        return false;
    cursor->at += length;
    cursor->left -= length;
    return true;
}

/* Write `length` bytes into a chain that no bucket leads to yet (the daemon only). */
static inline bool gpool_cursor_write(const gpool_view *view, gpool_cursor *cursor, const uint8_t *source, uint64_t length) {
    while (length > cursor->left) {
        memcpy(cursor->at, source, cursor->left);
        source += cursor->left;
        length -= cursor->left;
        if (!gpool_cursor_enter(view, cursor->next, cursor))
            return false;
    }
    memcpy(cursor->at, source, length);
    cursor->at += length;
    cursor->left -= length;
    return true;
}

/* Read an entry's header; the cursor is then at its key. False when the lengths cannot be true. */
static inline bool gpool_entry_open(const gpool_view *view, uint32_t granule, gpool_entry *entry, gpool_cursor *cursor) {
    cursor->granule_count = gpool_published(&view->header->granule_count, view->max_granules);
    if (!gpool_cursor_enter(view, granule, cursor))
        return false;
    memcpy(entry, cursor->at, sizeof *entry); /* an extent carries at least 72 bytes: the header is whole */
    cursor->at += sizeof *entry;
    cursor->left -= sizeof *entry;
    return (uint64_t)entry->key_bytes + entry->payload_bytes <= (uint64_t)cursor->granule_count * GPOOL_GRANULE_BYTES;
}

static inline uint64_t gpool_entry_expires_ns(const gpool_entry *entry) {
    return (uint64_t)entry->expires_high << 32 | entry->expires_low;
}

/* The next bucket of a chain, or NULL at its end or where the link cannot be true. */
static inline gpool_bucket *gpool_next_bucket(const gpool_view *view, const gpool_bucket *bucket) {
    uint32_t number = gpool_load_relaxed_u32(&bucket->overflow);
    if (number == 0 || number > gpool_published(&view->header->overflow_count, view->max_overflow))
        return NULL;
    return view->overflow + (number - 1);
}

/* How far a reader follows a chain. Keyed hashing keeps chains at a handful of buckets. Longer ones come only from damage,
 * or from keys of a client that knows the secret. Those are misses here, which the daemon answers. */
#define GPOOL_READER_CHAIN 256

/* Look for `key` in the chain that starts at `bucket`. */
static inline bool gpool_find(const gpool_view *view, const gpool_bucket *bucket, uint32_t hash,
                           const uint8_t *key, uint64_t key_bytes, gpool_found *found) {
    for (uint32_t links = 0; bucket != NULL && links < view->max_chain; links++) {
        for (int i = 0; i < GPOOL_BUCKET_SLOTS; i++) {
            uint64_t slot = gpool_load_relaxed_u64(&bucket->slots[i]);
            if (slot == 0)
                break; /* slots are filled from the front: the rest of the bucket is empty */
            if (gpool_slot_hash(slot) != hash)
                continue;
            found->granule = gpool_slot_granule(slot);
            if (gpool_entry_open(view, found->granule, &found->entry, &found->payload) &&
                found->entry.key_bytes == key_bytes &&
                gpool_cursor_equals(view, &found->payload, key, key_bytes))
                return true;
        }
        bucket = gpool_next_bucket(view, bucket);
    }
    return false;
}

/* Compare as memcmp does, without a call: most keys are short. */
static inline bool gpool_same_bytes(const uint8_t *one, const uint8_t *other, uint64_t length) {
    uint64_t a, b, at = 0;
    if (length >= 8) {
        for (; at + 8 <= length; at += 8) {
            memcpy(&a, one + at, 8);
            memcpy(&b, other + at, 8);
            if (a != b)
                return false;
        }
        memcpy(&a, one + length - 8, 8);
        memcpy(&b, other + length - 8, 8);
        return a == b;
    }
    for (; at < length; at++)
        if (one[at] != other[at])
            return false;
    return true;
}

/* What a glance has found: a string that has not expired, whose bytes are all in one place. */
typedef struct {
    const gpool_bucket *bucket;
    uint64_t version; /* the bucket's, before anything else of it was read */
    const uint8_t *payload;
    uint32_t payload_bytes;
    uint32_t record;
    uint32_t tag;
} gpool_glance;

/* The longest string that a glance takes. A race may have produced the length, so it bounds what is allocated by it. */
#define GPOOL_GLANCE_BYTES 4096

/* Look for a string where nearly all are: in the first bucket of its chain, and in one extent. False means nothing: it
 * may be elsewhere, or be changing. */
static inline bool gpool_glance_at(const gpool_view *view, uint32_t hash, const uint8_t *key, uint64_t key_bytes,
                                   uint64_t now_ns, gpool_glance *glance) {
    uint32_t bucket_count = gpool_published(&view->header->bucket_count, view->max_buckets);
    if (bucket_count == 0)
        return false;
    const gpool_bucket *bucket = view->primary + gpool_bucket_of(hash, bucket_count);
    glance->bucket = bucket;
    glance->version = gpool_load_acquire_u64(&bucket->version); /* pairs with the release in end_change */
    if (glance->version & 1)
        return false;
    for (int i = 0; i < GPOOL_BUCKET_SLOTS; i++) {
        uint64_t slot = gpool_load_relaxed_u64(&bucket->slots[i]);
        if (gpool_slot_hash(slot) != hash)
            continue;
        gpool_cursor cursor;
        cursor.granule_count = gpool_published(&view->header->granule_count, view->max_granules);
        if (!gpool_cursor_enter(view, gpool_slot_granule(slot), &cursor))
            return false;
        gpool_entry entry;
        memcpy(&entry, cursor.at, sizeof entry);
        glance->payload = cursor.at + sizeof entry + key_bytes;
        glance->payload_bytes = entry.payload_bytes;
        glance->record = entry.record;
        glance->tag = gpool_entry_tag(&entry);
        uint64_t expires = gpool_entry_expires_ns(&entry);
        return entry.key_bytes == key_bytes
            && entry.payload_bytes <= GPOOL_GLANCE_BYTES
            && sizeof entry + key_bytes + entry.payload_bytes <= cursor.left
            && gpool_same_bytes(cursor.at + sizeof entry, key, key_bytes)
            && gpool_entry_kind(&entry) == GPOOL_KIND_STRING
            && (expires == 0 || now_ns < expires);
    }
    return false;
}

#endif
