/* How soon keys are looked up again, in bytes and in time: the shape of a hit rate between the points that are simulated.
 *
 * In bytes: what other keys, looked up since, are charged, and the key itself. An LRU pool without a TTL hits if that is
 * within its bound (Mattson's stack distance). A Fenwick tree over the order of last lookups adds up the charges.
 * In time: since the key's last lookup. Both are kept as histograms with eight classes for each doubling; of each kind,
 * only those lookups that the real pool's TTL, or its bound, would let hit.
 */
#ifndef GLIDECACHED_REUSE_CURVES_H
#define GLIDECACHED_REUSE_CURVES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mini_pool.h"

#define REUSE_CLASSES 512 /* of 2^(n / 8) and more */

typedef struct {
    uint32_t room;    /* keys that there are places for */
    uint32_t ends;    /* places: two for each key */
    uint32_t *sums;   /* Fenwick tree, in units of 8 bytes */
    uint16_t *keys;   /* by place: the key whose last lookup this is; SAMPLE_NONE: it has a later one */
    uint32_t *units;  /* by key: what the tree has for it */
    uint16_t *places; /* by key */
    int64_t *last_ns; /* by key; 0: not looked up yet, else the time and 1 */
    uint32_t used;    /* places, from the first */
    uint64_t total;
    float by_bytes[REUSE_CLASSES];
    float by_time[REUSE_CLASSES];
} reuse_curves;

static inline void reuse_close(reuse_curves *curves) {
    free(curves->sums);
    free(curves->keys);
    free(curves->units);
    free(curves->places);
    free(curves->last_ns);
    memset(curves, 0, sizeof *curves);
}

static inline size_t reuse_memory(const reuse_curves *curves) {
    return (curves->room ? curves->ends + 1 : 0) * sizeof(uint32_t) + curves->ends * sizeof(uint16_t) +
           curves->room * (sizeof(uint32_t) + sizeof(uint16_t) + sizeof(int64_t));
}

/* Count lookups from here on: the keys' last ones stay known. */
static inline void reuse_begin(reuse_curves *curves) {
    memset(curves->by_bytes, 0, sizeof curves->by_bytes);
    memset(curves->by_time, 0, sizeof curves->by_time);
}

/* The class of a value: its highest bit, and the three below it. */
static inline uint32_t reuse_class(uint64_t value) {
    if (value < 8)
        return (uint32_t)value;
    uint32_t bit = 63 - (uint32_t)__builtin_clzll(value);
    return (bit - 2) * 8 + (uint32_t)(value >> (bit - 3) & 7);
}

static inline void reuse_add(reuse_curves *curves, uint32_t place, uint32_t units) {
    for (uint32_t at = place + 1; at <= curves->ends; at += at & -at)
        curves->sums[at] += units;
}

/* The units of all places up to this one. */
static inline uint64_t reuse_sum(const reuse_curves *curves, uint32_t place) {
    uint64_t sum = 0;
    for (uint32_t at = place + 1; at; at -= at & -at)
        sum += curves->sums[at];
    return sum;
}

static inline void reuse_forget(reuse_curves *curves, uint32_t key) {
    if (!curves->last_ns[key])
        return;
    reuse_add(curves, curves->places[key], 0 - curves->units[key]);
    curves->total -= curves->units[key];
    curves->keys[curves->places[key]] = SAMPLE_NONE;
    curves->last_ns[key] = 0;
}

/* Leave no place free between those that are in use. */
static inline void reuse_compact(reuse_curves *curves) {
    uint32_t used = 0;
    for (uint32_t place = 0; place < curves->used; place++) {
        uint16_t key = curves->keys[place];
        if (key == SAMPLE_NONE)
            continue;
        curves->keys[used] = key;
        curves->places[key] = (uint16_t)used++;
    }
    memset(curves->keys + used, 0xff, (curves->ends - used) * sizeof(uint16_t));
    memset(curves->sums, 0, (curves->ends + 1) * sizeof(uint32_t));
    curves->used = used;
    for (uint32_t place = 0; place < used; place++)
        reuse_add(curves, place, curves->units[curves->keys[place]]);
}

/* Room for more keys. Without memory it is false, and everything goes on as it was. */
static inline bool reuse_grow(reuse_curves *curves, uint32_t room) {
    uint32_t before = curves->room, ends = 2 * room;
    if (!sample_grow(&curves->sums, sizeof(uint32_t), before ? curves->ends + 1 : 0, ends + 1) ||
        !sample_grow(&curves->keys, sizeof(uint16_t), curves->ends, ends) ||
        !sample_grow(&curves->units, sizeof(uint32_t), before, room) ||
        !sample_grow(&curves->places, sizeof(uint16_t), before, room) ||
        !sample_grow(&curves->last_ns, sizeof(int64_t), before, room))
        return false;
    curves->room = room;
    curves->ends = ends;
    reuse_compact(curves);
    return true;
}

/* A lookup. `share` of all keys are sampled; the real pool has this bound and this TTL. */
static inline void reuse_lookup(reuse_curves *curves, uint32_t key, uint32_t charge, int64_t now_ns, double share,
                                uint64_t bound_bytes, int64_t ttl_ns) {
    if (curves->last_ns[key]) {
        uint64_t since = curves->total - reuse_sum(curves, curves->places[key]) + curves->units[key];
        uint64_t bytes = (uint64_t)((double)(since * 8) / share);
        int64_t time_ns = now_ns - (curves->last_ns[key] - 1);
        if (time_ns <= ttl_ns)
            curves->by_bytes[reuse_class(bytes)] += 1;
        if (bytes <= bound_bytes)
            curves->by_time[reuse_class((uint64_t)time_ns)] += 1;
        reuse_forget(curves, key);
    }
    if (curves->used == curves->ends)
        reuse_compact(curves);
    curves->units[key] = charge / 8 + 1;
    curves->places[key] = (uint16_t)curves->used++;
    curves->keys[curves->places[key]] = (uint16_t)key;
    curves->last_ns[key] = now_ns + 1;
    curves->total += curves->units[key];
    reuse_add(curves, curves->places[key], curves->units[key]);
}

static inline void reuse_scale(reuse_curves *curves, double kept) {
    for (uint32_t i = 0; i < REUSE_CLASSES; i++) {
        curves->by_bytes[i] *= (float)kept;
        curves->by_time[i] *= (float)kept;
    }
}

/* How many of a histogram's lookups are at most `value`. */
static inline double reuse_until(const float *classes, double value) {
    double sum = 0;
    if (value >= 9e18)
        value = 9e18;
    uint64_t whole = value > 0 ? (uint64_t)value : 0;
    uint32_t last = reuse_class(whole);
    for (uint32_t i = 0; i < last; i++)
        sum += classes[i];
    if (whole < 8)
        return sum;
    uint32_t bit = 63 - (uint32_t)__builtin_clzll(whole);
    double width = (double)(UINT64_C(1) << (bit - 3));
    double low = (double)(whole >> (bit - 3)) * width;
    return sum + classes[last] * (value - low) / width;
}

#endif
