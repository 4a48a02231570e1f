# What a pool's sample is made from: see sample_sources.pyx.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from glidecache_shared.pool.store cimport PoolStore
from glidecached.advice.event_list cimport EventList
from glidecached.advice.key_sample cimport KeySample
from glidecached.advice.written_prefixes cimport WrittenPrefixes


cdef enum:
    # The daemon's own lookups between two turns: from so many on the window ends.
    MOST_OWN_LOOKUPS = 2_048
    LOOKUPS_A_SECOND = 5_000


cdef class SampleSources:
    cdef readonly bint open
    cdef double tokens  # lookups that a window may have now; with `wanted` the next one begins
    cdef double wanted
    cdef PoolStore store
    cdef readonly KeySample sample
    cdef WrittenPrefixes prefixes
    # What workers left, since the last turn; then that and the daemon's own in the order of time.
    cdef EventList left
    cdef EventList merged
    cdef int64_t last_ns
    # Exact totals, up to this time.
    cdef uint64_t hits
    cdef uint64_t misses
    cdef int64_t counted_ns
    cdef uint64_t all_hits
    cdef uint64_t all_misses
    cdef int64_t all_ns
    cdef readonly uint64_t not_kept
    cdef readonly uint64_t invalid
    cdef readonly uint64_t arrived
    cdef readonly uint64_t late
    # The present lookups, hits and misses a second.
    cdef double hits_a_second
    cdef double misses_a_second
    # The position in the ring that ends the present survey, and what is left of it; and the hits on keys that are not
    # sampled, in all surveys.
    cdef uint64_t survey_until
    cdef uint32_t survey_left
    cdef readonly uint64_t surveyed

    cdef int rebase(self, int64_t now_ns) except -1
    cdef int count_write(self, bytes key) except -1
    cdef int gather(self, int64_t now_ns) except -1
    cdef int count_window(self, int64_t until_ns, int64_t now_ns) except -1
    cdef int rebase_all(self, int64_t now_ns) except -1
    cdef int count_all(self, int64_t now_ns) except -1
