# The sample of one pool's keys: see key_sample.pyi.
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from glidecached.advice.hot_sample cimport HotSample
from glidecached.advice.mini_pool cimport mini_pool
from glidecached.advice.reuse_curves cimport reuse_curves
from glidecached.advice.sample_event cimport sample_event
from glidecached.advice.sampled_key cimport SampledKey


cdef enum:
    MOST_SIMULATIONS = 24

cdef extern from *:
    # The TTL of simulated pools without one. It is a time, so that entries have ages.
    const int64_t FOREVER_NS "(INT64_C(1) << 61)"


cdef class KeySample:
    cdef SampledKey *keys
    cdef uint32_t *charges  # by key; 0: not known
    cdef uint16_t *chains
    cdef uint32_t chain_mask
    cdef readonly uint32_t room  # keys that there are places for: none before the first
    cdef uint16_t free_key
    cdef reuse_curves reuse
    cdef HotSample hot
    cdef readonly uint32_t key_count
    cdef readonly uint64_t threshold
    cdef mini_pool pools[MOST_SIMULATIONS]
    cdef uint32_t pool_count
    cdef readonly list points
    cdef bint server_ttl
    # Time
    cdef int64_t away_ns
    cdef int64_t passed_over_ns  # of it, since counting began
    cdef int64_t paused_ns
    cdef int64_t now_ns
    cdef int64_t began_ns  # -1: not yet
    cdef int64_t window_began_ns
    cdef uint64_t window_lookups
    # Keys that were left out to make room for others: what they had counted.
    cdef double retired_lookups
    cdef double retired_misses
    cdef double retired_by_pool[MOST_SIMULATIONS]
    cdef double retired_age_means[MOST_SIMULATIONS]
    cdef double retired_count
    cdef double retired_bytes
    # The real pool's misses that a simulation would have hit; and those of keys that were new, in windows and between.
    cdef double won[MOST_SIMULATIONS]
    cdef double new_misses
    cdef double new_misses_between
    # Stores between windows, and those of them that the pool without a bound misses too. Its clock is never stopped:
    # it evicts nothing, so that no hit that was not seen matters.
    cdef double stored_between
    cdef double missed_between
    cdef readonly double known_stale_hits
    cdef readonly double assumed_hits  # of keys that the pool had before the sample knew them: all simulations hit
    cdef readonly double refreshes
    cdef readonly double changed_refreshes
    cdef double charge_sum
    cdef double charge_count
    cdef readonly double exact_lookups
    cdef readonly double exact_misses
    cdef readonly double seconds
    # The same of all the time.
    cdef readonly double all_lookups
    cdef readonly double all_misses
    cdef readonly double all_seconds

    cdef void feed(self, const sample_event *events, Py_ssize_t count) noexcept nogil
    cdef void take(self, const sample_event *event) noexcept nogil
    cdef void survey(self, uint64_t hash) noexcept
    cdef inline bint heeds(self, uint32_t hash) noexcept nogil:
        """Return whether a store or a write counts: the key is sampled, or may be hot."""
        return hash < self.threshold or self.hot.may_have(hash)

    cdef uint32_t find(self, uint64_t hash) noexcept nogil
    cdef uint32_t enter(self, uint64_t hash) noexcept nogil
    cdef bint grow(self) noexcept nogil
    cdef inline uint16_t *chain_of(self, uint64_t hash) noexcept nogil:
        return &self.chains[(hash >> 32) & self.chain_mask]

    cdef void make_room(self) noexcept nogil
    cdef uint32_t retire(self) noexcept nogil
    cdef void sample_fewer(self) noexcept nogil
    cdef bint is_of_no_use(self, uint32_t key) noexcept nogil
    cdef void lower_threshold(self, uint32_t most) noexcept nogil
    cdef void leave(self, uint32_t key) noexcept nogil
    cdef void looked_up(self, uint32_t key, bint hit, bint first) noexcept nogil
    cdef void stored(self, uint32_t key, const sample_event *event) noexcept nogil
    cdef void known(self, uint32_t key, const sample_event *event) noexcept nogil
    cdef inline int64_t age_of(self, uint64_t hash) noexcept nogil:
        """Return an age for an entry that was stored before the sample knew of it: any within the TTL, by chance."""
        cdef int64_t ttl_ns = self.pools[0].ttl_ns
        return <int64_t>((hash >> 32) / 4294967296.0 * ttl_ns) if ttl_ns < FOREVER_NS else 0

    cdef void recharge(self, uint32_t key, uint32_t charge) noexcept nogil
    cdef void simulate_store(self, uint32_t key, mini_pool *pool, int64_t at_ns) noexcept nogil
    cdef list leaving_order(self)
    cdef void begin_counting(self) noexcept
    cdef void close_pools(self) noexcept
