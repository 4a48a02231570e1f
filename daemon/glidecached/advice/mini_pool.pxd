# A pool in miniature: see mini_pool.h.
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

cdef extern from "mini_pool.h" nogil:
    enum:
        SAMPLE_KEYS
        SAMPLE_NONE
        SAMPLE_ROOM
    const int64_t MINI_NEVER

    ctypedef struct mini_entry:
        int64_t ends_ns
        uint16_t after

    ctypedef struct mini_list:
        uint16_t first
        uint16_t higher

    ctypedef struct mini_pool:
        uint64_t bound_bytes
        int64_t ttl_ns
        bint is_lfu
        uint32_t room
        uint16_t lowest
        mini_list *lists
        double age_squares
        double used_bytes
        double scaled_bytes
        int64_t ahead_ns
        bint evicts
        double between_bytes
        mini_entry *entries
        const uint32_t *charges
        uint32_t *misses
        float *ages

    bint sample_grow(void *array, size_t size, uint32_t before, uint32_t room)
    void mini_open(mini_pool *pool, uint64_t bound_bytes, int64_t ttl_ns, bint is_lfu, bint has_ages)
    uint32_t mini_order(const mini_pool *pool, int64_t now_ns, uint16_t *keys)
    bint mini_grow(mini_pool *pool, uint32_t room)
    void mini_close(mini_pool *pool)
    void mini_clear(mini_pool *pool)
    void mini_scale(mini_pool *pool, double share)
    size_t mini_memory(const mini_pool *pool)
    bint mini_is_present(const mini_pool *pool, uint32_t key)
    bint mini_is_live(const mini_pool *pool, uint32_t key, int64_t now_ns)
    bint mini_may_store_between(mini_pool *pool, uint32_t key, bint is_new)
    bint mini_lookup(mini_pool *pool, uint32_t key, int64_t now_ns, int64_t life_ns)
    void mini_store(mini_pool *pool, uint32_t key, int64_t ends_ns, bint limited)
    void mini_remove(mini_pool *pool, uint32_t key)
    bint mini_end(mini_pool *pool, uint32_t key, int64_t now_ns)
