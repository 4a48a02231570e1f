"""The sample ring from the daemon's side: it publishes how far workers may write, and takes what they have left.

The board is writable for workers, so nothing that is read here is trusted: work is bounded by the ring's length, each
access is guarded against a truncated file, and what a sample says is for the caller to judge. A position that was taken
and not written is looked at once more with the next call: its worker may be about to write. Then it is lost, and counted.
"""

from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.files.mapping cimport MappedFile
from glidecache_shared.pool.layout cimport (
    gpool_header,
    gpool_load_acquire_u64,
    gpool_load_relaxed_u64,
    gpool_ring_at,
    gpool_ring_bytes,
    gpool_ring_offset,
    gpool_sample,
    gpool_store_relaxed_u64,
    gpool_store_release_u64,
)
from glidecache_shared.pool.memory.access_board cimport guarded

cdef extern from "<fcntl.h>" nogil:
    int posix_fallocate(int descriptor, long offset, long length)
    int fallocate(int descriptor, int mode, long offset, long length)
    const int FALLOC_FL_KEEP_SIZE
    const int FALLOC_FL_PUNCH_HOLE

cdef extern from *:
    # The positions that a worker cannot reach by additions: beyond them, somebody has written another number.
    const uint64_t FARTHEST "(UINT64_C(1) << 62)"
    const uint64_t LONGEST_STEP "(UINT64_C(1) << 40)"
    const uint64_t ALL_KEYS "(UINT64_C(1) << 32)"


cdef struct RingWork:
    SampleRingParts *parts
    gpool_sample *into
    uint32_t found

cdef struct SampleRingParts:
    # What `take_samples` reads and changes, in C.
    gpool_sample *samples
    uint64_t *next
    uint64_t mask
    uint64_t end
    uint64_t taken
    uint64_t lost
    uint64_t *empty
    int empty_count
    bint disturbed


cdef inline bint take_one(SampleRingParts *parts, uint64_t position, gpool_sample *into) noexcept nogil:
    """Copy the sample at a position, if it is written."""
    cdef gpool_sample *sample = &parts.samples[position & parts.mask]
    if gpool_load_acquire_u64(&sample.position) != position + 1:  # pairs with the release in gpool_leave
        return False
    into.position = position
    into.hash = gpool_load_relaxed_u64(&sample.hash)
    into.event = gpool_load_relaxed_u64(&sample.event)
    return True


cdef void take_samples(void *argument) noexcept nogil:
    cdef RingWork *work = <RingWork *>argument
    cdef SampleRingParts *parts = work.parts
    cdef uint64_t next = gpool_load_relaxed_u64(parts.next)
    cdef uint64_t position, end
    cdef int i
    for i in range(parts.empty_count):
        if take_one(parts, parts.empty[i], &work.into[work.found]):
            work.found += 1
        else:
            parts.lost += 1
    parts.empty_count = 0
    if next < parts.taken or next - parts.taken > LONGEST_STEP:
        # No addition did that. What was written meanwhile is given up, and the positions go on from here.
        parts.disturbed = True
        gpool_store_relaxed_u64(parts.next, parts.taken)
        return
    end = min(next, max(parts.end, parts.taken))
    for position in range(parts.taken, end):
        if take_one(parts, position, &work.into[work.found]):
            work.found += 1
        elif parts.empty_count < MOST_EMPTY:
            parts.empty[parts.empty_count] = position
            parts.empty_count += 1
        else:
            parts.lost += 1
    parts.lost += next - end  # taken beyond the end, so not written
    parts.taken = next


cdef void read_next(void *argument) noexcept nogil:
    cdef SampleRingParts *parts = <SampleRingParts *>argument
    parts.taken = gpool_load_relaxed_u64(parts.next)


cdef void clear_samples(void *argument) noexcept nogil:
    """Forget what an earlier daemon's workers left: a head that is out of reach begins again."""
    cdef SampleRingParts *parts = <SampleRingParts *>argument
    cdef uint64_t place
    for place in range(parts.mask + 1):
        gpool_store_relaxed_u64(&parts.samples[place].position, 0)
    gpool_store_relaxed_u64(parts.next, 0)
    parts.taken = 0


