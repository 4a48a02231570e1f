/* A pool in miniature: the sampled keys' entries, with a bound, a TTL and a policy of its own.
 *
 * It does what the pool does (contract C6 to C12): the pool's charge, strict LRU or LFU, an expired entry that takes room
 * until a lookup or an eviction meets it. Its bound is the simulated one times the share of keys that are sampled
 * (Waldspurger et al., Cache Modeling and Optimization using Miniature Simulations, ATC 2017).
 *
 * An entry is at its key's place in the sample. Entries are in lists, each in the order of last accesses: one list (LRU),
 * or one for each access count (LFU), in the order of the counts. So the victim is the first of the first list, and
 * everything takes constant time.
 */
#ifndef GLIDECACHED_MINI_POOL_H
#define GLIDECACHED_MINI_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_KEYS 7168 /* at most */
#define SAMPLE_ROOM 64   /* places at first; there are twice as many each time that they are too few */
#define SAMPLE_NONE 0xffff
#define MINI_COUNTS 512 /* lists of LFU, at most */
#define MINI_NEVER INT64_MAX
#define MINI_BETWEEN_PART 0.5 /* of a bound: what stores between windows may evict, at most */

#define MINI_ABSENT 0
#define MINI_PRESENT 1
#define MINI_LIMITED 2 /* present, and its end is the server's key's, not the TTL's */

/* Packed: there are many of them. */
typedef struct __attribute__((packed, aligned(2))) {
    int64_t ends_ns;
    uint16_t before;
    uint16_t after;
    uint16_t list : 14;
    uint16_t state : 2;
} mini_entry;

_Static_assert(sizeof(mini_entry) == 14 && MINI_COUNTS < 1 << 14, "an entry has no padding");

typedef struct {
    uint32_t count;
    uint16_t first;
    uint16_t last;
    uint16_t lower;
    uint16_t higher; /* also links the lists that are not in use */
} mini_list;

typedef struct {
    uint64_t bound_bytes; /* 0: none */
    int64_t ttl_ns;       /* 0: none */
    bool is_lfu;
    bool has_ages;
    uint32_t room; /* keys that there are places for; 0: no memory is in use */
    uint16_t lowest;
    uint16_t free_list;
    double share; /* of all keys that are sampled */
    double scaled_bytes;
    double used_bytes;
    int64_t ahead_ns; /* of its clock, before the other pools' */
    bool evicts;      /* has evicted */
    double between_bytes; /* of new keys that others were evicted for since the last window */
    double age_squares; /* of ages at which lookups have hit, in s², added */
    mini_entry *entries;
    mini_list *lists;
    const uint32_t *charges; /* by key: the sample's own */
    uint32_t *misses;        /* by key */
    float *ages;             /* by key, in s, added; NULL: of no interest */
} mini_pool;

static inline uint32_t mini_lists(const mini_pool *pool, uint32_t room) {
    return !pool->is_lfu ? room > 0 : room < MINI_COUNTS ? room : MINI_COUNTS;
}

/* Put the lists from `first` on behind those that are free. */
static inline void mini_free_lists(mini_pool *pool, uint32_t first, uint32_t end) {
    while (end > first) {
        end--;
        pool->lists[end].higher = pool->free_list;
        pool->free_list = (uint16_t)end;
    }
}

static inline void mini_clear(mini_pool *pool) {
    pool->used_bytes = 0;
    pool->lowest = pool->free_list = SAMPLE_NONE;
    if (!pool->room)
        return;
    memset(pool->entries, 0, pool->room * sizeof(mini_entry));
    if (pool->is_lfu) {
        mini_free_lists(pool, 0, mini_lists(pool, pool->room));
        return;
    }
    pool->lowest = 0;
    pool->lists[0] = (mini_list){0, SAMPLE_NONE, SAMPLE_NONE, SAMPLE_NONE, SAMPLE_NONE};
}

static inline void mini_close(mini_pool *pool) {
    free(pool->entries);
    free(pool->lists);
    free(pool->misses);
    free(pool->ages);
    memset(pool, 0, sizeof *pool);
}

static inline size_t mini_memory(const mini_pool *pool) {
    return pool->room * (sizeof(mini_entry) + sizeof(uint32_t) + (pool->has_ages ? sizeof(float) : 0)) +
           mini_lists(pool, pool->room) * sizeof(mini_list);
}

/* An array with more room, of zeros; false without memory: the array is as it was. */
static inline bool sample_grow(void *array, size_t size, uint32_t before, uint32_t room) {
    void *grown = realloc(*(void **)array, room * size);
    if (!grown)
        return false;
    memset((char *)grown + before * size, 0, (room - before) * size);
    *(void **)array = grown;
    return true;
}

