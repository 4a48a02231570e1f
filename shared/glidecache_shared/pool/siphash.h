/* SipHash-1-3 (Aumasson & Bernstein, "SipHash: a fast short-input PRF", 2012; 1 compression, 3 finalisation rounds).
 *
 * Keys come from outside: with a secret per pool a client cannot choose keys that pile up in one bucket.
 */
#ifndef GLIDECACHE_SIPHASH_H
#define GLIDECACHE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GPOOL_ROTL64(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

#define GPOOL_SIP_ROUND(v0, v1, v2, v3)                                            \
    do {                                                                        \
        v0 += v1; v1 = GPOOL_ROTL64(v1, 13); v1 ^= v0; v0 = GPOOL_ROTL64(v0, 32);     \
        v2 += v3; v3 = GPOOL_ROTL64(v3, 16); v3 ^= v2;                             \
        v0 += v3; v3 = GPOOL_ROTL64(v3, 21); v3 ^= v0;                             \
        v2 += v1; v1 = GPOOL_ROTL64(v1, 17); v1 ^= v2; v2 = GPOOL_ROTL64(v2, 32);     \
    } while (0)

static inline uint32_t gpool_little_endian_u32(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}

static inline uint64_t gpool_little_endian_u64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The last `length & 7` bytes as a number, by loads that overlap instead of a loop over bytes. */
static inline uint64_t gpool_bytes_past_words(const uint8_t *data, size_t length) {
    size_t left = length & 7;
    if (left == 0)
        return 0;
    if (length >= 8)
        return gpool_little_endian_u64(data + length - 8) >> (64 - 8 * left);
    if (left >= 4)
        return gpool_little_endian_u32(data) | (uint64_t)gpool_little_endian_u32(data + left - 4) << (8 * (left - 4));
    return data[0] | (uint64_t)data[left / 2] << (8 * (left / 2)) | (uint64_t)data[left - 1] << (8 * (left - 1));
}

static inline __attribute__((always_inline)) uint64_t gpool_siphash13(uint64_t k0, uint64_t k1, const uint8_t *data, size_t length) {
    uint64_t v0 = k0 ^ UINT64_C(0x736f6d6570736575);
    uint64_t v1 = k1 ^ UINT64_C(0x646f72616e646f6d);
    uint64_t v2 = k0 ^ UINT64_C(0x6c7967656e657261);
    uint64_t v3 = k1 ^ UINT64_C(0x7465646279746573);
    const uint8_t *end = data + (length & ~(size_t)7);
    uint64_t last = (uint64_t)length << 56 | gpool_bytes_past_words(data, length);

    for (; data != end; data += 8) {
        uint64_t m = gpool_little_endian_u64(data);
        v3 ^= m;
        GPOOL_SIP_ROUND(v0, v1, v2, v3);
        v0 ^= m;
    }
    v3 ^= last;
    GPOOL_SIP_ROUND(v0, v1, v2, v3);
    v0 ^= last;
    v2 ^= 0xff;
    GPOOL_SIP_ROUND(v0, v1, v2, v3);
    GPOOL_SIP_ROUND(v0, v1, v2, v3);
    GPOOL_SIP_ROUND(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

#endif
