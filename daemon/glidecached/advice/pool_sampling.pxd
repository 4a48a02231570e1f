# The sampling of one pool's traffic: see pool_sampling.pyi.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from glidecached.advice.event_list cimport EventList
from glidecached.advice.sample_event cimport sample_event
from glidecached.advice.sample_sources cimport SampleSources


cdef class PoolSampling(SampleSources):
    cdef tuple pool
    # Low 32 bits of hashes below these are sampled: of lookups, while a window is open; of all that changes entries.
    cdef uint64_t lookups_below
    cdef uint64_t changes_below
    # What the daemon saw itself and what workers left, since the last turn; then both in the order of time.
    cdef EventList own
    cdef Py_ssize_t fed
    cdef Py_ssize_t put_count  # events of `left` that are merged already
    # Windows
    cdef int64_t closed_ns
    cdef int64_t refilled_ns
    cdef uint64_t lost_before
    # Surveys
    cdef int64_t next_survey_ns
    cdef uint64_t surveyed_before
    cdef readonly bint ended

    cdef inline bint heeds(self, uint32_t key_hash) noexcept:
        """Return whether stores of a key and writes to it are noted."""
        return self.changes_below != 0 and self.sample.heeds(key_hash)

    cdef uint64_t whole_hash(self, bytes key) noexcept
    cdef sample_event *add(self, EventList *events) noexcept
    cdef void looked_up(self, bytes key, uint32_t kind, bint hit, int64_t now_ns) noexcept
    cdef int looked_up_many(self, list keys, bytes hashes, list values, uint32_t kind) except -1
    cdef tuple forget_below(self, bytes prefix, uint32_t above, uint32_t count)
    cdef int stored(self, bytes key, uint32_t kind, object value, int64_t life_ns, int64_t now_ns) except -1
    cdef void change(self, uint32_t what, uint64_t hash, int64_t now_ns) noexcept
    cdef int forgetting(self) except -1
    cdef void forgot(self, bytes key, bint removed, int64_t now_ns) noexcept
    cdef int written(self, bytes key) except -1
    cdef int begin(self) except -1
    cdef int merge(self, int64_t now_ns) except -1
    cdef void append(self, const sample_event *event) noexcept
    cdef int feed(self, int64_t until_ns) except -1
    cdef bint introduce(self, const sample_event *hit) except -1
    cdef int interleave(self) except -1
    cdef int end_window(self, int64_t ends_ns, int64_t now_ns) except -1
    cdef void mark(self, uint32_t what, int64_t time_ns) noexcept
    cdef void publish(self) noexcept
