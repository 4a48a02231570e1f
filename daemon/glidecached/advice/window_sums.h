/* What simulated pools miss more than the real one's own simulation, by windows of time.
 *
 * A window speaks for half of the time since the last one, and half of the time until the next. The first one has all lookups
 * of a pool that has just begun: without weights, a minute of dense traffic would look like its first second. Lookups of keys
 * that were not known before miss in every pool; they are left out on both sides, `looked_up` and `all`.
 *
 * Pools that are larger, or whose TTL is longer, miss only where the real one does, and that is seen between windows too, by
 * what is stored then. So for these nothing is weighted, until they evict: then it is not known which entries they have.
 */
#ifndef GLIDECACHE_WINDOW_SUMS_H
#define GLIDECACHE_WINDOW_SUMS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "mini_pool.h"

enum { WINDOW_POOLS = 24 };

enum { KEEPS_LESS, KEEPS_MORE, KEEPS_LONGER };

typedef struct {
    double at_begin[WINDOW_POOLS]; /* the sampled misses of each pool, less those of the first, when the window began */
    double in_window[WINDOW_POOLS];
    double weighted[WINDOW_POOLS]; /* of all windows before it, by what they speak for */
    double looked_up;              /* lookups in windows, until this one began */
    double within;                 /* lookups in this one, when it has ended */
    double all_at_end;             /* all lookups until then */
    double gap_before;             /* lookups between it and the window before */
    double between[WINDOW_POOLS];  /* what pools that keep more have missed less between windows: below zero */
    uint8_t keeps[WINDOW_POOLS];
    bool ended;
} window_sums;

static inline double window_excess(const mini_pool *pools, uint32_t index) { return pools[index].missed - pools[0].missed; }

static inline void window_end(window_sums *sums, const mini_pool *pools, uint32_t count, double looked_up, double all) {
    for (uint32_t index = 0; index < count; index++)
        sums->in_window[index] = window_excess(pools, index) - sums->at_begin[index];
    sums->within = looked_up - sums->looked_up;
    sums->all_at_end = all;
    sums->ended = true;
}

static inline void window_begin(window_sums *sums, const mini_pool *pools, uint32_t count, double looked_up, double all) {
    double gap = all > sums->all_at_end ? all - sums->all_at_end : 0;
    double weight = sums->within > 0 ? 1 + (sums->gap_before + gap) / 2 / sums->within : 1;
    for (uint32_t index = 0; index < count; index++) {
        sums->weighted[index] += weight * sums->in_window[index];
        sums->at_begin[index] = window_excess(pools, index);
    }
    sums->looked_up = looked_up;
    sums->gap_before = gap;
    sums->ended = false;
}

/* Begin again, beside these pools. */
static inline void windows_start(window_sums *sums, const mini_pool *pools, uint32_t count) {
    memset(sums, 0, sizeof(*sums));
    for (uint32_t index = 1; index < count; index++) {
        const mini_pool *pool = &pools[index];
        bool larger = pool->bound_bytes == 0 || pool->bound_bytes > pools[0].bound_bytes;
        if (pool->is_lfu == pools[0].is_lfu && larger && pool->ttl_ns == pools[0].ttl_ns)
            sums->keeps[index] = KEEPS_MORE;
        else if (pool->is_lfu == pools[0].is_lfu && pool->bound_bytes == pools[0].bound_bytes &&
                 pool->ttl_ns > pools[0].ttl_ns)
            sums->keeps[index] = KEEPS_LONGER;
    }
}

/* The real pool has missed a key between windows, so long after its last store; a life of `life_ns` is over then. */
static inline void window_between(window_sums *sums, const mini_pool *pools, uint32_t count, uint32_t key, int64_t after_ns,
                                  int64_t life_ns) {
    uint32_t keeps = after_ns < life_ns ? KEEPS_MORE : KEEPS_LONGER;
    for (uint32_t index = 1; index < count; index++)
        if (sums->keeps[index] == keeps && mini_is_present(&pools[index], key) && after_ns < pools[index].ttl_ns)
            sums->between[index]--;
}

/* A part of the keys is left. */
static inline void window_scale(window_sums *sums, mini_pool *pools, uint32_t count, double kept) {
    for (uint32_t index = 0; index < count; index++) {
        pools[index].missed *= kept;
        sums->at_begin[index] *= kept;
        sums->in_window[index] *= kept;
        sums->weighted[index] *= kept;
        sums->between[index] *= kept;
    }
}

/* The sampled misses of a pool, less those of the first, that all lookups would have. */
static inline double window_total(const window_sums *sums, const mini_pool *pools, uint32_t index, double looked_up,
                                  double all) {
    if (sums->keeps[index] != KEEPS_LESS && !pools[index].evicts)
        return window_excess(pools, index) + sums->between[index];
    double within = sums->ended ? sums->within : looked_up - sums->looked_up;
    double excess = sums->ended ? sums->in_window[index] : window_excess(pools, index) - sums->at_begin[index];
    double gap = sums->gap_before / 2 + (sums->ended && all > sums->all_at_end ? all - sums->all_at_end : 0);
    /* A window that has just begun says little yet. */
    return sums->weighted[index] + excess * (within > 0 ? 1 + gap / (within > gap / 100 ? within : gap / 100) : 1);
}

#endif
