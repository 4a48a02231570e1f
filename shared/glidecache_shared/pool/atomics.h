/* C11 memory-model accesses to words in shared memory, one name per ordering.
 *
 * The words live in mappings that several processes share, so they are plain integers of fixed width reached through
 * the compiler's __atomic builtins: `_Atomic` types would promise nothing about their representation in a file.
 * docs/design/memory-model.md lists every shared word with its writer, its readers and the place each access pairs with.
 */
#ifndef GLIDECACHE_ATOMICS_H
#define GLIDECACHE_ATOMICS_H

#include <stdbool.h>
#include <stdint.h>

static inline uint32_t gpool_load_relaxed_u32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline uint64_t gpool_load_relaxed_u64(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline uint32_t gpool_load_acquire_u32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline uint64_t gpool_load_acquire_u64(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

static inline void gpool_store_relaxed_u32(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }
static inline void gpool_store_relaxed_u64(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }
static inline void gpool_store_release_u32(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline void gpool_store_release_u64(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

static inline void gpool_fence_acquire(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
static inline void gpool_fence_release(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }

static inline void gpool_add_relaxed_u64(uint64_t *word, uint64_t amount) { __atomic_fetch_add(word, amount, __ATOMIC_RELAXED); }
static inline uint64_t gpool_take_relaxed_u64(uint64_t *word) { return __atomic_fetch_add(word, 1, __ATOMIC_RELAXED); }

/* Replace *word by `desired` if it still is *expected; otherwise load what it is into *expected. Relaxed: the words
 * changed this way (recency, counts) carry no other data with them. */
static inline bool gpool_cas_relaxed_u64(uint64_t *word, uint64_t *expected, uint64_t desired) {
    return __atomic_compare_exchange_n(word, expected, desired, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* In one order with all others of these, for all processes. */
static inline uint64_t gpool_load_strict_u64(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void gpool_store_strict_u64(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static inline void gpool_add_strict_u64(uint64_t *word, uint64_t amount) { __atomic_fetch_add(word, amount, __ATOMIC_SEQ_CST); }
static inline bool gpool_cas_strict_u64(uint64_t *word, uint64_t *expected, uint64_t desired) {
    return __atomic_compare_exchange_n(word, expected, desired, true, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

/* Ask for a cache line that will be needed soon; an address that is not mapped does no harm. */
static inline void gpool_prefetch(const void *address) { __builtin_prefetch(address); }

static inline void gpool_spin_hint(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb");
#endif
}

#endif
