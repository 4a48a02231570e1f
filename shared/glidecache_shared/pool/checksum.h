/* XXH64 (Y. Collet's specification "XXH64 algorithm description", seed 0), folded to 32 bits, over one contiguous block.
 *
 * An entry's checksum guards against damage at rest (recovery, `doctor`), not against an adversary, and it is taken once
 * per stored entry: several bytes per cycle matter more than anything a cryptographic sum would add.
 */
#ifndef GLIDECACHE_CHECKSUM_H
#define GLIDECACHE_CHECKSUM_H

#include "siphash.h" /* GPOOL_ROTL64, gpool_little_endian_u64 */

#define GPOOL_XXH_P1 UINT64_C(0x9E3779B185EBCA87)
#define GPOOL_XXH_P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define GPOOL_XXH_P3 UINT64_C(0x165667B19E3779F9)
#define GPOOL_XXH_P4 UINT64_C(0x85EBCA77C2B2AE63)
#define GPOOL_XXH_P5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t gpool_xxh_round(uint64_t lane, uint64_t input) {
    return GPOOL_ROTL64(lane + input * GPOOL_XXH_P2, 31) * GPOOL_XXH_P1;
}

static inline uint64_t gpool_xxh64(const uint8_t *data, size_t length, uint64_t seed) {
    const uint8_t *end = data + length;
    uint64_t hash;

    if (length >= 32) {
        uint64_t lane[4] = {seed + GPOOL_XXH_P1 + GPOOL_XXH_P2, seed + GPOOL_XXH_P2, seed, seed - GPOOL_XXH_P1};
        for (; end - data >= 32; data += 32)
            for (int i = 0; i < 4; i++)
                lane[i] = gpool_xxh_round(lane[i], gpool_little_endian_u64(data + 8 * i));
        hash = GPOOL_ROTL64(lane[0], 1) + GPOOL_ROTL64(lane[1], 7) + GPOOL_ROTL64(lane[2], 12) + GPOOL_ROTL64(lane[3], 18);
        for (int i = 0; i < 4; i++)
            hash = (hash ^ gpool_xxh_round(0, lane[i])) * GPOOL_XXH_P1 + GPOOL_XXH_P4;
    } else {
        hash = seed + GPOOL_XXH_P5;
    }
    hash += length;
    for (; end - data >= 8; data += 8)
        hash = GPOOL_ROTL64(hash ^ gpool_xxh_round(0, gpool_little_endian_u64(data)), 27) * GPOOL_XXH_P1 + GPOOL_XXH_P4;
    if (end - data >= 4) {
        uint64_t word = (uint64_t)data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16 | (uint64_t)data[3] << 24;
        hash = GPOOL_ROTL64(hash ^ (word * GPOOL_XXH_P1), 23) * GPOOL_XXH_P2 + GPOOL_XXH_P3;
        data += 4;
    }
    for (; data != end; data++)
        hash = GPOOL_ROTL64(hash ^ (*data * GPOOL_XXH_P5), 11) * GPOOL_XXH_P1;
    hash = (hash ^ (hash >> 33)) * GPOOL_XXH_P2;
    hash = (hash ^ (hash >> 29)) * GPOOL_XXH_P3;
    return hash ^ (hash >> 32);
}

/* The checksum of an entry: its kind, key and payload. The payload is chained onto the key by the seed, so a byte that
 * moved from one to the other changes the sum. */
static inline uint32_t gpool_entry_checksum(uint32_t kind, const uint8_t *key, size_t key_length,
                                         const uint8_t *payload, size_t payload_length) {
    uint64_t sum = gpool_xxh64(payload, payload_length, gpool_xxh64(key, key_length, kind));
    return (uint32_t)(sum ^ (sum >> 32));
}

#endif
