/* What simulated pools miss more than the real one's own simulation, by windows of time.
 *
 * A window speaks for half of the time since the last one, and half of the time until the next. The first one has all lookups
 * of a pool that has just begun: without weights, a minute of dense traffic would look like its first second. Lookups of keys
 * that were not known before miss in every pool; they are left out on both sides, `looked_up` and `all`.
 */
#ifndef GLIDECACHE_WINDOW_SUMS_H
#define GLIDECACHE_WINDOW_SUMS_H

#include "mini_pool.h"

enum { WINDOW_POOLS = 24 };

typedef struct {
    double at_begin[WINDOW_POOLS]; /* the sampled misses of each pool, less those of the first, when the window began */
    double in_window[WINDOW_POOLS];
    double weighted[WINDOW_POOLS]; /* of all windows before it, by what they speak for */
    double looked_up;              /* lookups in windows, until this one began */
    double within;                 /* lookups in this one, when it has ended */
    double all_at_end;             /* all lookups until then */
    double gap_before;             /* lookups between it and the window before */
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

/* A part of the keys is left. */
static inline void window_scale(window_sums *sums, mini_pool *pools, uint32_t count, double kept) {
    for (uint32_t index = 0; index < count; index++) {
        pools[index].missed *= kept;
        sums->at_begin[index] *= kept;
        sums->in_window[index] *= kept;
        sums->weighted[index] *= kept;
    }
}

/* The sampled misses of a pool, less those of the first, that all lookups would have. */
static inline double window_total(const window_sums *sums, const mini_pool *pools, uint32_t index, double looked_up,
                                  double all) {
    double within = sums->ended ? sums->within : looked_up - sums->looked_up;
    double excess = sums->ended ? sums->in_window[index] : window_excess(pools, index) - sums->at_begin[index];
    double gap = sums->gap_before / 2 + (sums->ended && all > sums->all_at_end ? all - sums->all_at_end : 0);
    /* A window that has just begun says little yet. */
    return sums->weighted[index] + excess * (within > 0 ? 1 + gap / (within > gap / 100 ? within : gap / 100) : 1);
}

#endif
