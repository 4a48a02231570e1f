"""The sampling of one pool's traffic (see pool_sampling.pyi, docs/design/0028-advice.md).

Two sources of events, each in an order of its own: what the daemon does itself, and the ring that workers write. A turn
puts both into the order of time and feeds them. Nothing in the ring is trusted: a hash that is not sampled is dropped,
as is a hit on a key that neither the sample nor the pool knows; times are brought between the last event and now; what
is of no known sort is counted and dropped. The work of a turn is bounded by the ring's length and the daemon's own list.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort
from libc.string cimport memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.pool.layout cimport (
    gpool_entry_expires_ns, gpool_entry_kind, gpool_found, gpool_ring_bytes,
)
from glidecache_shared.pool.memory.payload cimport encode
from glidecache_shared.pool.store cimport PoolStore
from glidecached.advice.event_list cimport EventList, add_to, clear, earlier_first, is_lookup
from glidecached.advice.key_sample cimport KeySample
from glidecached.advice.mini_pool cimport SAMPLE_NONE
from glidecached.advice.payload_digest cimport digest_of
from glidecached.advice.sample_event cimport (
    SAMPLE_FLUSH, SAMPLE_FORGET, SAMPLE_KNOWN, SAMPLE_LOOKUP_HIT, SAMPLE_LOOKUP_MISS, SAMPLE_PAUSE, SAMPLE_RESUME,
    SAMPLE_STORE, SAMPLE_WRITE, sample_event,
)
from glidecached.advice.sample_sources cimport LOOKUPS_A_SECOND, MOST_OWN_LOOKUPS, SampleSources
from glidecached.advice.written_prefixes cimport WrittenPrefixes

import logging

from glidecache_shared.pool.generation import PoolDamagedError

logger = logging.getLogger(__name__)

cdef enum:
    # A window has so many lookups.
    WINDOW_LOOKUPS = 10_000
    # The second window has so many, and each after it twice as many: much is new in the beginning.
    SECOND_WINDOW = 1_250
    # The daemon's own events between two turns: from so many on they are dropped.
    MOST_OWN = 4_096
    # A survey has so many hits.
    SURVEY_HITS = 1_024
    # Events fed between two looks at the clock.
    FED_AT_ONCE = 32


# The time from one survey to the next.
cdef int64_t SURVEY_INTERVAL_NS = 2_000_000_000


cdef class PoolSampling(SampleSources):
    def __init__(self, PoolStore store not None, max_bytes, ttl_ns, policy, *, bint server_ttl):
        self.pool = (max_bytes, ttl_ns, policy, server_ttl)
        self.prefixes = WrittenPrefixes()
        self.store = store
        self.begin_again()
        if store.header.entry_count != 0:
            self.begin()

    def __dealloc__(self):
        free(self.own.events)

    def begin_again(self):
        """Forget all that was sampled: keys have other hashes, or the clock of entries is another."""
        cdef int64_t now_ns = monotonic_ns()
        max_bytes, ttl_ns, policy, server_ttl = self.pool
        self.sample = KeySample(max_bytes, ttl_ns, policy, server_ttl)
        self.own.count = self.left.count = self.merged.count = self.fed = self.put_count = 0
        self.last_ns = self.refilled_ns = now_ns
        self.open = True
        self.closed_ns = INT64_MAX
        self.tokens = WINDOW_LOOKUPS
        self.wanted = SECOND_WINDOW
        self.lost_before = -<int64_t>self.store.ring.lost
        self.not_kept = self.invalid = self.arrived = self.late = self.surveyed = self.surveyed_before = 0
        self.survey_until = 0
        self.survey_left = SURVEY_HITS
        self.next_survey_ns = now_ns + SURVEY_INTERVAL_NS
        self.rebase(now_ns)
        self.rebase_all(now_ns)
        self.publish()

    # ---- the pool

    def serve(self, PoolStore store not None):
        cdef PoolStore before = self.store
        cdef bint goes_on = before.header.secret[0] == store.header.secret[0] and (
            before.header.secret[1] == store.header.secret[1])
        cdef int64_t now_ns = monotonic_ns()
        try:
            if goes_on and not self.ended:
                self.gather(now_ns)
                if self.open:
                    self.count_window(now_ns, now_ns)
                self.count_all(now_ns)
        except Exception as error:
            self.fail(error)
        before.ring.stop()
        self.store = store
        try:
            if self.ended:
                return
            if goes_on:
                self.lost_before += before.ring.lost
                self.rebase(now_ns)
                self.rebase_all(now_ns)
            else:
                self.begin_again()
            if store.header.entry_count != 0 or before.ring.taken != 0:
                self.begin()
        except Exception as error:
            self.fail(error)

    def set_pool(self, max_bytes, ttl_ns, policy, *, bint server_ttl):
        pool = (max_bytes, ttl_ns, policy, server_ttl)
        if self.ended or pool == self.pool:
            return
        begins_again = server_ttl != self.pool[3]
        self.pool = pool
        try:
            if begins_again:
                self.begin_again()
            else:
                # What happened before happened to the pool as it was.
                self.take_all()
                self.sample.set_pool(max_bytes, ttl_ns, policy)
                self.publish()
        except Exception as error:
            self.fail(error)

    def stop(self):
        if not self.ended:
            self.ended = True
            self.lookups_below = self.changes_below = 0
            if self.store.header != NULL:
                self.store.ring.stop()

    def fail(self, error):
        if self.ended:
            return
        logger.error(
            "sampling failed, the cache has no advice until advice is turned off and on",
            exc_info=error,
            extra={"bound_bytes": self.pool[0]},
        )
        self.stop()

    cdef int begin(self) except -1:
        """Let workers leave samples, as soon as there is an entry that they can hit."""
        if not self.store.ring.has_memory and not self.ended and self.store.ring.begin():
            self.publish()
        return 0

    cdef void publish(self) noexcept:
        cdef uint64_t threshold = self.sample.threshold
        if self.ended:
            return
        self.changes_below = threshold
        self.lookups_below = threshold if self.open and self.closed_ns == INT64_MAX else 0
        # A small ring keeps more than half of its room.
        self.survey_until = self.store.ring.publish(
            self.lookups_below, <uint64_t>max(self.tokens, 0.0),
            min(self.survey_left, self.store.ring.capacity() // 3))

    # ---- what the daemon sees

    cdef uint64_t whole_hash(self, bytes key) noexcept:
        return self.store._whole_hash(key)

    cdef sample_event *add(self, EventList *events) noexcept:
        cdef sample_event *event = add_to(events) if events.count < MOST_OWN else NULL
        if event != NULL:
            memset(event, 0, sizeof(sample_event))
        elif self.open and self.closed_ns == INT64_MAX:
            # Between windows nothing is missing: the sample learns of a value by its next hit.
            self.not_kept += 1
        return event

    cdef void looked_up(self, bytes key, uint32_t kind, bint hit, int64_t now_ns) noexcept:
        """Note a lookup of the daemon's own, of a sampled key (`lookups_below`)."""
        cdef sample_event *event
        if self.own.count >= MOST_OWN_LOOKUPS:
            self.closed_ns = now_ns
            self.lookups_below = 0
            return
        event = self.add(&self.own)
        if event != NULL:
            event.what = SAMPLE_LOOKUP_HIT if hit else SAMPLE_LOOKUP_MISS
            event.hash = self.whole_hash(key)
            event.kind = kind
            event.time_ns = now_ns

    cdef int looked_up_many(self, list keys, bytes hashes, list values, uint32_t kind) except -1:
        """Note lookups of many keys, sampled or not."""
        cdef const uint32_t *hash_at = <const uint32_t *>PyBytes_AS_STRING(hashes)
        cdef int64_t now_ns = monotonic_ns()
        cdef Py_ssize_t index
        try:
            for index in range(len(keys)):
                if hash_at[index] < self.lookups_below:
                    self.looked_up(<bytes>keys[index], kind, values[index] is not None, now_ns)
        except PoolDamagedError:
            raise
        except Exception as error:
            self.fail(error)
        return 0

    cdef int stored(self, bytes key, uint32_t kind, object value, int64_t life_ns, int64_t now_ns) except -1:
        """Note a value that has come from the server, of a sampled key (`changes_below`)."""
        cdef bytes payload
        cdef sample_event *event
        try:
            payload = encode(kind, value)
            event = self.add(&self.own)
            if event != NULL:
                event.what = SAMPLE_STORE
                event.hash = self.whole_hash(key)
                event.kind = kind
                event.time_ns = now_ns
                event.digest = digest_of(kind, payload)
                event.key_bytes = <uint32_t>PyBytes_GET_SIZE(key)
                event.payload_bytes = <uint32_t>PyBytes_GET_SIZE(payload)
                event.life_ns = life_ns
        except PoolDamagedError:
            raise
        except Exception as error:
            self.fail(error)
        return 0

    cdef void change(self, uint32_t what, uint64_t hash, int64_t now_ns) noexcept:
        cdef sample_event *event = self.add(&self.own)
        if event != NULL:
            event.what = what
            event.hash = hash
            event.time_ns = now_ns

    cdef int forgetting(self) except -1:
        """Take what workers have left before an entry is removed by its key: writes, whose keys the pool still knows."""
        try:
            if not self.ended and self.store.ring.has_news():
                self.gather(monotonic_ns())
        except PoolDamagedError:
            raise
        except Exception as error:
            self.fail(error)
        return 0

    cdef void forgot(self, bytes key, bint removed, int64_t now_ns) noexcept:
        """Note that an application has forgotten a key; where nothing was removed, simulated pools may have an entry."""
        cdef uint64_t hash = self.whole_hash(key)
        if self.heeds(<uint32_t>hash) and (removed or self.sample.find(hash) != SAMPLE_NONE):
            self.change(SAMPLE_FORGET, hash, now_ns)

    cdef tuple forget_below(self, bytes prefix, uint32_t above, uint32_t count):
        """Do what `PoolStore.forget_below` does, and note the sampled keys among those that it removes."""
        cdef list removed = []
        cdef uint64_t hash
        cdef int64_t now_ns = monotonic_ns()
        self.forgetting()
        self.store.removed_hashes = removed
        self.store.removed_below = self.changes_below
        try:
            return self.store.forget_below(prefix, above, count)
        finally:
            self.store.removed_hashes = None
            for hash in removed:
                self.change(SAMPLE_FORGET, hash, now_ns)

    def flushed(self):
        if not self.ended:
            self.forgetting()
            self.change(SAMPLE_FLUSH, 0, monotonic_ns())

    cdef int written(self, bytes key) except -1:
        """Note a client's write to a key, if the pool has it. Raises `PoolDamagedError`."""
        cdef uint64_t hash = self.whole_hash(key)
        cdef int64_t now_ns = monotonic_ns()
        try:
            if self.ended or not self.store.holds(key, <uint32_t>hash, now_ns):
                return 0
            self.count_write(key)
            if self.heeds(<uint32_t>hash):
                self.change(SAMPLE_WRITE, hash, now_ns)
            return 1
        except PoolDamagedError:
            raise
        except Exception as error:
            self.fail(error)
            return 0

    # ---- in the order of time

    cdef int merge(self, int64_t now_ns) except -1:
        """Put all events since the last time into the order of time; end the window, or begin the next."""
        cdef Py_ssize_t index
        cdef int64_t ends_ns = self.closed_ns, used_up_ns
        cdef const sample_event *event
        cdef EventList before
        cdef bint used_up
        self.gather(now_ns)
        self.tokens = min(
            <double>WINDOW_LOOKUPS, self.tokens + (now_ns - self.refilled_ns) * 1e-9 * LOOKUPS_A_SECOND)
        self.refilled_ns = now_ns
        self.tokens -= self.surveyed - self.surveyed_before
        self.surveyed_before = self.surveyed
        if self.left.count != 0:
            qsort(self.left.events, self.left.count, sizeof(sample_event), earlier_first)
        used_up = self.open and self.store.ring.has_memory and self.store.ring.is_used_up()
        if used_up:
            # The last hit that was left ends the window: later ones may have found the ring used up.
            used_up_ns = self.last_ns
            for index in range(self.left.count - 1, -1, -1):
                if self.left.events[index].what == SAMPLE_LOOKUP_HIT:
                    used_up_ns = self.left.events[index].time_ns
                    break
            ends_ns = min(ends_ns, used_up_ns)
        self.interleave()
        for index in range(2, self.left.count):
            event = &self.left.events[index]
            if self.open and event.time_ns > ends_ns:
                self.end_window(ends_ns, now_ns)
            if is_lookup(event):
                if not self.open:
                    continue
                self.tokens -= 1
            self.append(event)
        clear(&self.own)
        if self.open and ends_ns == INT64_MAX and self.tokens < 0:
            ends_ns = now_ns
        if self.open and ends_ns != INT64_MAX:
            self.end_window(ends_ns, now_ns)
        elif self.open:
            self.count_window(now_ns, now_ns)
        elif self.tokens >= self.wanted:
            self.wanted = min(2 * self.wanted, <double>WINDOW_LOOKUPS)
            self.open = True
            self.closed_ns = INT64_MAX
            self.mark(SAMPLE_RESUME, now_ns)
            self.rebase(now_ns)
        self.count_all(now_ns)
        # The list that is left is the one that had been fed.
        before = self.merged
        self.merged = self.left
        self.merged.count = self.put_count
        self.left = before
        self.put_count = 0
        return 0

    cdef int interleave(self) except -1:
        """Put the daemon's own events between those that were left, behind two places for marks."""
        cdef Py_ssize_t left = self.left.count - 1, own = self.own.count - 1, place
        cdef sample_event *events
        if add_to(&self.left, self.own.count + 2) == NULL:
            raise MemoryError
        self.left.count += self.own.count + 1
        events = self.left.events
        for place in range(self.left.count - 1, 1, -1):
            if own < 0 or (left >= 0 and events[left].time_ns >= self.own.events[own].time_ns):
                events[place] = events[left]
                left -= 1
            else:
                events[place] = self.own.events[own]
                own -= 1
        return 0

    cdef int end_window(self, int64_t ends_ns, int64_t now_ns) except -1:
        self.count_window(min(ends_ns, now_ns), now_ns)
        self.mark(SAMPLE_PAUSE, min(ends_ns, now_ns))
        self.open = False
        return 0

    cdef void mark(self, uint32_t what, int64_t time_ns) noexcept:
        cdef sample_event event
        memset(&event, 0, sizeof(event))
        event.what = what
        event.time_ns = time_ns
        self.append(&event)

    cdef void append(self, const sample_event *event) noexcept:
        """Put an event before those that are still to be looked at. The sample's clock never goes back."""
        cdef sample_event *place = &self.left.events[self.put_count]
        self.put_count += 1
        place[0] = event[0]
        place.time_ns = max(place.time_ns, self.last_ns)
        self.last_ns = place.time_ns

    cdef int feed(self, int64_t until_ns) except -1:
        """Feed merged events until that time. Return whether some are left."""
        cdef const sample_event *event
        cdef Py_ssize_t index
        while self.fed < self.merged.count:
            for index in range(min(<Py_ssize_t>FED_AT_ONCE, self.merged.count - self.fed)):
                event = &self.merged.events[self.fed]
                self.fed += 1
                if event.what == SAMPLE_LOOKUP_HIT and not self.introduce(event):
                    continue
                self.sample.feed(event, 1)
            if self.fed < self.merged.count and <int64_t>monotonic_ns() >= until_ns:
                return 1
        self.fed = 0
        clear(&self.merged)
        return 0

    cdef bint introduce(self, const sample_event *hit) except -1:
        """Tell the sample of a key that it does not know, from the pool's entry. Return whether the hit may be fed."""
        cdef uint32_t place
        cdef uint64_t expires
        cdef gpool_found found
        cdef sample_event known
        cdef bytes key
        if <uint32_t>hit.hash >= self.sample.threshold:
            return False
        place = self.sample.find(hit.hash)
        if place != SAMPLE_NONE and self.sample.charges[place] != 0:
            return True
        try:
            key = self.store.key_of_hash(hit.hash, &found)
        except PoolDamagedError:
            key = None
        if key is None:
            return place != SAMPLE_NONE  # else it has left since, or there never was such a key
        memset(&known, 0, sizeof(known))
        known.what = SAMPLE_KNOWN
        known.hash = hit.hash
        known.time_ns = hit.time_ns
        known.kind = gpool_entry_kind(&found.entry)
        known.key_bytes = found.entry.key_bytes
        known.payload_bytes = found.entry.payload_bytes
        expires = gpool_entry_expires_ns(&found.entry)
        if self.pool[3] and expires > <uint64_t>hit.time_ns and expires < <uint64_t>INT64_MAX:
            known.life_ns = <int64_t>expires - hit.time_ns
        self.sample.feed(&known, 1)
        return True

    # ---- turns and reports

    def turn(self, int64_t until_ns):
        cdef int64_t now_ns
        try:
            if self.ended:
                return False
            if self.fed == self.merged.count:
                if not self.store.ring.has_memory and self.store.header.entry_count != 0:
                    self.begin()
                now_ns = monotonic_ns()
                if (
                    self.open and self.own.count == 0 and self.left.count == 0 and self.tokens >= WINDOW_LOOKUPS
                    and not self.store.ring.has_news()
                ):
                    self.refilled_ns = now_ns
                    return False
                self.merge(now_ns)
                if now_ns >= self.next_survey_ns:
                    self.next_survey_ns = now_ns + SURVEY_INTERVAL_NS
                    self.survey_left = SURVEY_HITS
            more = self.feed(until_ns)
            self.publish()
            return bool(more)
        except PoolDamagedError:
            raise
        except Exception as error:
            self.fail(error)
            return False

    def take_all(self):
        """Feed all that has happened until now."""
        cdef int64_t now_ns
        if self.ended:
            return
        self.feed(INT64_MAX)
        now_ns = monotonic_ns()
        self.merge(now_ns)
        self.feed(INT64_MAX)
        self.publish()

    @property
    def lost(self):
        return self.lost_before + self.store.ring.lost if self.store.header != NULL else 0

    @property
    def memory_bytes(self):
        cdef uint64_t own = (self.own.room + self.left.room + self.merged.room) * sizeof(sample_event)
        if self.store.header != NULL and self.store.ring.has_memory:
            own += gpool_ring_bytes(self.store.header.max_records)
        return own + self.sample.memory_bytes

    @property
    def cached_key_writes(self):
        return self.store.header.cached_key_writes if self.store.header != NULL else 0

    def report(self, sizes_kb=None, ttls_ms=None, *, bint names=False):
        self.take_all()
        found = self.sample.report(sizes_kb, ttls_ms, self.lost + self.not_kept)
        found["cached_key_writes"] = self.cached_key_writes
        found["written_prefixes"] = self.prefixes.commonest() if names else None
        return found
