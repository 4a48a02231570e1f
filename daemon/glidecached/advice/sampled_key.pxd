# What is known of a sampled key. Times are in ns of the sample's own clock, which is stopped between windows, but for
# `stored_ns`, by which changes are timed.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from glidecached.advice.sample_event cimport sample_event

cdef enum:
    # A key's flags
    KEY_IN_USE = 1
    KEY_KNOWN_STALE = 2  # the entry in the real pool is older than a write to its key
    KEY_FORGOTTEN = 8    # an application has forgotten the entry since the last store
    KEY_SEEN = 4         # `digest` and `stored_ns` are of a store that was seen

cdef struct SampledKey:
    uint64_t hash
    int64_t stored_ns       # when the server's value came last
    int64_t server_end_ns   # when its life on the server ends; 0: never
    int64_t life_ns         # the longest life that the server has left it; 0: no limit
    uint32_t digest         # of the last payload, halved
    uint32_t lookups
    uint32_t misses
    uint32_t pending        # simulations, as bits, that have missed it since the last store
    # Refreshes: the time over which it has not changed, in s; how often it has, and the time over which it then had.
    float unchanged_s
    float changed_s
    uint32_t changed
    # Changes that clients of this host made, within the unchanged time: each of them is known.
    uint32_t written
    float written_s         # from the last store to the first write after it; 0: none
    uint16_t next           # in the chain of its hash; or of free places
    uint8_t flags
    uint8_t writes          # since the last store, 255 or more


cdef enum:
    # With more keys than these, all of the time is looked at for fewer keys rather than some of it for all; when a window
    # has ended, with more than the fewest. The simulation of the pool's own settings always has so many entries left: in
    # windows LFU's counts are less like the pool's than an order is.
    ENOUGH_KEYS = 4096
    FEWEST_KEYS = 512
    FEWEST_ENTRIES = 256
    FEWEST_ENTRIES_LFU = 192
    HASH_CLASSES = 1024


cdef inline double enough_keys(double keys, double entries, bint is_lfu, bint window_ended) noexcept nogil:
    """Return how many of the keys are enough, when a pool of the present settings has room for so many entries."""
    cdef double fewest = FEWEST_ENTRIES_LFU if is_lfu else FEWEST_ENTRIES
    return max(<double>FEWEST_KEYS if window_ended else <double>ENOUGH_KEYS, keys * fewest / max(entries, 1))


cdef inline uint64_t threshold_of(
    const SampledKey *keys, uint32_t room, uint64_t threshold, uint32_t most
) noexcept nogil:
    """Return the threshold below which at most so many of the keys are. Hashes spread evenly: a class is a few keys."""
    cdef uint32_t counts[HASH_CLASSES]
    cdef uint32_t key, index, count = 0
    memset(counts, 0, sizeof(counts))
    for key in range(room):
        if keys[key].flags & KEY_IN_USE:
            counts[<uint64_t><uint32_t>keys[key].hash * HASH_CLASSES // threshold] += 1
    for index in range(HASH_CLASSES):
        count += counts[index]
        if count > most:
            return max(threshold * index // HASH_CLASSES, <uint64_t>1)
    return threshold


cdef inline int hear_store(SampledKey *key, const sample_event *event) noexcept nogil:
    """Learn from a store whether the value has changed since the last. Return 1 if so, 0 if not, -1 if it is the first."""
    cdef double interval = (event.time_ns - key.stored_ns) * 1e-9
    cdef uint32_t digest = <uint32_t>(event.digest ^ event.digest >> 32)
    cdef int changed = -1
    if key.flags & KEY_SEEN and interval > 0:
        changed = key.digest != digest
        if not changed:
            key.unchanged_s += <float>interval
        elif key.flags & KEY_FORGOTTEN:
            pass  # with its change, most likely: nothing stale was read
        elif key.written_s > 0:
            key.written += key.writes
            key.unchanged_s += <float>interval
        else:
            key.changed += 1
            key.changed_s += <float>interval
    key.flags = (key.flags | KEY_SEEN) & ~(KEY_KNOWN_STALE | KEY_FORGOTTEN)
    key.digest = digest
    key.stored_ns = event.time_ns
    key.written_s = 0
    key.writes = 0
    return changed


cdef inline void hear_write(SampledKey *key, const sample_event *event) noexcept nogil:
    """Learn of a client's write to a key that the real pool has."""
    key.flags |= KEY_KNOWN_STALE
    if not key.flags & KEY_SEEN:
        return
    if key.written_s == 0:
        key.written_s = <float>max((event.time_ns - key.stored_ns) * 1e-9, 1e-6)
    key.writes += key.writes < 255


cdef inline void hear_forget(SampledKey *key) noexcept nogil:
    """Learn that an application has forgotten the key's entry."""
    key.flags = (key.flags | KEY_FORGOTTEN) & ~KEY_KNOWN_STALE
