/* What happened to a key of a pool, as the sample hears it: the one place where these bytes are defined.
 *
 * Events are fed in the order of their times. An event of a key that is not sampled may be fed: it is ignored, cheaply.
 */
#ifndef GLIDECACHED_SAMPLE_EVENT_H
#define GLIDECACHED_SAMPLE_EVENT_H

#include <stdint.h>

/* What may have happened. Numbers are in use between modules of one build only. */
#define SAMPLE_LOOKUP_HIT 1  /* a lookup found a live entry of its kind */
#define SAMPLE_LOOKUP_MISS 2 /* it did not; a store follows, unless the server has no value */
#define SAMPLE_STORE 3       /* the server's value has come: also one that the pool refused, as too large or too old */
#define SAMPLE_KNOWN 4       /* like a store, of an entry that was in the pool before the sample began: no refresh */
#define SAMPLE_WRITE 5       /* a client has written to the key while it was cached */
#define SAMPLE_FORGET 6      /* the entry was removed by its key */
#define SAMPLE_FLUSH 7       /* all entries were removed; no key */
#define SAMPLE_PAUSE 8       /* a window ends: until the next RESUME, nothing is known; no key */
#define SAMPLE_RESUME 9      /* a window begins; no key */

/* sample_event: 48 bytes */
typedef struct {
    uint64_t hash;          /* the key's, in full: it represents the key */
    int64_t time_ns;        /* CLOCK_MONOTONIC */
    uint64_t digest;        /* of a stored payload: equal for equal payloads; else 0 */
    uint32_t what;          /* SAMPLE_… */
    uint32_t kind;          /* GPOOL_KIND_…: of lookups, stores and known entries; else 0 */
    uint32_t key_bytes;     /* of stores and known entries; else 0 */
    uint32_t payload_bytes; /* likewise */
    int64_t life_ns;        /* likewise: what the server leaves the key to live; 0: no limit */
} sample_event;

_Static_assert(sizeof(sample_event) == 48, "an event has no padding");

#endif
