# The sample of one pool's keys: see key_sample.pyi.
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from glidecached.advice.mini_pool cimport SAMPLE_KEYS, mini_pool
from glidecached.advice.sample_event cimport sample_event

cdef enum:
    MOST_SIMULATIONS = 24

# What is known of a sampled key. Times are in ns of the sample's own clock, which stands still between windows.
cdef struct SampledKey:
    uint64_t hash
    uint64_t digest
    int64_t stored_ns       # when the server's value came last
    int64_t server_end_ns   # when its life on the server ends; 0: never
    int64_t life_ns         # the longest life that the server has left it; 0: no limit
    uint32_t lookups
    uint32_t misses
    uint32_t pending        # simulations, as bits, that have missed it since the last store
    # Refreshes: the time over which it has not changed, in s; how often it has, and the time over which it then had.
    float unchanged_s
    float changed_s
    uint32_t changed
    uint16_t next           # in the chain of its hash; or of free places
    uint16_t flags


cdef class KeySample:
    cdef SampledKey *keys
    cdef uint32_t *charges  # by key; 0: not known
    cdef uint16_t *chains
    cdef uint16_t free_key
    cdef readonly uint32_t key_count
    cdef readonly uint64_t threshold
    cdef mini_pool pools[MOST_SIMULATIONS]
    cdef uint32_t pool_count
    cdef readonly list points
    cdef bint server_ttl
    # Time
    cdef int64_t away_ns
    cdef int64_t paused_ns
    cdef int64_t now_ns
    # Keys that were left out to make room for others: what they had counted.
    cdef double retired_lookups
    cdef double retired_misses
    cdef double retired_by_pool[MOST_SIMULATIONS]
    cdef double retired_count
    cdef readonly double known_stale_hits
    cdef readonly double refreshes
    cdef readonly double changed_refreshes
    cdef double charge_sum
    cdef double charge_count
    cdef readonly double exact_lookups
    cdef readonly double exact_misses
    cdef readonly double seconds

    cdef void feed(self, const sample_event *events, Py_ssize_t count) noexcept nogil
    cdef void take(self, const sample_event *event) noexcept nogil
    cdef uint32_t find(self, uint64_t hash) noexcept nogil
    cdef uint32_t enter(self, uint64_t hash) noexcept nogil
    cdef void make_room(self) noexcept nogil
    cdef uint32_t retire(self) noexcept nogil
    cdef bint is_of_no_use(self, uint32_t key) noexcept nogil
    cdef void lower_threshold(self) noexcept nogil
    cdef void leave(self, uint32_t key) noexcept nogil
    cdef void looked_up(self, uint32_t key, bint hit, bint first) noexcept nogil
    cdef void stored(self, uint32_t key, const sample_event *event) noexcept nogil
    cdef void known(self, uint32_t key, const sample_event *event) noexcept nogil
    cdef void recharge(self, uint32_t key, uint32_t charge) noexcept nogil
    cdef void simulate_store(self, uint32_t key, mini_pool *pool, int64_t at_ns) noexcept nogil
    cdef void close_pools(self) noexcept
