/* Touching an access record: what a hit leaves behind (contract C11, architecture decision 3).
 *
 * Records are written by any number of workers at once and carry no other data, so everything is relaxed. Two words,
 * each changed by compare-and-swap: the time only grows; the count changes only while the tag beside it is the entry's,
 * so a reader that was stopped between copy and touch leaves the record's next owner alone. That late reader's time is
 * harmless by itself: it was read before its copy, the next owner was stored after it, and the maximum keeps the later.
 *
 * A record that several processes touch all the time would make its cache line travel from one to the other with each
 * hit. So a process that notices this leaves the time in its own counter shard instead, as *pending*, and the daemon
 * merges all pending times into the records before it looks at them (docs/design/0023-hot-keys.md).
 */
#ifndef GLIDECACHE_TOUCH_H
#define GLIDECACHE_TOUCH_H

#include "atomics.h"
#include "layout.h"

/* Attempts before an update is given up: each failure means that another process's update of the same word succeeded, so
 * only a hostile peer can use this up. */
#define GPOOL_TOUCH_ATTEMPTS 4096

static inline void gpool_touch_time(gpool_record *record, uint64_t now_ns) {
    uint64_t seen = gpool_load_relaxed_u64(&record->last_access_ns);
    for (int i = 0; seen < now_ns && i < GPOOL_TOUCH_ATTEMPTS; i++)
        if (gpool_cas_relaxed_u64(&record->last_access_ns, &seen, now_ns))
            return;
}

static inline void gpool_touch_count(gpool_record *record, uint32_t tag) {
    uint64_t seen = gpool_load_relaxed_u64(&record->tag_count);
    for (int i = 0; i < GPOOL_TOUCH_ATTEMPTS; i++) {
        if (gpool_record_tag(seen) != tag || gpool_record_count(seen) == GPOOL_COUNT_MASK)
            return;
        if (gpool_cas_relaxed_u64(&record->tag_count, &seen, seen + 1))
            return;
    }
}

/* What this process knows of the records that it touched last: a guess is enough, so threads may mix it up. */
typedef struct {
    const gpool_record *record;
    uint64_t time_ns;
} gpool_last_touch;

#define GPOOL_LAST_TOUCHES 8
/* A record is hot if another process has touched it since this one did, so shortly before. */
#define GPOOL_HOT_NS 1000000

/* Leave the time in a pending touch of this owner. False if it is not the owner's any more: the time may be lost.
 *
 * Only the daemon takes a pending touch from its owner, and then looks at the time once more. Either that look sees the
 * time that was left here, or the second look at the owner here sees the daemon's change: hence the strict order. The
 * time is read before the owner, and only grows, also from one owner to the next: an update after a change of owner
 * fails. */
static inline bool gpool_touch_pending(gpool_pending *pending, uint64_t owner, uint64_t now_ns) {
    uint64_t seen = gpool_load_acquire_u64(&pending->time_ns);
    for (int i = 0; i < GPOOL_TOUCH_ATTEMPTS; i++) {
        if (gpool_load_acquire_u64(&pending->owner) != owner)
            return false;
        if (seen >= now_ns)
            return true;
        if (gpool_cas_strict_u64(&pending->time_ns, &seen, now_ns))
            return gpool_load_strict_u64(&pending->owner) == owner;
    }
    return true;
}

/* The daemon looks for new owners only when it sees another number of claims: so a claim is counted before its hit ends. */
static inline bool gpool_claim_pending(gpool_pending *pending, uint64_t owner, uint64_t now_ns, uint64_t *claims) {
    uint64_t unowned = 0;
    if (gpool_load_relaxed_u64(&pending->owner) != unowned || !gpool_cas_strict_u64(&pending->owner, &unowned, owner))
        return false;
    bool left = gpool_touch_pending(pending, owner, now_ns);
    gpool_add_strict_u64(claims, 1);
    return left;
}

/* Touch a record under LRU, apart from other processes if it is hot. `shard` is this process's, `last` its memory. */
static inline void gpool_touch_apart(gpool_record *record, uint32_t number, uint32_t tag, uint64_t now_ns,
                                     gpool_shard *shards, uint32_t shard, gpool_last_touch *last) {
    uint64_t owner = gpool_owner(tag, number, 1);
    gpool_pending *pending = &shards[shard].pending[number % GPOOL_PENDING];
    if (gpool_load_relaxed_u64(&pending->owner) == owner && gpool_touch_pending(pending, owner, now_ns))
        return;
    last += number % GPOOL_LAST_TOUCHES;
    if (last->record == record && now_ns - last->time_ns < GPOOL_HOT_NS &&
        gpool_load_relaxed_u64(&record->last_access_ns) != last->time_ns &&
        gpool_claim_pending(pending, owner, now_ns, &shards->claims))
        return;
    gpool_touch_time(record, now_ns);
    last->record = record;
    last->time_ns = now_ns;
}

/* `is_lfu`: the policy is LFU, so the count grows as well. */
static inline void gpool_touch(gpool_record *record, uint32_t tag, uint64_t now_ns, bool is_lfu) {
    if (is_lfu)
        gpool_touch_count(record, tag);
    gpool_touch_time(record, now_ns);
}

#endif
