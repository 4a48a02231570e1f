/* The keys that most hits are on, counted in surveys: short times in which hits on all keys leave a sample.
 *
 * The Space-Saving summary (Metwally, Agrawal, El Abbadi, ICDT 2005): a key that is not among those counted takes the place
 * of the one with the fewest hits, and its count, which is remembered as excess. So a key with more than a HOT_KEYS-th of
 * all hits is among them, and has had at least its count less its excess.
 */
#ifndef GLIDECACHE_HOT_KEYS_H
#define GLIDECACHE_HOT_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    HOT_KEYS = 256,
    HOT_FILTER_BITS = 4096,
    /* From so many hits on what is learnt of a key's changes is kept. */
    HOT_LEAST_HITS = 4,
    HOT_NONE = HOT_KEYS
};

typedef struct {
    uint64_t hash;
    uint32_t count;
    uint32_t excess;
} hot_key;

typedef struct {
    hot_key keys[HOT_KEYS];
    uint64_t surveyed; /* all hits of the surveys */
    uint32_t in_use;
    uint64_t filter[HOT_FILTER_BITS / 64]; /* of the hashes' low bits, for the keys with HOT_LEAST_HITS */
} hot_keys;

static inline uint32_t hot_hits(const hot_keys *hot, uint32_t place) {
    return hot->keys[place].count - hot->keys[place].excess;
}

static inline bool hot_may_have(const hot_keys *hot, uint32_t hash) {
    uint32_t bit = hash % HOT_FILTER_BITS;
    return hot->filter[bit / 64] >> bit % 64 & 1;
}

/* The place of a key with HOT_LEAST_HITS, or HOT_NONE. */
static inline uint32_t hot_find(const hot_keys *hot, uint64_t hash) {
    if (!hot_may_have(hot, (uint32_t)hash))
        return HOT_NONE;
    for (uint32_t place = 0; place < hot->in_use; place++)
        if (hot->keys[place].hash == hash)
            return hot_hits(hot, place) >= HOT_LEAST_HITS ? place : HOT_NONE;
    return HOT_NONE;
}

static inline void hot_filter(hot_keys *hot) {
    memset(hot->filter, 0, sizeof(hot->filter));
    for (uint32_t place = 0; place < hot->in_use; place++)
        if (hot_hits(hot, place) >= HOT_LEAST_HITS) {
            uint32_t bit = (uint32_t)hot->keys[place].hash % HOT_FILTER_BITS;
            hot->filter[bit / 64] |= (uint64_t)1 << bit % 64;
        }
}

/* Count a hit. The place of a key that has just got HOT_LEAST_HITS, else HOT_NONE. */
static inline uint32_t hot_count(hot_keys *hot, uint64_t hash) {
    uint32_t place = 0, fewest = 0;
    hot->surveyed++;
    for (; place < hot->in_use && hot->keys[place].hash != hash; place++)
        if (hot->keys[place].count < hot->keys[fewest].count)
            fewest = place;
    if (place == HOT_KEYS) {
        bool had_hits = hot_hits(hot, fewest) >= HOT_LEAST_HITS;
        place = fewest;
        hot->keys[place].hash = hash;
        hot->keys[place].excess = hot->keys[place].count;
        if (had_hits)
            hot_filter(hot);
    } else if (place == hot->in_use) {
        hot->keys[place] = (hot_key){hash, 0, 0};
        hot->in_use++;
    }
    if (hot->keys[place].count == UINT32_MAX)
        return HOT_NONE;
    hot->keys[place].count++;
    if (hot_hits(hot, place) != HOT_LEAST_HITS)
        return HOT_NONE;
    hot_filter(hot);
    return place;
}

/* Do not find a key, until it has as many hits again. */
static inline void hot_leave_out(hot_keys *hot, uint32_t place) {
    hot->keys[place].excess = hot->keys[place].count;
    hot_filter(hot);
}

/* Count from here on. */
static inline void hot_begin(hot_keys *hot) {
    hot->in_use = 0;
    hot->surveyed = 0;
    hot_filter(hot);
}

#endif
