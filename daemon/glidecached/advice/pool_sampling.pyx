"""The sampling of one pool's traffic (see pool_sampling.pyi, docs/design/0028-advice.md).

Two sources of events, each in an order of its own: what the daemon does itself, and the ring that workers write. A turn
puts both into the order of time and feeds them. Nothing in the ring is trusted: a hash that is not sampled is dropped,
as is a hit on a key that neither the sample nor the pool knows; times are brought between the last event and now; what
is of no known sort is counted and dropped. The work of a turn is bounded by the ring's length and the daemon's own list.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort, realloc
from libc.string cimport memcpy, memset

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.pool.layout cimport (
    GPOOL_KIND_HASH,
    GPOOL_KIND_SET,
    GPOOL_KIND_STRING,
    GPOOL_MOST_SAMPLES,
    GPOOL_SAMPLE_WRITE,
    gpool_entry_expires_ns,
    gpool_entry_kind,
    gpool_event_time,
    gpool_event_what,
    gpool_found,
    gpool_ring_bytes,
    gpool_sample,
    gpool_siphash13,
    gpool_store_relaxed_u64,
    gpool_sum,
)
from glidecache_shared.pool.memory.payload cimport encode
from glidecache_shared.pool.memory.sample_ring cimport MOST_EMPTY
from glidecache_shared.pool.store cimport PoolStore
from glidecached.advice.key_sample cimport KeySample
from glidecached.advice.mini_pool cimport SAMPLE_NONE
from glidecached.advice.sample_event cimport (
    SAMPLE_FLUSH,
    SAMPLE_FORGET,
    SAMPLE_KNOWN,
    SAMPLE_LOOKUP_HIT,
    SAMPLE_LOOKUP_MISS,
    SAMPLE_PAUSE,
    SAMPLE_RESUME,
    SAMPLE_STORE,
    SAMPLE_WRITE,
    sample_event,
)
from glidecached.advice.written_prefixes cimport WrittenPrefixes

from glidecache_shared.pool.generation import PoolDamagedError

cdef enum:
    # A window has so many lookups, and so many a second fill it.
    WINDOW_LOOKUPS = 10_000
    LOOKUPS_A_SECOND = 5_000
    # The daemon's own events between two turns: from so many on the window ends, and from so many on they are dropped.
    MOST_OWN_LOOKUPS = 2_048
    MOST_OWN = 4_096
    # Events fed between two looks at the clock, and names of written keys looked up in one turn.
    FED_AT_ONCE = 32
    MOST_NAMED = 512
    # Lists keep so much room between turns.
    KEPT_ROOM = 1_024


# What a ring has left is copied here first: one daemon, one thread.
cdef gpool_sample taken[GPOOL_MOST_SAMPLES + MOST_EMPTY]


cdef int earlier_first(const void *left, const void *right) noexcept nogil:
    cdef int64_t a = (<const sample_event *>left).time_ns
    cdef int64_t b = (<const sample_event *>right).time_ns
    return -1 if a < b else a > b


cdef inline bint is_lookup(const sample_event *event) noexcept nogil:
    return event.what == SAMPLE_LOOKUP_HIT or event.what == SAMPLE_LOOKUP_MISS


cdef uint64_t digest_of(uint32_t kind, bytes payload) noexcept:
    """Return a digest of a payload, never 0: the same whatever the order of a hash's fields or a set's members."""
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(payload)
    cdef uint64_t length = PyBytes_GET_SIZE(payload)
    cdef uint64_t total = 0, field = 0
    cdef uint32_t count, size, index
    cdef uint32_t lengths = 0
    cdef const uint8_t *part
    if kind == GPOOL_KIND_STRING or length < 4:
        return gpool_sum(at, length, 0) or 1
    memcpy(&count, at, 4)
    lengths = count * (2 if kind == GPOOL_KIND_HASH else 1)
    part = at + 4 + <uint64_t>lengths * 4
    for index in range(lengths):
        memcpy(&size, at + 4 + <uint64_t>index * 4, 4)
        if kind == GPOOL_KIND_SET:
            total += gpool_sum(part, size, count)
        elif index % 2 == 0:
            field = gpool_sum(part, size, count)
        else:
            total += gpool_sum(part, size, field)
        part += size
    return total or 1


cdef sample_event *add_to(EventList *events, Py_ssize_t more=1) noexcept:
    """Return room for so many more events, of which the first counts already; NULL without memory."""
    cdef Py_ssize_t room
    cdef sample_event *grown
    if events.count + more > events.room:
        room = max(events.room + events.room // 4, max(events.count + more, <Py_ssize_t>64))
        grown = <sample_event *>realloc(events.events, room * sizeof(sample_event))
        if grown == NULL:
            return NULL
        events.events = grown
        events.room = room
    events.count += 1
    return &events.events[events.count - 1]


cdef void clear(EventList *events) noexcept:
    events.count = 0
    if events.room > KEPT_ROOM:
        free(events.events)
        events.events = NULL
        events.room = 0


cdef class PoolSampling:
    def __init__(self, PoolStore store not None, max_bytes, ttl_ns, policy, *, bint server_ttl):
        self.pool = (max_bytes, ttl_ns, policy, server_ttl)
        self.prefixes = WrittenPrefixes()
        self.store = store
        self.begin_again()
        if store.header.entry_count != 0:
            self.begin()

    def __dealloc__(self):
        free(self.own.events)
        free(self.left.events)
        free(self.merged.events)

    def begin_again(self):
        """Forget all that was sampled: keys have other hashes, or the clock of entries is another."""
        cdef int64_t now_ns = monotonic_ns()
        max_bytes, ttl_ns, policy, server_ttl = self.pool
        self.sample = KeySample(max_bytes, ttl_ns, policy, server_ttl)
        self.own.count = self.left.count = self.merged.count = self.fed = 0
        self.last_ns = self.began_ns = self.refilled_ns = now_ns
        self.open = True
        self.closed_ns = INT64_MAX
        self.tokens = WINDOW_LOOKUPS
        self.open_seconds = 0
        self.lost_before = -<int64_t>self.store.ring.lost
        self.not_kept = self.invalid = self.arrived = self.late = 0
        self.rebase(now_ns)
        self.publish()

    # ---- the pool

    def serve(self, PoolStore store not None):
        cdef PoolStore before = self.store
        cdef bint goes_on = before.header.secret[0] == store.header.secret[0] and (
            before.header.secret[1] == store.header.secret[1])
        cdef int64_t now_ns = monotonic_ns()
        if goes_on:
            self.gather(now_ns)
            self.count_totals(now_ns, now_ns)
        before.ring.stop()
        self.store = store
        if goes_on:
            self.lost_before += before.ring.lost
            self.rebase(now_ns)
        else:
            self.begin_again()
        if store.header.entry_count != 0 or before.ring.taken != 0:
            self.begin()

    def set_pool(self, max_bytes, ttl_ns, policy, *, bint server_ttl):
        pool = (max_bytes, ttl_ns, policy, server_ttl)
        if pool == self.pool:
            return
        begins_again = server_ttl != self.pool[3]
        self.pool = pool
        if begins_again:
            self.begin_again()
        else:
            # What happened before happened to the pool as it was.
            self.take_all()
            self.sample.set_pool(max_bytes, ttl_ns, policy)
            self.publish()

    def stop(self):
        if not self.ended:
            self.ended = True
            self.lookups_below = self.changes_below = 0
            if self.store.header != NULL:
                self.store.ring.stop()

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
        self.store.ring.publish(self.lookups_below, <uint64_t>max(self.tokens, 0.0))

    # ---- what the daemon sees

    cdef uint64_t whole_hash(self, bytes key) noexcept:
        return self.store._whole_hash(key)

    cdef sample_event *add(self, EventList *events) noexcept:
        cdef sample_event *event = add_to(events) if events.count < MOST_OWN else NULL
        if event == NULL:
            self.not_kept += 1
        else:
            memset(event, 0, sizeof(sample_event))
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
        for index in range(len(keys)):
            if hash_at[index] < self.lookups_below:
                self.looked_up(<bytes>keys[index], kind, values[index] is not None, now_ns)
        return 0

    cdef int stored(self, bytes key, uint32_t kind, object value, int64_t life_ns, int64_t now_ns) except -1:
        """Note a value that has come from the server, of a sampled key (`changes_below`)."""
        cdef bytes payload = encode(kind, value)
        cdef sample_event *event = self.add(&self.own)
        if event != NULL:
            event.what = SAMPLE_STORE
            event.hash = self.whole_hash(key)
            event.kind = kind
            event.time_ns = now_ns
            event.digest = digest_of(kind, payload)
            event.key_bytes = <uint32_t>PyBytes_GET_SIZE(key)
            event.payload_bytes = <uint32_t>PyBytes_GET_SIZE(payload)
            event.life_ns = life_ns
        return 0

    cdef void change(self, uint32_t what, uint64_t hash, int64_t now_ns) noexcept:
        cdef sample_event *event = self.add(&self.own)
        if event != NULL:
            event.what = what
            event.hash = hash
            event.time_ns = now_ns

    cdef int forgetting(self) except -1:
        """Take what workers have left before an entry is removed by its key: writes, whose keys the pool still knows."""
        if not self.ended and self.store.ring.has_news():
            self.gather(monotonic_ns())
        return 0

    cdef void forgot(self, bytes key, int64_t now_ns) noexcept:
        """Note that an entry was removed by its key."""
        cdef uint64_t hash = self.whole_hash(key)
        if <uint32_t>hash < self.changes_below:
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
        if self.ended or not self.store.holds(key, <uint32_t>hash, now_ns):
            return 0
        self.count_write(key)
        if <uint32_t>hash < self.changes_below:
            self.change(SAMPLE_WRITE, hash, now_ns)
        return 1

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
            if what == 0 or what > GPOOL_SAMPLE_WRITE or time_ns > now_ns:
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
            if not is_sampled:
                self.late += what != GPOOL_SAMPLE_WRITE
                continue
            # Forgets may take what is left many times before it is fed.
            if self.left.count > 2 * GPOOL_MOST_SAMPLES:
                self.not_kept += 1
                continue
            event = add_to(&self.left)
            if event == NULL:
                self.not_kept += 1
                continue
            memset(event, 0, sizeof(sample_event))
            event.hash = taken[index].hash
            event.time_ns = max(time_ns, self.last_ns)
            event.what = SAMPLE_WRITE if what == GPOOL_SAMPLE_WRITE else SAMPLE_LOOKUP_HIT
            event.kind = 0 if what == GPOOL_SAMPLE_WRITE else what
            self.arrived += 1
        return 0

    # ---- in the order of time

    cdef int merge(self, int64_t now_ns) except -1:
        """Put all events since the last time into the order of time; end the window, or begin the next."""
        cdef Py_ssize_t own = 0, left = 0, index
        cdef int64_t ends_ns = self.closed_ns
        cdef const sample_event *event
        cdef sample_event mark
        cdef bint used_up
        self.gather(now_ns)
        self.tokens = min(
            <double>WINDOW_LOOKUPS, self.tokens + (now_ns - self.refilled_ns) * 1e-9 * LOOKUPS_A_SECOND)
        self.refilled_ns = now_ns
        if self.left.count != 0:
            qsort(self.left.events, self.left.count, sizeof(sample_event), earlier_first)
        used_up = self.open and self.store.ring.has_memory and self.store.ring.is_used_up()
        if used_up and ends_ns == INT64_MAX:
            # The last hit that was left ends the window: later ones may have found the ring used up.
            ends_ns = self.last_ns
            for index in range(self.left.count - 1, -1, -1):
                if self.left.events[index].what == SAMPLE_LOOKUP_HIT:
                    ends_ns = self.left.events[index].time_ns
                    break
        if add_to(&self.merged, self.own.count + self.left.count + 2) == NULL:
            raise MemoryError
        self.merged.count -= 1
        while own < self.own.count or left < self.left.count:
            if left == self.left.count or (
                own < self.own.count and self.own.events[own].time_ns <= self.left.events[left].time_ns
            ):
                event = &self.own.events[own]
                own += 1
            else:
                event = &self.left.events[left]
                left += 1
            if is_lookup(event):
                if not self.open or event.time_ns > ends_ns:
                    continue
                self.tokens -= 1
            self.append(event)
        clear(&self.own)
        clear(&self.left)
        if self.open and ends_ns == INT64_MAX and self.tokens < 0:
            ends_ns = now_ns
        self.count_totals(min(ends_ns, now_ns), now_ns)
        memset(&mark, 0, sizeof(mark))
        if self.open and ends_ns != INT64_MAX:
            self.paused_ns = max(min(ends_ns, now_ns), self.last_ns)
            mark.what = SAMPLE_PAUSE
            mark.time_ns = self.paused_ns
            self.append(&mark)
            self.open = False
        elif not self.open and self.tokens >= WINDOW_LOOKUPS:
            self.open = True
            self.closed_ns = INT64_MAX
            mark.what = SAMPLE_RESUME
            mark.time_ns = now_ns
            self.append(&mark)
            self.rebase(now_ns)
        return 0

    cdef void append(self, const sample_event *event) noexcept:
        """Add an event to those that are to be fed; there is room. The sample's clock never goes back."""
        cdef sample_event *place = &self.merged.events[self.merged.count]
        self.merged.count += 1
        place[0] = event[0]
        if not self.open and event.what != SAMPLE_RESUME:
            place.time_ns = self.paused_ns  # as of the window's end
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

    # ---- exact totals

    cdef int rebase(self, int64_t now_ns) except -1:
        """Count lookups from here on."""
        self.hits = self.store.header.daemon_hits + self.store.board.hits()
        self.misses = self.store.header.misses
        self.counted_ns = now_ns
        return 0

    cdef int count_totals(self, int64_t until_ns, int64_t now_ns) except -1:
        """Add all lookups since the last time, as far as they were in a window that was open until `until_ns`.

        The counters say how many there were until now: of a window that ended before, its share of the time.
        """
        cdef uint64_t hits = self.hits, misses = self.misses
        cdef int64_t since_ns = self.counted_ns
        cdef double share = 1.0, more_hits, more_misses
        if not self.open:
            return 0
        self.rebase(now_ns)
        if now_ns <= since_ns:
            return 0
        if until_ns < now_ns:
            share = max(until_ns - since_ns, <int64_t>0) / <double>(now_ns - since_ns)
        # A board that a worker has spoilt may count less than before.
        more_hits = share * (self.hits - hits) if self.hits > hits else 0.0
        more_misses = share * (self.misses - misses) if self.misses > misses else 0.0
        self.open_seconds += share * (now_ns - since_ns) * 1e-9
        self.sample.count(
            <int64_t>(more_hits + more_misses + 0.5), <int64_t>(more_misses + 0.5),
            share * (now_ns - since_ns) * 1e-9)
        return 0

    # ---- turns and reports

    def turn(self, int64_t until_ns):
        cdef int64_t now_ns
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
        more = self.feed(until_ns)
        self.publish()
        return bool(more)

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
        cdef int64_t passed_ns
        self.take_all()
        passed_ns = max(<int64_t>monotonic_ns() - self.began_ns, <int64_t>1)
        found = self.sample.report(sizes_kb, ttls_ms, self.lost + self.not_kept)
        found["cached_key_writes"] = self.cached_key_writes
        found["written_prefixes"] = self.prefixes.commonest() if names else None
        found["sampled_share"] = min(1.0, self.open_seconds / (passed_ns * 1e-9))
        return found
