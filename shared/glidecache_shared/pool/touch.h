/* Touching an access record: what a hit leaves behind (contract C11, architecture decision 3).
 *
 * Records are written by any number of workers at once and carry no other data, so everything is relaxed. Two words,
 * each changed by compare-and-swap: the time only grows; the count changes only while the tag beside it is the entry's,
 * so a reader that was stopped between copy and touch leaves the record's next owner alone. That late reader's time is
 * harmless by itself: it was read before its copy, the next owner was stored after it, and the maximum keeps the later.
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

/* `is_lfu`: the policy is LFU, so the count grows as well. */
static inline void gpool_touch(gpool_record *record, uint32_t tag, uint64_t now_ns, bool is_lfu) {
    if (is_lfu)
        gpool_touch_count(record, tag);
    gpool_touch_time(record, now_ns);
}

#endif
