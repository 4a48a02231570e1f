# The hottest keys of a pool: see hot_sample.pyx.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from glidecached.advice.hot_keys cimport hot_keys, hot_may_have, hot_path
from glidecached.advice.sample_event cimport sample_event
from glidecached.advice.sampled_key cimport SampledKey

cdef enum:
    # Simulated pools of longer TTLs than the real one.
    MOST_LONGER = 3


cdef struct HotFindings:
    # What is known of a hot key, at its place among the hot keys: its changes, and what would be stale with longer TTLs.
    SampledKey key
    hot_path paths[MOST_LONGER]


cdef class HotSample:
    cdef hot_keys *keys  # NULL before the first survey
    cdef HotFindings *findings  # of the first `room` places: of all keys that are found
    cdef uint32_t room
    cdef bint server_ttl
    cdef uint32_t longer_count
    cdef uint32_t longer[MOST_LONGER]  # numbers of the pools
    cdef int64_t longer_ns[MOST_LONGER]  # their TTLs

    cdef void begin(self) noexcept
    cdef void follow(self, uint32_t pool, int64_t ttl_ns) noexcept
    cdef bint survey(self, uint64_t hash) noexcept
    cdef bint grow(self, uint32_t place) noexcept
    cdef void learn(self, const SampledKey *known) noexcept
    cdef void hear(self, const sample_event *event) noexcept nogil
    cdef uint64_t memory_bytes(self) noexcept
    cdef inline bint may_have(self, uint32_t hash) noexcept nogil:
        return self.keys != NULL and hot_may_have(self.keys, hash)
