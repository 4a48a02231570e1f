/* XXH64 (Y. Collet's specification "XXH64 algorithm description", seed 0), folded to 32 bits, over one contiguous block.
 *
 * An entry's checksum guards against damage at rest (recovery, `doctor`), not against an adversary, and it is taken once
 * per stored entry: several bytes per cycle matter more than anything a cryptographic sum would add.
 */
#ifndef GLIDECACHE_CHECKSUM_H
#define GLIDECACHE_CHECKSUM_H

#include "siphash.h" /* GC_ROTL64, gc_little_endian_u64 */

#define GC_XXH_P1 UINT64_C(0x9E3779B185EBCA87)
#define GC_XXH_P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define GC_XXH_P3 UINT64_C(0x165667B19E3779F9)
#define GC_XXH_P4 UINT64_C(0x85EBCA77C2B2AE63)
#define GC_XXH_P5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t gc_xxh_round(uint64_t lane, uint64_t input) {
    return GC_ROTL64(lane + input * GC_XXH_P2, 31) * GC_XXH_P1;
}

static inline uint64_t gc_xxh64(const uint8_t *data, size_t length, uint64_t seed) {
    const uint8_t *end = data + length;
    uint64_t hash;

    if (length >= 32) {
        uint64_t lane[4] = {seed + GC_XXH_P1 + GC_XXH_P2, seed + GC_XXH_P2, seed, seed - GC_XXH_P1};
        for (; end - data >= 32; data += 32)
            for (int i = 0; i < 4; i++)
                lane[i] = gc_xxh_round(lane[i], gc_little_endian_u64(data + 8 * i));
        hash = GC_ROTL64(lane[0], 1) + GC_ROTL64(lane[1], 7) + GC_ROTL64(lane[2], 12) + GC_ROTL64(lane[3], 18);
        for (int i = 0; i < 4; i++)
            hash = (hash ^ gc_xxh_round(0, lane[i])) * GC_XXH_P1 + GC_XXH_P4;
    } else {
        hash = seed + GC_XXH_P5;
    }
    hash += length;
    for (; end - data >= 8; data += 8)
        hash = GC_ROTL64(hash ^ gc_xxh_round(0, gc_little_endian_u64(data)), 27) * GC_XXH_P1 + GC_XXH_P4;
    if (end - data >= 4) {
        uint64_t word = (uint64_t)data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16 | (uint64_t)data[3] << 24;
        hash = GC_ROTL64(hash ^ (word * GC_XXH_P1), 23) * GC_XXH_P2 + GC_XXH_P3;
        data += 4;
    }
    for (; data != end; data++)
        hash = GC_ROTL64(hash ^ (*data * GC_XXH_P5), 11) * GC_XXH_P1;
    hash = (hash ^ (hash >> 33)) * GC_XXH_P2;
    hash = (hash ^ (hash >> 29)) * GC_XXH_P3;
    return hash ^ (hash >> 32);
}

/* The checksum of an entry: its kind, key and payload. The payload is chained onto the key by the seed, so a byte that
 * moved from one to the other changes the sum. */
static inline uint32_t gc_entry_checksum(uint32_t kind, const uint8_t *key, size_t key_length,
                                         const uint8_t *payload, size_t payload_length) {
    uint64_t sum = gc_xxh64(payload, payload_length, gc_xxh64(key, key_length, kind));
    return (uint32_t)(sum ^ (sum >> 32));
}

#endif
