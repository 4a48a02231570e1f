/* A checksum by folded multiplication: the two halves of a product of 64 x 64 bits, one xor'ed with the other (the
 * principle of W. Yi's wyhash). One multiplication takes in 16 bytes, and four chains of them run beside each other.
 *
 * An entry's checksum guards against damage at rest (recovery, `doctor`), not against an adversary, and it is taken once
 * per stored entry: several bytes per cycle matter more than anything a cryptographic sum would add.
 * docs/design/pool-layout.md has the measurement; tests/unit/pool/test_checksum.py has the same in Python.
 */
#ifndef GLIDECACHE_CHECKSUM_H
#define GLIDECACHE_CHECKSUM_H

#include <string.h>

#include "siphash.h" /* gpool_little_endian_u64 */

__extension__ typedef unsigned __int128 gpool_u128;

#define GPOOL_SUM_LANES 4
#define GPOOL_SUM_BLOCK (16 * GPOOL_SUM_LANES)

/* The digits of pi behind the point: nothing in them was chosen. */
static const uint64_t gpool_sum_keys[2 * GPOOL_SUM_LANES] = {
    UINT64_C(0x243F6A8885A308D3), UINT64_C(0x13198A2E03707345), UINT64_C(0xA4093822299F31D1), UINT64_C(0x082EFA98EC4E6C89),
    UINT64_C(0x452821E638D01377), UINT64_C(0xBE5466CF34E90C6D), UINT64_C(0xC0AC29B7C97C50DD), UINT64_C(0x3F84D5B5B5470917),
};

static inline uint64_t gpool_sum_fold(uint64_t left, uint64_t right) {
    gpool_u128 product = (gpool_u128)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Take 16 bytes into a chain. The order matters, because the chain goes through each multiplication. */
static inline uint64_t gpool_sum_step(uint64_t chain, const uint8_t *data, uint64_t key) {
    return gpool_sum_fold(gpool_little_endian_u64(data) ^ chain, gpool_little_endian_u64(data + 8) ^ key);
}

static inline uint64_t gpool_sum(const uint8_t *data, size_t length, uint64_t seed) {
    const uint8_t *end = data + length;
    uint64_t sum = seed ^ gpool_sum_fold(length ^ gpool_sum_keys[0], gpool_sum_keys[1]);

    if (length >= GPOOL_SUM_BLOCK) {
        uint64_t chains[GPOOL_SUM_LANES];
        for (int i = 0; i < GPOOL_SUM_LANES; i++)
            chains[i] = sum ^ gpool_sum_keys[i];
        for (; end - data >= GPOOL_SUM_BLOCK; data += GPOOL_SUM_BLOCK)
            for (int i = 0; i < GPOOL_SUM_LANES; i++)
                chains[i] = gpool_sum_step(chains[i], data + 16 * i, gpool_sum_keys[GPOOL_SUM_LANES + i]);
        for (int i = 0; i < GPOOL_SUM_LANES; i++)
            sum = gpool_sum_fold(sum ^ chains[i], gpool_sum_keys[i]);
    }
    for (; end - data >= 16; data += 16)
        sum = gpool_sum_step(sum, data, gpool_sum_keys[2]);
    if (data != end) {
        uint8_t rest[16] = {0}; /* the length is in the sum already */
        memcpy(rest, data, end - data);
        sum = gpool_sum_step(sum, rest, gpool_sum_keys[3]);
    }
    return gpool_sum_fold(sum ^ gpool_sum_keys[4], gpool_sum_keys[5]);
}

/* The checksum of an entry: its kind, key and payload. The payload is chained onto the key by the seed, so a byte that
 * moved from one to the other changes the sum. */
static inline uint32_t gpool_entry_checksum(uint32_t kind, const uint8_t *key, size_t key_length,
                                         const uint8_t *payload, size_t payload_length) {
    uint64_t sum = gpool_sum(payload, payload_length, gpool_sum(key, key_length, kind));
    return (uint32_t)(sum ^ (sum >> 32));
}

#endif