cdef class SampleRing:
    """The ring of one generation's board. Workers write nothing before `begin` and `publish`, and after `stop`."""

    @staticmethod
    cdef SampleRing create(MappedFile file, gpool_header *header):
        """Take a ring over, or one that no worker has written to: nothing is sampled until it is published."""
        cdef SampleRing self = SampleRing.__new__(SampleRing)
        self.file = file
        self.header = header
        self.max_records = header.max_records
        self.view = gpool_ring_at(file.base, header.max_records)
        self.stop()
        return self

    cdef uint32_t capacity(self) noexcept:
        return <uint32_t>self.view.mask + 1

    cdef bint begin(self) noexcept:
        """Put memory behind the ring, and begin where its workers are. False when the file system refuses it."""
        cdef SampleRingParts parts
        if self.has_memory:
            return True
        if not self.mend():
            return False
        parts.samples = self.view.samples
        parts.next = &self.view.head.next
        parts.mask = self.view.mask
        if not guarded(read_next, &parts):
            self.faults += 1
            return False
        if parts.taken > FARTHEST and not guarded(clear_samples, &parts):
            self.faults += 1
            return False
        self.taken = parts.taken
        self.empty_count = 0
        self.has_memory = True
        return True

    cdef bint mend(self) noexcept:
        """Put memory behind the ring, also where a worker has truncated the board."""
        return posix_fallocate(
            self.file.descriptor, gpool_ring_offset(self.max_records), gpool_ring_bytes(self.max_records)) == 0

    cdef bint has_news(self) noexcept:
        """Return whether a look is worth it: positions were taken, or some are still empty."""
        cdef SampleRingParts parts
        if not self.has_memory:
            return False
        parts.next = &self.view.head.next
        if not guarded(read_next, &parts):
            self.faults += 1
            return False
        return parts.taken != self.taken or self.empty_count != 0

    cdef bint is_used_up(self) noexcept:
        """Return whether the positions that hits might take were taken when it was last looked at."""
        return self.taken >= self.header.sample_until

    cdef uint32_t take(self, gpool_sample *into) noexcept:
        """Copy what has been left since the last call, the oldest position first; `into` has room for `capacity` and MOST_EMPTY.

        Returns how many. The `position` of each is its position.
        """
        cdef SampleRingParts parts
        cdef RingWork work
        if not self.has_memory:
            return 0
        parts.samples = self.view.samples
        parts.next = &self.view.head.next
        parts.mask = self.view.mask
        parts.end = self.header.ring_end
        parts.taken = self.taken
        parts.lost = 0
        parts.empty = self.empty
        parts.empty_count = self.empty_count
        parts.disturbed = False
        work.parts = &parts
        work.into = into
        work.found = 0
        if not guarded(take_samples, &work):
            self.faults += 1
            self.empty_count = 0
            return 0
        if parts.disturbed:
            self.faults += 1
        self.taken = parts.taken
        self.lost += parts.lost
        self.empty_count = parts.empty_count
        return work.found

    cdef uint64_t publish(self, uint64_t threshold, uint64_t allowance, uint64_t survey) noexcept:
        """Let hits on keys below the threshold leave so many samples, and writes as many as there is room for.

        The next `survey` of them may be of all keys. Returns the position that ends the survey; 0 without one.
        """
        cdef uint64_t first = self.empty[0] if self.empty_count else self.taken
        cdef uint64_t end = first + self.view.mask + 1
        # A quarter is left to writes, which have no windows.
        cdef uint64_t until = self.taken + min(allowance, (self.view.mask + 1) // 4 * 3)
        cdef uint64_t survey_until = 0
        cdef SampleRingParts parts
        if not self.has_memory:
            return 0
        if threshold == 0:
            until = 0
        else:
            until = min(until, end)
            parts.next = &self.view.head.next
            if survey != 0 and guarded(read_next, &parts) and parts.taken <= end:
                survey_until = min(parts.taken + survey, until)
        # The words are in a line that every lookup reads: written only where they change.
        if self.header.ring_end != end:
            gpool_store_release_u64(&self.header.ring_end, end)
        if self.header.sample_until != until:
            gpool_store_relaxed_u64(&self.header.sample_until, until)
        if self.header.sampled_below != threshold:
            gpool_store_relaxed_u64(&self.header.sampled_below, threshold)
        if self.header.survey_until != survey_until:
            gpool_store_relaxed_u64(&self.header.survey_until, survey_until)
        if survey_until != 0:
            threshold = ALL_KEYS
        if self.header.sample_threshold != threshold:
            gpool_store_release_u64(&self.header.sample_threshold, threshold)
        return survey_until

    cdef void stop(self) noexcept:
        """Let nothing be left any more. The memory stays: a worker that has taken its position may be about to write."""
        gpool_store_release_u64(&self.header.sample_threshold, 0)
        gpool_store_relaxed_u64(&self.header.sample_until, 0)
        gpool_store_relaxed_u64(&self.header.sampled_below, 0)
        gpool_store_relaxed_u64(&self.header.survey_until, 0)
        gpool_store_relaxed_u64(&self.header.ring_end, 0)
        self.has_memory = False
