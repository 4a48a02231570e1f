"""The sample of one pool's keys: see key_sample.pyi.

The keys whose hashes are below the threshold are sampled, at most 7,168. When there are more, those leave first that are
in no simulation any more: what they have counted is kept. If these are too few, the threshold falls, and what the keys
above it have counted is forgotten with them, so the rest is what a smaller sample would have been from the start
(Waldspurger et al., Efficient MRC Construction with SHARDS, FAST 2015).
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from glidecache_shared.pool.layout cimport gpool_charge
from glidecached.advice.hot_sample cimport HotSample
from glidecached.advice.mini_pool cimport (
    SAMPLE_KEYS, SAMPLE_NONE, SAMPLE_ROOM,
    mini_clear, mini_close, mini_end, mini_grow, mini_is_live, mini_is_present, mini_lookup, mini_may_store_between,
    mini_memory, mini_open, mini_order, mini_pool, mini_remove, mini_scale, mini_store, sample_grow,
)
from glidecached.advice.reuse_curves cimport (
    reuse_begin, reuse_close, reuse_curves, reuse_forget, reuse_grow, reuse_lookup, reuse_memory, reuse_scale,
)
from glidecached.advice.sample_event cimport (
    SAMPLE_FLUSH, SAMPLE_FORGET, SAMPLE_KNOWN, SAMPLE_LOOKUP_HIT, SAMPLE_LOOKUP_MISS, SAMPLE_PAUSE, SAMPLE_RESUME,
    SAMPLE_STORE, SAMPLE_WRITE, sample_event,
)
from glidecached.advice.sampled_key cimport (
    KEY_IN_USE, KEY_KNOWN_STALE, KEY_SEEN, SampledKey, enough_keys, hear_forget, hear_store, hear_write, threshold_of,
)

from glidecached.advice.advice_report import advice_report
from glidecached.advice.simulated_points import UNBOUNDED_POINT, simulated_points

LOOKUP_HIT, LOOKUP_MISS, STORE, KNOWN = SAMPLE_LOOKUP_HIT, SAMPLE_LOOKUP_MISS, SAMPLE_STORE, SAMPLE_KNOWN
WRITE, FORGET, FLUSH, PAUSE, RESUME = SAMPLE_WRITE, SAMPLE_FORGET, SAMPLE_FLUSH, SAMPLE_PAUSE, SAMPLE_RESUME

cdef enum:
    # A part of the places is free after room was made.
    FREE_PART = 16
    LOOKUPS_A_SECOND = 5000
    # That is looked at after each of so many.
    MEASURED_LOOKUPS = 2500

cdef uint32_t UNBOUNDED = UNBOUNDED_POINT
cdef uint64_t ALL_KEYS = <uint64_t>1 << 32


cdef class KeySample:
    """At most 7,168 keys of a pool, and simulations on them."""

    def __dealloc__(self):
        self.close_pools()
        free(self.keys)
        free(self.charges)
        free(self.chains)
        reuse_close(&self.reuse)

    def __init__(self, max_bytes, ttl_ns, policy, server_ttl=False):
        self.now_ns = 0
        self.server_ttl = server_ttl
        self.hot = HotSample(server_ttl)
        self.threshold = ALL_KEYS
        self.paused_ns = self.began_ns = -1
        self.free_key = SAMPLE_NONE
        self.set_pool(max_bytes, ttl_ns, policy)

    def set_pool(self, max_bytes, ttl_ns, policy):
        if max_bytes <= 0 or ttl_ns < 0:
            raise ValueError(f"max_bytes must be positive and ttl_ns not negative, not {max_bytes} and {ttl_ns}")
        cdef uint32_t index, key
        cdef int64_t stored_ns
        if policy not in ("LRU", "LFU"):
            raise ValueError(f"policy must be 'LRU' or 'LFU', not {policy!r}")
        points = simulated_points(max_bytes, ttl_ns, policy)
        before = self.leaving_order()
        self.close_pools()
        self.points = points
        self.hot.begin()
        for point in points:
            mini_open(
                &self.pools[self.pool_count], point.max_bytes, point.ttl_ns or FOREVER_NS, point.policy == "LFU",
                point.ages)
            mini_scale(&self.pools[self.pool_count], self.threshold / <double>ALL_KEYS)
            if point.ages and self.pools[self.pool_count].ttl_ns > self.pools[0].ttl_ns:
                self.hot.follow(self.pool_count, self.pools[self.pool_count].ttl_ns)
            self.pool_count += 1
            if self.room and not mini_grow(&self.pools[self.pool_count - 1], self.room):
                self.close_pools()
                raise MemoryError
            self.pools[self.pool_count - 1].charges = self.charges
        self.begin_counting()
        self.pools[UNBOUNDED].ahead_ns = self.away_ns
        for key, stored_ns in before:
            for index in range(self.pool_count):
                self.simulate_store(key, &self.pools[index], stored_ns)

    cdef list leaving_order(self):
        """Return the keys that the real pool has, in the order in which it evicts them, with the times of their stores."""
        cdef uint16_t ordered[SAMPLE_KEYS]
        cdef uint32_t count = 0, at
        cdef const mini_pool *pool = &self.pools[0]
        if self.pool_count:
            count = mini_order(pool, self.now_ns, ordered)
        return [(ordered[at], max(pool.entries[ordered[at]].ends_ns - pool.ttl_ns, 0)) for at in range(count)]

    cdef void begin_counting(self) noexcept:
        """Start the counts of lookups again; what is known of keys stays."""
        cdef uint32_t key, index
        reuse_begin(&self.reuse)
        for key in range(self.room):
            self.keys[key].lookups = self.keys[key].misses = self.keys[key].pending = 0
        for index in range(MOST_SIMULATIONS):
            self.retired_by_pool[index] = self.retired_age_means[index] = self.won[index] = 0
        self.retired_lookups = self.retired_misses = self.retired_count = self.retired_bytes = 0
        self.stored_between = self.missed_between = self.new_misses = self.new_misses_between = 0
        self.known_stale_hits = self.assumed_hits = 0
        self.exact_lookups = self.exact_misses = self.seconds = 0
        self.all_lookups = self.all_misses = self.all_seconds = 0
        self.began_ns = -1
        self.passed_over_ns = 0

    cdef void close_pools(self) noexcept:
        while self.pool_count > 0:
            self.pool_count -= 1
            mini_close(&self.pools[self.pool_count])

    @property
    def memory_bytes(self):
        cdef uint64_t total = self.room * (sizeof(SampledKey) + sizeof(uint32_t))
        cdef uint32_t index
        if self.room:
            total += (<uint64_t>self.chain_mask + 1) * sizeof(uint16_t) + reuse_memory(&self.reuse)
        total += sizeof(reuse_curves) + sizeof(self.pools) + self.hot.memory_bytes()
        for index in range(self.pool_count):
            total += mini_memory(&self.pools[index])
        return total

    # ---- events

    def feed_events(self, events):
        cdef sample_event event
        for given in events:
            memset(&event, 0, sizeof(event))
            event.what, event.hash, event.time_ns = given[:3]
            if len(given) > 3:
                event.digest, event.kind, event.key_bytes, event.payload_bytes, event.life_ns = given[3:]
            self.take(&event)

    cdef void feed(self, const sample_event *events, Py_ssize_t count) noexcept nogil:
        cdef Py_ssize_t index
        for index in range(count):
            self.take(&events[index])

    cdef void take(self, const sample_event *event) noexcept nogil:
        cdef uint32_t key, index
        cdef bint first
        if event.what == SAMPLE_PAUSE:
            if self.paused_ns < 0:
                self.paused_ns = event.time_ns
                for index in range(self.pool_count):
                    self.pools[index].between_bytes = 0
                self.sample_fewer()
            return
        if event.what == SAMPLE_RESUME:
            if self.paused_ns >= 0:
                self.away_ns += event.time_ns - self.paused_ns
                self.passed_over_ns += event.time_ns - self.paused_ns
                self.paused_ns = -1
                self.window_began_ns = event.time_ns - self.away_ns
                self.window_lookups = 0
            return
        # Between windows only changes count, and the clock is stopped.
        self.now_ns = (event.time_ns if self.paused_ns < 0 else self.paused_ns) - self.away_ns
        if self.began_ns < 0:
            self.began_ns = self.window_began_ns = self.now_ns
        self.pools[UNBOUNDED].ahead_ns = event.time_ns - self.now_ns
        if event.what != SAMPLE_LOOKUP_HIT and event.what != SAMPLE_LOOKUP_MISS:
            self.hot.hear(event)
        if event.what == SAMPLE_FLUSH:
            for index in range(self.pool_count):
                mini_clear(&self.pools[index])
            for key in range(self.room):
                self.keys[key].flags &= ~KEY_KNOWN_STALE
            return
        if <uint32_t>event.hash >= self.threshold:
            return
        if self.paused_ns >= 0 and (event.what == SAMPLE_LOOKUP_HIT or event.what == SAMPLE_LOOKUP_MISS):
            return
        key = self.find(event.hash)
        first = key == SAMPLE_NONE
        if first:
            if event.what == SAMPLE_WRITE or event.what == SAMPLE_FORGET:
                return
            key = self.enter(event.hash)
            if key == SAMPLE_NONE:
                return
        if event.what == SAMPLE_LOOKUP_HIT or event.what == SAMPLE_LOOKUP_MISS:
            self.looked_up(key, event.what == SAMPLE_LOOKUP_HIT, first)
        elif event.what == SAMPLE_STORE:
            self.new_misses_between += first and self.paused_ns >= 0
            self.stored(key, event)
        elif event.what == SAMPLE_KNOWN:
            self.known(key, event)
        elif event.what == SAMPLE_WRITE:
            hear_write(&self.keys[key], event)
        elif event.what == SAMPLE_FORGET:
            hear_forget(&self.keys[key])
            for index in range(self.pool_count):
                if mini_is_present(&self.pools[index], key):
                    mini_remove(&self.pools[index], key)

    cdef void looked_up(self, uint32_t key, bint hit, bint first) noexcept nogil:
        cdef SampledKey *at = &self.keys[key]
        cdef uint32_t index
        at.lookups += 1
        self.window_lookups += 1
        if self.window_lookups == MEASURED_LOOKUPS:
            self.sample_fewer()
        if hit:
            if at.flags & KEY_KNOWN_STALE:
                self.known_stale_hits += 1
            if self.charges[key] == 0 and self.charge_count > 0:
                self.charges[key] = <uint32_t>(self.charge_sum / self.charge_count)
            if first:
                self.assumed_hits += 1
                # The pool had it before the sample began, and so would have had the simulated ones.
                for index in range(self.pool_count):
                    self.simulate_store(key, &self.pools[index], self.now_ns - self.age_of(at.hash))
        else:
            at.misses += 1
            at.flags &= ~KEY_KNOWN_STALE
            self.new_misses += first
        reuse_lookup(
            &self.reuse, key, self.charges[key], self.now_ns, self.threshold / <double>ALL_KEYS,
            self.pools[0].bound_bytes, self.pools[0].ttl_ns)
        for index in range(self.pool_count):
            if mini_lookup(&self.pools[index], key, self.now_ns + self.pools[index].ahead_ns, at.life_ns):
                self.won[index] += not hit
                continue
            if hit:
                self.simulate_store(key, &self.pools[index], self.now_ns)
            else:
                at.pending |= <uint32_t>1 << index

    cdef void stored(self, uint32_t key, const sample_event *event) noexcept nogil:
        cdef SampledKey *at = &self.keys[key]
        cdef uint32_t index
        cdef int changed = hear_store(at, event)
        if changed >= 0:
            self.refreshes += 1
            self.changed_refreshes += changed
        self.recharge(key, <uint32_t>gpool_charge(event.key_bytes, event.payload_bytes))
        at.server_end_ns = self.now_ns + event.life_ns if event.life_ns > 0 else 0
        at.life_ns = max(at.life_ns, event.life_ns)
        if self.paused_ns >= 0:
            self.stored_between += 1
            self.missed_between += not mini_end(&self.pools[UNBOUNDED], key, event.time_ns)
        for index in range(self.pool_count):
            if not mini_is_present(&self.pools[index], key) and (at.pending >> index & 1 or (
                # Between windows a miss is only known by its store.
                self.paused_ns >= 0 and mini_may_store_between(&self.pools[index], key, at.lookups == 0)
            )):
                self.simulate_store(key, &self.pools[index], self.now_ns)
        at.pending = 0

    cdef void known(self, uint32_t key, const sample_event *event) noexcept nogil:
        """The real pool has the entry, since some time that is not known: it is anywhere within its TTL."""
        cdef SampledKey *at = &self.keys[key]
        cdef uint32_t index
        self.recharge(key, <uint32_t>gpool_charge(event.key_bytes, event.payload_bytes))
        at.server_end_ns = self.now_ns + event.life_ns if event.life_ns > 0 else 0
        at.life_ns = max(at.life_ns, event.life_ns)
        for index in range(self.pool_count):
            if not mini_is_present(&self.pools[index], key):
                self.simulate_store(key, &self.pools[index], self.now_ns - self.age_of(event.hash))

    cdef void recharge(self, uint32_t key, uint32_t charge) noexcept nogil:
        """Entries count by the charge of the last store: those of the same value in other simulations too."""
        cdef double change = <double>charge - self.charges[key]
        cdef uint32_t index
        self.charge_sum += charge
        self.charge_count += 1
        if change == 0:
            return
        for index in range(self.pool_count):
            if mini_is_present(&self.pools[index], key):
                self.pools[index].used_bytes += change
        self.charges[key] = charge

    cdef void simulate_store(self, uint32_t key, mini_pool *pool, int64_t at_ns) noexcept nogil:
        """Store an absent entry, as of the time `at_ns`."""
        cdef SampledKey *at = &self.keys[key]
        cdef int64_t ends_ns = at_ns + pool.ahead_ns + pool.ttl_ns
        cdef int64_t server_end_ns
        cdef bint limited = False
        if self.server_ttl and at.life_ns > 0:
            # A life that has ended since the last store began again at some time.
            server_end_ns = (at.server_end_ns if at.server_end_ns > self.now_ns else at_ns + at.life_ns) + pool.ahead_ns
            limited = server_end_ns < ends_ns
            ends_ns = min(ends_ns, server_end_ns)
        if ends_ns > self.now_ns + pool.ahead_ns:
            mini_store(pool, key, ends_ns, limited)

    # ---- hot keys, sampled or not

    cdef void survey(self, uint64_t hash) noexcept:
        """Count a hit of a survey, in which all keys' hits are looked at."""
        cdef uint32_t key = self.find(hash) if self.hot.survey(hash) else <uint32_t>SAMPLE_NONE
        if key != SAMPLE_NONE:
            self.hot.learn(&self.keys[key])

    def survey_hits(self, hashes):
        for hash in hashes:
            self.survey(hash)

    def heeds_changes(self, hash):
        return self.heeds(hash & 0xFFFFFFFF)

    # ---- keys

    cdef uint32_t find(self, uint64_t hash) noexcept nogil:
        cdef uint16_t key = self.chain_of(hash)[0] if self.room else <uint16_t>SAMPLE_NONE
        while key != SAMPLE_NONE and self.keys[key].hash != hash:
            key = self.keys[key].next
        return key

    cdef uint32_t enter(self, uint64_t hash) noexcept nogil:
        """Return a place for a new key; `SAMPLE_NONE` if its hash is above the threshold, which has fallen for it."""
        cdef uint16_t key
        cdef uint16_t *chain
        if self.free_key == SAMPLE_NONE and not self.grow():
            if self.room == 0:
                return SAMPLE_NONE
            self.make_room()
            if <uint32_t>hash >= self.threshold:
                return SAMPLE_NONE
        chain = self.chain_of(hash)
        key = self.free_key
        self.free_key = self.keys[key].next
        memset(&self.keys[key], 0, sizeof(SampledKey))
        self.keys[key].hash = hash
        self.keys[key].flags = KEY_IN_USE
        self.keys[key].next = chain[0]
        chain[0] = key
        self.key_count += 1
        return key

    cdef void leave(self, uint32_t key) noexcept nogil:
        """Forget a key and all that it has counted."""
        cdef uint16_t *link = self.chain_of(self.keys[key].hash)
        cdef uint32_t index
        while link[0] != key:
            link = &self.keys[link[0]].next
        link[0] = self.keys[key].next
        for index in range(self.pool_count):
            if mini_is_present(&self.pools[index], key):
                mini_remove(&self.pools[index], key)
            self.pools[index].misses[key] = 0
            if self.pools[index].ages != NULL:
                self.pools[index].ages[key] = 0
        reuse_forget(&self.reuse, key)
        self.charges[key] = 0
        self.keys[key].flags = 0
        self.keys[key].lookups = 0
        self.keys[key].next = self.free_key
        self.free_key = <uint16_t>key
        self.key_count -= 1

    cdef void make_room(self) noexcept nogil:
        if self.retire() < self.room // FREE_PART:
            self.lower_threshold(self.room - self.room // FREE_PART)

    cdef bint grow(self) noexcept nogil:
        """Make room for twice as many keys. Return whether there is more: not beyond the bound, or without memory."""
        cdef uint32_t before = self.room, key, index, ends = 2 * SAMPLE_ROOM
        cdef uint32_t room = min(max(2 * before, <uint32_t>SAMPLE_ROOM), <uint32_t>SAMPLE_KEYS)
        cdef uint16_t *chains
        if room == before:
            return False
        while ends < 2 * room:
            ends *= 2
        if not sample_grow(&self.keys, sizeof(SampledKey), before, room):
            return False
        if not sample_grow(&self.charges, sizeof(uint32_t), before, room):
            return False
        # Also where what comes next fails: the old place of the charges is gone.
        for index in range(self.pool_count):
            self.pools[index].charges = self.charges
        for index in range(self.pool_count):
            if self.pools[index].room < room and not mini_grow(&self.pools[index], room):
                return False
        if self.reuse.room < room and not reuse_grow(&self.reuse, room):
            return False
        chains = <uint16_t *>realloc(self.chains, ends * sizeof(uint16_t))
        if chains == NULL:
            return False
        self.chains = chains
        self.chain_mask = ends - 1
        memset(chains, 0xFF, ends * sizeof(uint16_t))
        for key in range(before):
            if self.keys[key].flags & KEY_IN_USE:
                self.keys[key].next = self.chain_of(self.keys[key].hash)[0]
                self.chain_of(self.keys[key].hash)[0] = <uint16_t>key
        for key in range(room, before, -1):
            self.keys[key - 1].next = self.free_key
            self.free_key = <uint16_t>(key - 1)
        self.room = room
        return True

    cdef void sample_fewer(self) noexcept nogil:
        """Sample fewer keys if they are looked up too often, so that windows need not end, as long as these are enough."""
        cdef double seconds = (self.now_ns - self.window_began_ns) * 1e-9
        cdef double allowed = 0.9 * self.key_count * LOOKUPS_A_SECOND * seconds / max(<double>self.window_lookups, 1)
        cdef double enough = enough_keys(
            self.key_count, self.pools[0].scaled_bytes * self.charge_count / max(self.charge_sum, 1),
            self.pools[0].is_lfu, self.paused_ns >= 0)
        # A little more time is not worth the keys: a sample does not grow again.
        if max(allowed, enough) < 0.5 * self.key_count:
            self.lower_threshold(<uint32_t>max(allowed, enough))
        self.window_began_ns = self.now_ns
        self.window_lookups = 0

    cdef uint32_t retire(self) noexcept nogil:
        """Leave keys out that no simulation has an entry of, as far as it matters. Return their number."""
        cdef uint32_t key, index, left = 0
        for key in range(self.room):
            if not self.keys[key].flags & KEY_IN_USE or not self.is_of_no_use(key):
                continue
            self.retired_lookups += self.keys[key].lookups
            self.retired_misses += self.keys[key].misses
            for index in range(self.pool_count):
                self.retired_by_pool[index] += self.pools[index].misses[key]
                if self.pools[index].ages != NULL and self.keys[key].lookups > self.pools[index].misses[key]:
                    self.retired_age_means[index] += self.pools[index].ages[key] * <double>self.pools[index].ages[key] / (
                        self.keys[key].lookups - self.pools[index].misses[key])
            self.retired_count += 1
            self.retired_bytes += self.charges[key]
            self.leave(key)
            left += 1
        return left

    cdef bint is_of_no_use(self, uint32_t key) noexcept nogil:
        cdef uint32_t index
        if self.keys[key].pending != 0 and self.keys[key].flags & KEY_SEEN == 0:
            return False
        for index in range(self.pool_count):
            # An expired entry takes room where there is a bound.
            if mini_is_live(&self.pools[index], key, self.now_ns + self.pools[index].ahead_ns) or (
                self.pools[index].bound_bytes != 0 and mini_is_present(&self.pools[index], key)
            ):
                return False
        return True

    cdef void lower_threshold(self, uint32_t most) noexcept nogil:
        """Leave the keys out whose hashes are highest, so that at most so many are left."""
        cdef uint64_t wanted = threshold_of(self.keys, self.room, self.threshold, most)
        cdef double kept
        cdef uint32_t key, index
        kept = wanted / <double>self.threshold
        self.threshold = wanted
        for key in range(self.room):
            if self.keys[key].flags & KEY_IN_USE and <uint32_t>self.keys[key].hash >= wanted:
                self.leave(key)
        reuse_scale(&self.reuse, kept)
        self.retired_lookups *= kept
        self.retired_misses *= kept
        self.retired_count *= kept
        self.retired_bytes *= kept
        self.new_misses *= kept
        self.new_misses_between *= kept
        self.stored_between *= kept
        self.missed_between *= kept
        self.known_stale_hits *= kept
        self.assumed_hits *= kept
        self.refreshes *= kept
        self.changed_refreshes *= kept
        for index in range(self.pool_count):
            self.retired_by_pool[index] *= kept
            self.retired_age_means[index] *= kept
            self.won[index] *= kept
            self.pools[index].age_squares *= kept
            mini_scale(&self.pools[index], self.threshold / <double>ALL_KEYS)

    # ---- figures

    def count(self, lookups, misses, seconds):
        self.exact_lookups += lookups
        self.exact_misses += misses
        self.seconds += seconds

    def count_all(self, lookups, misses, seconds):
        self.all_lookups += lookups
        self.all_misses += misses
        self.all_seconds += seconds

    def report(self, sizes_kb=None, ttls_ms=None, lost=0):
        from glidecached.advice.sample_estimates import SampleEstimates  # it knows this class

        return advice_report(SampleEstimates(self), sizes_kb, ttls_ms, lost)