static inline void mini_open(mini_pool *pool, uint64_t bound_bytes, int64_t ttl_ns, bool is_lfu, bool has_ages) {
    memset(pool, 0, sizeof *pool);
    pool->bound_bytes = bound_bytes;
    pool->ttl_ns = ttl_ns;
    pool->is_lfu = is_lfu;
    pool->has_ages = has_ages;
    mini_clear(pool);
}

/* Room for more keys; what is there stays. Without memory it is false, and the pool goes on as it was. */
static inline bool mini_grow(mini_pool *pool, uint32_t room) {
    uint32_t before = pool->room, lists = mini_lists(pool, before);
    if (!sample_grow(&pool->entries, sizeof(mini_entry), before, room) ||
        !sample_grow(&pool->misses, sizeof(uint32_t), before, room) ||
        (pool->has_ages && !sample_grow(&pool->ages, sizeof(float), before, room)) ||
        !sample_grow(&pool->lists, sizeof(mini_list), lists, mini_lists(pool, room)))
        return false;
    pool->room = room;
    if (!before)
        mini_clear(pool);
    else if (pool->is_lfu)
        mini_free_lists(pool, lists, mini_lists(pool, room));
    return true;
}

static inline void mini_scale(mini_pool *pool, double share) {
    pool->share = share;
    pool->scaled_bytes = (double)pool->bound_bytes * share;
}

/* ---- lists */

static inline void mini_append(mini_pool *pool, uint16_t list, uint32_t key) {
    mini_entry *entry = &pool->entries[key];
    mini_list *at = &pool->lists[list];
    entry->list = list;
    entry->before = at->last;
    entry->after = SAMPLE_NONE;
    if (at->last == SAMPLE_NONE)
        at->first = (uint16_t)key;
    else
        pool->entries[at->last].after = (uint16_t)key;
    at->last = (uint16_t)key;
}

/* A list of LFU that is then empty ends. */
static inline void mini_take_out(mini_pool *pool, uint32_t key) {
    mini_entry *entry = &pool->entries[key];
    mini_list *list = &pool->lists[entry->list];
    if (entry->before == SAMPLE_NONE)
        list->first = entry->after;
    else
        pool->entries[entry->before].after = entry->after;
    if (entry->after == SAMPLE_NONE)
        list->last = entry->before;
    else
        pool->entries[entry->after].before = entry->before;
    if (!pool->is_lfu || list->first != SAMPLE_NONE)
        return;
    if (list->lower == SAMPLE_NONE)
        pool->lowest = list->higher;
    else
        pool->lists[list->lower].higher = list->higher;
    if (list->higher != SAMPLE_NONE)
        pool->lists[list->higher].lower = list->lower;
    list->higher = pool->free_list;
    pool->free_list = entry->list;
}

/* An empty list for a count, between two others; SAMPLE_NONE if all are in use. */
static inline uint16_t mini_new_list(mini_pool *pool, uint16_t lower, uint16_t higher, uint32_t count) {
    uint16_t made = pool->free_list;
    if (made == SAMPLE_NONE)
        return made;
    pool->free_list = pool->lists[made].higher;
    pool->lists[made] = (mini_list){count, SAMPLE_NONE, SAMPLE_NONE, lower, higher};
    if (lower == SAMPLE_NONE)
        pool->lowest = made;
    else
        pool->lists[lower].higher = made;
    if (higher != SAMPLE_NONE)
        pool->lists[higher].lower = made;
    return made;
}

/* One more access of an entry. */
static inline void mini_promote(mini_pool *pool, uint32_t key) {
    uint16_t at = pool->entries[key].list;
    mini_list *list = &pool->lists[at];
    if (!pool->is_lfu) {
        if (list->last != key) {
            mini_take_out(pool, key);
            mini_append(pool, at, key);
        }
        return;
    }
    uint16_t higher = list->higher;
    if (list->count == UINT32_MAX)
        return;
    if (higher == SAMPLE_NONE || pool->lists[higher].count != list->count + 1) {
        if (list->first == list->last) {
            list->count++;
            return;
        }
        uint16_t made = mini_new_list(pool, at, higher, list->count + 1);
        /* With all lists in use, victims are far from here: it joins the next higher count. */
        higher = made != SAMPLE_NONE ? made : higher != SAMPLE_NONE ? higher : at;
    }
    mini_take_out(pool, key);
    mini_append(pool, higher, key);
}

/* ---- entries */

static inline bool mini_is_present(const mini_pool *pool, uint32_t key) {
    return pool->entries[key].state != MINI_ABSENT;
}

