/* Leaving a sample: what a worker does for the daemon's advice (docs/design/0028-advice.md).
 *
 * A sample takes the next position of the ring by an atomic addition. No two workers ever have the same one, and none is
 * given back: a worker that is killed before it has written leaves its position empty. The position in the sample is
 * stored last (release), and pairs with the daemon's acquire load: a sample whose position is right is whole.
 *
 * The daemon has read everything before `ring_end` less the ring's length, so nothing that it has not read is overwritten.
 * What takes a position from `ring_end` on is not written, and counted by having taken it. Hits take none from
 * `sample_until` on: without an addition, so that between two windows the ring's head stays in all caches.
 *
 * A worker that was stopped between the two may write when its place belongs to a later position. Then the later sample
 * is empty or has this one's hash: one hit is lost, or counted for another key of the same sample.
 */
#ifndef GLIDECACHE_SAMPLE_RING_H
#define GLIDECACHE_SAMPLE_RING_H

#include "atomics.h"
#include "layout.h"

/* The ring of a board, as a worker or the daemon has mapped it. */
typedef struct {
    gpool_ring *head;
    gpool_sample *samples;
    uint64_t mask; /* the number of samples, less one */
} gpool_ring_view;

static inline gpool_ring_view gpool_ring_at(uint8_t *board, uint64_t max_records) {
    gpool_ring_view view;
    view.head = (gpool_ring *)(board + gpool_ring_offset(max_records));
    view.samples = (gpool_sample *)((uint8_t *)view.head + GPOOL_RING_HEAD_BYTES);
    view.mask = gpool_ring_samples(max_records) - 1;
    return view;
}

static inline void gpool_leave(const gpool_ring_view *ring, const gpool_header *header, uint64_t hash, uint64_t event) {
    uint64_t position = gpool_take_relaxed_u64(&ring->head->next);
    if (position >= gpool_load_relaxed_u64(&header->ring_end))
        return;
    gpool_sample *sample = &ring->samples[position & ring->mask];
    gpool_store_relaxed_u64(&sample->hash, hash);
    gpool_store_relaxed_u64(&sample->event, event);
    gpool_store_release_u64(&sample->position, position + 1); /* pairs with the acquire in take_samples */
}

/* Leave a hit on a sampled key; in a survey, on any key. Not inline: what a hit that is not sampled runs through stays as
 * small as without it. */
static __attribute__((noinline, cold, unused)) void gpool_leave_hit(const gpool_ring_view *ring, const gpool_header *header, uint64_t hash,
                                   uint64_t now_ns, uint32_t kind) {
    const uint64_t *until = (uint32_t)hash < gpool_load_relaxed_u64(&header->sampled_below) ? &header->sample_until
                                                                                            : &header->survey_until;
    if (gpool_load_relaxed_u64(&ring->head->next) < gpool_load_relaxed_u64(until))
        gpool_leave(ring, header, hash, gpool_event(now_ns, kind));
}

/* Leave a write to a key that is in the pool, sampled or not. */
static inline void gpool_leave_write(const gpool_ring_view *ring, const gpool_header *header, uint64_t hash,
                                     uint64_t now_ns) {
    if (gpool_load_acquire_u64(&header->ring_end) != 0) /* pairs with the release in SampleRing: memory first */
        gpool_leave(ring, header, hash, gpool_event(now_ns, GPOOL_SAMPLE_WRITE));
}

#endif
