"""The sources of a pool's sample, besides what the daemon does itself: the ring that workers write, and the counters.

Nothing in the ring is trusted: a hash that is not sampled is dropped, times are brought between the last event and now,
what is of no known sort is counted and dropped. The work is bounded by the ring's length.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.pool.layout cimport (
    GPOOL_MOST_SAMPLES,
    GPOOL_SAMPLE_WRITE,
    gpool_event_time,
    gpool_event_what,
    gpool_found,
    gpool_sample,
    gpool_store_relaxed_u64,
)
from glidecache_shared.pool.memory.sample_ring cimport MOST_EMPTY
from glidecached.advice.event_list cimport KEPT_ROOM, add_to
from glidecached.advice.sample_event cimport SAMPLE_LOOKUP_HIT, SAMPLE_WRITE, sample_event

from glidecache_shared.pool.generation import PoolDamagedError

cdef enum:
    # Names of written keys looked up in one turn.
    MOST_NAMED = 512


cdef double LONGEST_WAIT_MS = 250, SHORTEST_WAIT_MS = 5

# What a ring has left is copied here first: one daemon, one thread.
cdef gpool_sample taken[GPOOL_MOST_SAMPLES + MOST_EMPTY]


cdef class SampleSources:
    def __dealloc__(self):
        free(self.left.events)
        free(self.merged.events)

    cdef int count_write(self, bytes key) except -1:
        """Count a write to a cached key; its name is None if the pool does not have it any more."""
        gpool_store_relaxed_u64(&self.store.header.cached_key_writes, self.store.header.cached_key_writes + 1)
        if key is not None:
            self.prefixes.add(key)
        return 0

    # ---- what workers leave

    cdef int gather(self, int64_t now_ns) except -1:
        """Take what workers have left into a list, as far as it can be true."""
        cdef uint32_t count = self.store.ring.take(taken)
        cdef int64_t taken_ns = monotonic_ns()  # hits go on: some are later than `now_ns`
        cdef uint32_t index, what
        cdef int named = 0
        cdef int64_t time_ns
        cdef bint is_sampled
        cdef sample_event *event
        cdef gpool_found found
        cdef bytes key
        for index in range(count):
            what = gpool_event_what(taken[index].event)
            time_ns = <int64_t>gpool_event_time(taken[index].event)
            if what == 0 or what > GPOOL_SAMPLE_WRITE or time_ns > taken_ns:
                self.invalid += 1
                continue
            is_sampled = <uint32_t>taken[index].hash < self.sample.threshold
            if what == GPOOL_SAMPLE_WRITE:
                key = None
                if named < MOST_NAMED:
                    named += 1
                    try:
                        key = self.store.key_of_hash(taken[index].hash, &found)
                    except PoolDamagedError:
                        key = None  # the next request finds it, and has it replaced
                self.count_write(key)
            elif taken[index].position < self.survey_until:
                self.sample.survey(taken[index].hash)
                self.survey_left -= self.survey_left > 0
                if not is_sampled:
                    self.surveyed += 1
                    continue
            if not (self.sample.heeds(<uint32_t>taken[index].hash) if what == GPOOL_SAMPLE_WRITE else is_sampled):
                self.late += what != GPOOL_SAMPLE_WRITE
                continue
            # Forgets may take what is left many times before it is fed.
            if self.left.count >= (GPOOL_MOST_SAMPLES if self.merged.count == 0 else KEPT_ROOM):
                self.not_kept += 1
                continue
            event = add_to(&self.left)
            if event == NULL:
                self.not_kept += 1
                continue
            memset(event, 0, sizeof(sample_event))
            event.hash = taken[index].hash
            event.time_ns = max(min(time_ns, now_ns), self.last_ns)
            event.what = SAMPLE_WRITE if what == GPOOL_SAMPLE_WRITE else SAMPLE_LOOKUP_HIT
            event.kind = 0 if what == GPOOL_SAMPLE_WRITE else what
            self.arrived += 1
        return 0

    @property
    def wait_ms(self):
        # The ring, and the list of the daemon's own events, are half full by then; or the next window begins.
        cdef double share = self.sample.threshold / 4294967296.0
        cdef double hits = max(self.hits_a_second * share, 1.0)
        cdef double misses = max(self.misses_a_second * share, 1.0)
        cdef double room = self.store.ring.capacity() * 0.75 if self.store.header != NULL else MOST_OWN_LOOKUPS
        cdef double until = 500 * room / hits
        if not self.open:
            until = 1_000 * (self.wanted - self.tokens) / LOOKUPS_A_SECOND
        return max(min(LONGEST_WAIT_MS, until, 500 * MOST_OWN_LOOKUPS / misses), SHORTEST_WAIT_MS)

    # ---- exact totals

    cdef int rebase(self, int64_t now_ns) except -1:
        """Count lookups from here on."""
        self.hits = self.store.header.daemon_hits + self.store.board.hits()
        self.misses = self.store.header.misses
        self.counted_ns = now_ns
        return 0

    cdef int count_window(self, int64_t until_ns, int64_t now_ns) except -1:
        """Add all lookups since the last time, as far as they were in the window, which is open until `until_ns`.

        The counters say how many there were until now: of a window that ended before, its share of the time.
        """
        cdef uint64_t hits = self.hits, misses = self.misses
        cdef int64_t since_ns = self.counted_ns
        cdef double share = 1.0, more_hits, more_misses
        self.rebase(now_ns)
        if now_ns <= since_ns:
            return 0
        if until_ns < now_ns:
            share = max(until_ns - since_ns, <int64_t>0) / <double>(now_ns - since_ns)
        # A board that a worker has spoilt may count less than before.
        more_hits = share * (self.hits - hits) if self.hits > hits else 0.0
        more_misses = share * (self.misses - misses) if self.misses > misses else 0.0
        self.sample.count(
            <int64_t>(more_hits + more_misses + 0.5), <int64_t>(more_misses + 0.5),
            share * (now_ns - since_ns) * 1e-9)
        return 0

    cdef int rebase_all(self, int64_t now_ns) except -1:
        self.all_hits = self.store.header.daemon_hits + self.store.board.hits()
        self.all_misses = self.store.header.misses
        self.all_ns = now_ns
        return 0

    cdef int count_all(self, int64_t now_ns) except -1:
        """Add all lookups since the last time, between windows too."""
        cdef uint64_t hits = self.all_hits, misses = self.all_misses
        cdef int64_t since_ns = self.all_ns
        cdef double seconds
        self.rebase_all(now_ns)
        more_hits = self.all_hits - hits if self.all_hits > hits else 0
        more_misses = self.all_misses - misses if self.all_misses > misses else 0
        seconds = max(now_ns - since_ns, <int64_t>0) * 1e-9
        if seconds > 1e-3:
            self.hits_a_second = more_hits / seconds
            self.misses_a_second = more_misses / seconds
        self.sample.count_all(more_hits + more_misses, more_misses, seconds)
        return 0