static inline bool mini_is_live(const mini_pool *pool, uint32_t key, int64_t now_ns) {
    return pool->entries[key].state != MINI_ABSENT && now_ns < pool->entries[key].ends_ns;
}

static inline bool mini_is_empty(const mini_pool *pool) {
    return pool->lowest == SAMPLE_NONE || pool->lists[pool->lowest].first == SAMPLE_NONE;
}

/* The keys of live entries, in the order in which they are evicted. Returns their number. */
static inline uint32_t mini_order(const mini_pool *pool, int64_t now_ns, uint16_t *keys) {
    uint32_t count = 0;
    for (uint16_t list = pool->lowest; list != SAMPLE_NONE; list = pool->lists[list].higher)
        for (uint16_t key = pool->lists[list].first; key != SAMPLE_NONE; key = pool->entries[key].after)
            if (mini_is_live(pool, key, now_ns))
                keys[count++] = key;
    return count;
}

/* Whether the key's entry needs no victims. */
static inline bool mini_has_room(const mini_pool *pool, uint32_t key) {
    return !pool->bound_bytes || pool->used_bytes + pool->charges[key] <= pool->scaled_bytes;
}

/* Whether a key may be stored between windows. LFU protects what is read often by its counts. LRU would lose its hot keys,
 * whose lookups are not known then: so only new keys evict, and only a part of its entries. */
static inline bool mini_may_store_between(mini_pool *pool, uint32_t key, bool is_new) {
    if (pool->is_lfu || mini_has_room(pool, key))
        return true;
    if (!is_new || pool->between_bytes + pool->charges[key] > MINI_BETWEEN_PART * pool->scaled_bytes)
        return false;
    pool->between_bytes += pool->charges[key];
    return true;
}

/* Remove an entry that is present. */
static inline void mini_remove(mini_pool *pool, uint32_t key) {
    mini_take_out(pool, key);
    pool->entries[key].state = MINI_ABSENT;
    pool->used_bytes -= pool->charges[key];
}

/* Whether a pool has a live entry; an expired one leaves. */
static inline bool mini_end(mini_pool *pool, uint32_t key, int64_t now_ns) {
    if (mini_is_live(pool, key, now_ns))
        return true;
    if (mini_is_present(pool, key))
        mini_remove(pool, key);
    return false;
}

/* Whether a lookup finds a live entry; an expired one leaves. `life_ns` is how long the server lets the key live. */
static inline bool mini_lookup(mini_pool *pool, uint32_t key, int64_t now_ns, int64_t life_ns) {
    mini_entry *entry = &pool->entries[key];
    if (!mini_is_live(pool, key, now_ns)) {
        pool->misses[key]++;
        if (entry->state != MINI_ABSENT)
            mini_remove(pool, key);
        return false;
    }
    mini_promote(pool, key);
    if (pool->ages && entry->ends_ns != MINI_NEVER) {
        int64_t stored_ns = entry->ends_ns - (entry->state == MINI_LIMITED ? life_ns : pool->ttl_ns);
        double age = (double)(now_ns - stored_ns) * 1e-9;
        pool->ages[key] += (float)age;
        pool->age_squares += age * age;
    }
    return true;
}

/* Store an entry that is absent, until `ends_ns`; the policy's victims make room. */
static inline void mini_store(mini_pool *pool, uint32_t key, int64_t ends_ns, bool limited) {
    double charge = pool->charges[key];
    mini_entry *entry = &pool->entries[key];
    if (pool->bound_bytes) {
        if (charge > (double)pool->bound_bytes)
            return;
        while (!mini_is_empty(pool)) {
            double over = pool->used_bytes + charge - pool->scaled_bytes;
            uint32_t victim = pool->lists[pool->lowest].first;
            /* Few entries fit into a small pool, and what is left free at its end is a larger share of it than of the
             * real one. So a victim leaves only if the pool is nearer to its bound without it. */
            if (over <= 0 || over < 0.5 * (1 - pool->share) * pool->charges[victim])
                break;
            mini_remove(pool, victim);
            pool->evicts = true;
        }
    }
    entry->ends_ns = ends_ns;
    entry->state = limited ? MINI_LIMITED : MINI_PRESENT;
    pool->used_bytes += charge;
    uint16_t list = pool->lowest;
    if (pool->is_lfu && (list == SAMPLE_NONE || pool->lists[list].count != 1)) {
        list = mini_new_list(pool, SAMPLE_NONE, pool->lowest, 1);
        if (list == SAMPLE_NONE)
            list = pool->lowest;
    }
    mini_append(pool, list, key);
}

#endif
