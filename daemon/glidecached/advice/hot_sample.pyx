"""The hottest keys of a pool, sampled or not, and what is learnt of their values' changes.

Surveys find them: short times in which hits on all keys leave a sample. A few keys may have a large part of all hits, so
what is known of these keys decides on the share of stale reads; sampled keys say little about them.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from glidecached.advice.hot_keys cimport (
    HOT_CHANGED_AT, HOT_NONE, HOT_UNCHANGED, hot_begin, hot_count, hot_find, hot_follow, hot_keys, hot_leave_out, hot_restart,
)
from glidecached.advice.mini_pool cimport sample_grow
from glidecached.advice.sample_event cimport SAMPLE_FLUSH, SAMPLE_FORGET, SAMPLE_STORE, SAMPLE_WRITE, sample_event
from glidecached.advice.sampled_key cimport KEY_FORGOTTEN, SampledKey, hear_forget, hear_store, hear_write


cdef class HotSample:
    def __cinit__(self, bint server_ttl):
        self.server_ttl = server_ttl

    def __dealloc__(self):
        free(self.keys)
        free(self.findings)

    cdef uint64_t memory_bytes(self) noexcept:
        return 0 if self.keys == NULL else sizeof(hot_keys) + self.room * sizeof(HotFindings)

    cdef void begin(self) noexcept:
        """Count from here on, beside other pools."""
        self.longer_count = 0
        if self.keys != NULL:
            hot_begin(self.keys)

    cdef void follow(self, uint32_t pool, int64_t ttl_ns) noexcept:
        """Follow what a pool of a longer TTL would have."""
        if self.longer_count < MOST_LONGER:
            self.longer[self.longer_count] = pool
            self.longer_ns[self.longer_count] = ttl_ns
            self.longer_count += 1

    cdef bint survey(self, uint64_t hash) noexcept:
        """Count a hit of a survey. Return whether its key is a new one, of which `learn` may know something."""
        cdef uint32_t place
        if self.keys == NULL:
            self.keys = <hot_keys *>calloc(1, sizeof(hot_keys))
            if self.keys == NULL:
                return False
        place = hot_count(self.keys, hash)
        if place == HOT_NONE:
            return False
        if place >= self.room and not self.grow(place):
            hot_leave_out(self.keys, place)
            return False
        memset(&self.findings[place], 0, sizeof(HotFindings))
        return True

    cdef bint grow(self, uint32_t place) noexcept:
        """Make room for what is learnt of a key, and of others."""
        cdef uint32_t room = max(self.room, <uint32_t>8)
        while room <= place:
            room *= 2
        if not sample_grow(&self.findings, sizeof(HotFindings), self.room, room):
            return False
        self.room = room
        return True

    cdef void learn(self, const SampledKey *known) noexcept:
        """Take over what is known of a sampled key."""
        cdef uint32_t index, place = hot_find(self.keys, known.hash)
        if place == HOT_NONE:
            return
        self.findings[place].key = known[0]
        for index in range(MOST_LONGER):
            hot_restart(&self.findings[place].paths[index], known.stored_ns)

    cdef void hear(self, const sample_event *event) noexcept nogil:
        """Learn from what happens to an entry, or by a flush to all."""
        cdef uint32_t place, index
        cdef int64_t from_ns, change_ns, life_ns
        cdef HotFindings *found
        cdef bint forgotten
        cdef int changed
        if self.keys == NULL:
            return
        if event.what == SAMPLE_FLUSH:
            for place in range(min(self.keys.in_use, self.room)):
                for index in range(MOST_LONGER):
                    hot_restart(&self.findings[place].paths[index], event.time_ns)
            return
        place = hot_find(self.keys, event.hash)
        if place == HOT_NONE:
            return
        found = &self.findings[place]
        if event.what == SAMPLE_WRITE:
            hear_write(&found.key, event)
        elif event.what == SAMPLE_FORGET:
            hear_forget(&found.key)
            for index in range(MOST_LONGER):
                hot_restart(&found.paths[index], event.time_ns)
        elif event.what == SAMPLE_STORE:
            from_ns = found.key.stored_ns
            change_ns = from_ns + <int64_t>(found.key.written_s * 1e9)
            forgotten = found.key.flags & KEY_FORGOTTEN
            changed = hear_store(&found.key, event)
            found.key.life_ns = max(found.key.life_ns, event.life_ns)
            if changed == 1 and forgotten:
                changed = HOT_UNCHANGED
            elif changed == 1 and change_ns > from_ns:
                changed = HOT_CHANGED_AT
            for index in range(self.longer_count):
                life_ns = self.longer_ns[index]
                if self.server_ttl and found.key.life_ns > 0:
                    life_ns = min(life_ns, found.key.life_ns)
                if changed >= 0:
                    hot_follow(&found.paths[index], life_ns, from_ns, event.time_ns, changed, change_ns)
                elif found.paths[index].begins_ns == 0:
                    hot_restart(&found.paths[index], event.time_ns)
