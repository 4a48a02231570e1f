"""The access board from the daemon's side: every access is guarded, because workers could have truncated the file.

A fault reads as zero and is counted. Recency is then spoiled for that pool, values never (architecture decision 12).
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from glidecache_shared.pool.layout cimport (
    GPOOL_BLOCK_RECORDS,
    GPOOL_BOARD_HEADER_BYTES,
    GPOOL_PENDING,
    GPOOL_RECORD_BYTES,
    GPOOL_SHARDS,
    gpool_load_acquire_u64,
    gpool_load_relaxed_u64,
    gpool_load_strict_u64,
    gpool_owner_record,
    gpool_owner_tag,
    gpool_pending,
    gpool_place,
    gpool_prefetch,
    gpool_record,
    gpool_record_count,
    gpool_record_tag,
    gpool_shard,
    gpool_store_relaxed_u64,
    gpool_store_strict_u64,
    gpool_tag_count,
    gpool_touch,
    gpool_touch_time,
)
from glidecache_shared.pool.files.mapping cimport MappedFile, Region

from posix.stat cimport fstat, struct_stat

from cpython.exc cimport PyErr_SetFromErrno

cdef extern from "guard.h" nogil:
    int gpool_guard_install()
    bint gpool_guarded(void (*work)(void *) noexcept nogil, void *argument)

cdef extern from "<fcntl.h>" nogil:
    int posix_fallocate(int descriptor, long offset, long length)

cdef extern from "<unistd.h>" nogil:
    int ftruncate(int descriptor, long length)

cdef enum:
    PAGE_BYTES = 4096


cdef int lower_first(const void *left, const void *right) noexcept nogil:
    """Compare two priorities, for `qsort`."""
    cdef Priority *a = <Priority *>left
    cdef Priority *b = <Priority *>right
    return -1 if before(a[0], b[0]) else (1 if before(b[0], a[0]) else 0)


cdef struct RecordWork:
    gpool_record *record
    uint64_t last_access_ns
    uint64_t tag_count
    uint32_t tag
    bint is_lfu

cdef struct FilterWork:
    gpool_record *records
    uint32_t first
    uint32_t end
    bint is_lfu
    Priority threshold
    Candidate *found
    uint32_t found_count

cdef struct MergeWork:
    gpool_shard *shards
    gpool_record *records
    uint32_t record_count
    uint64_t idle_since_ns
    # How many claims had been made when all shards were last looked at, and how many owners there were.
    uint64_t claims
    uint32_t owners

cdef struct HitsWork:
    gpool_shard *shards
    uint64_t total


cdef bint guarded(void (*work)(void *) noexcept nogil, void *argument) noexcept:
    """Run `work(argument)`; false when it touched memory that its file does not have. Once there is a `Board`."""
    return gpool_guarded(work, argument)


cdef void do_reset(void *argument) noexcept nogil:
    # The tag first: a late reader of the record's last owner then no longer finds its own.
    cdef RecordWork *work = <RecordWork *>argument
    gpool_store_relaxed_u64(&work.record.tag_count, work.tag_count)
    gpool_store_relaxed_u64(&work.record.last_access_ns, work.last_access_ns)


cdef void do_touch(void *argument) noexcept nogil:
    cdef RecordWork *work = <RecordWork *>argument
    gpool_touch(work.record, work.tag, work.last_access_ns, work.is_lfu)


cdef void do_read(void *argument) noexcept nogil:
    cdef RecordWork *work = <RecordWork *>argument
    work.tag_count = gpool_load_relaxed_u64(&work.record.tag_count)
    work.last_access_ns = gpool_load_relaxed_u64(&work.record.last_access_ns)


cdef void do_filter(void *argument) noexcept nogil:
    cdef FilterWork *work = <FilterWork *>argument
    cdef Priority threshold = work.threshold, priority
    cdef uint32_t place
    priority.count = 0
    for place in range(work.first, work.end):
        priority.last_access_ns = gpool_load_relaxed_u64(&work.records[place].last_access_ns)
        if work.is_lfu:
            priority.count = gpool_record_count(
                gpool_load_relaxed_u64(&work.records[place].tag_count))
        # `before(threshold, priority)` in one jump: nearly every record is above, for either reason.
        if not ((threshold.count < priority.count) | (
            (threshold.count == priority.count) & (threshold.last_access_ns < priority.last_access_ns)
        )):
            work.found[work.found_count].priority = priority
            work.found[work.found_count].record = gpool_place(place)  # its own inverse
            work.found_count += 1


cdef void do_merge(void *argument) noexcept nogil:
    cdef MergeWork *work = <MergeWork *>argument
    cdef gpool_pending *pending
    cdef gpool_record *record
    cdef uint64_t owner, time_ns
    cdef uint64_t claims = gpool_load_strict_u64(&work.shards.claims)
    cdef bint known
    cdef int shard, i
    if claims == work.claims and work.owners == 0 and work.idle_since_ns == 0:
        return  # as nearly always, and this runs before each eviction
    work.claims = claims
    work.owners = 0
    for shard in range(GPOOL_SHARDS):
        for i in range(GPOOL_PENDING):
            pending = &work.shards[shard].pending[i]
            # Its owner is read first: only the daemon takes it away, so the time is this owner's.
            owner = gpool_load_acquire_u64(&pending.owner)
            if owner == 0:
                continue
            time_ns = gpool_load_relaxed_u64(&pending.time_ns)
            record = NULL
            if gpool_owner_record(owner) < work.record_count:
                record = &work.records[gpool_place(gpool_owner_record(owner))]
            known = record != NULL and (
                gpool_record_tag(gpool_load_relaxed_u64(&record.tag_count)) == gpool_owner_tag(owner))
            if known:
                gpool_touch_time(record, time_ns)
            if not known or time_ns < work.idle_since_ns:
                # Pairs with the second look in gpool_touch_pending.
                gpool_store_strict_u64(&pending.owner, 0)
                time_ns = gpool_load_strict_u64(&pending.time_ns)
                if known:
                    gpool_touch_time(record, time_ns)
            else:
                work.owners += 1


cdef void do_sum_hits(void *argument) noexcept nogil:
    cdef HitsWork *work = <HitsWork *>argument
    cdef int i
    for i in range(GPOOL_SHARDS):
        work.total += gpool_load_relaxed_u64(&work.shards[i].hits)


cdef class Board:
    """One pool's access records and hit counters. `is_lfu`: the policy is LFU, which uses access counts."""

    @staticmethod
    cdef Board create(MappedFile file, uint32_t max_records, bint is_lfu):
        cdef Board self = Board.__new__(Board)
        if gpool_guard_install() != 0:
            PyErr_SetFromErrno(OSError)
        self.file = file
        self.region = Region(file, GPOOL_BOARD_HEADER_BYTES, <uint64_t>max_records * GPOOL_RECORD_BYTES)
        self.records = <gpool_record *>(file.base + GPOOL_BOARD_HEADER_BYTES)
        self.max_records = max_records
        self.record_count = 0
        self.is_lfu = is_lfu
        self.faults = 0
        self.claims = 0
        self.owners = 1  # not known: an earlier daemon's readers may have left some
        return self

    cdef bint resume(self, uint32_t records) noexcept:
        """Take over the first `records` records of an earlier daemon; false when the file system refuses memory."""
        if not self.region.resume(<uint64_t>records * GPOOL_RECORD_BYTES):
            return False
        self.record_count = min(<uint64_t>self.max_records, self.region.bytes // GPOOL_RECORD_BYTES)
        return True

    cdef uint64_t read(self, uint32_t record) noexcept:
        """Return a record's tag and count, as one word."""
        cdef RecordWork work
        work.record = &self.records[gpool_place(record)]
        if not gpool_guarded(do_read, &work):
            self.faults += 1
            return 0
        return work.tag_count

    cdef bint cover(self, uint32_t records) noexcept:
        """Put memory behind the first `records` records; False when the file system or the bound refuses."""
        if records > self.max_records or not self.region.ensure(<uint64_t>records * GPOOL_RECORD_BYTES):
            return False
        self.record_count = min(<uint64_t>self.max_records, self.region.bytes // GPOOL_RECORD_BYTES)
        return True

    cdef void reset(self, uint32_t record, uint32_t tag, uint64_t now_ns) noexcept:
        """Give a record to a new entry: storing is the first access (contract C11)."""
        cdef RecordWork work
        work.record = &self.records[gpool_place(record)]
        work.tag_count = gpool_tag_count(tag, 1)
        work.last_access_ns = now_ns
        if not gpool_guarded(do_reset, &work):
            self.faults += 1

    cdef void touch(self, uint32_t record, uint32_t tag, uint64_t now_ns) noexcept:
        """Count a hit that the daemon answered."""
        cdef RecordWork work
        work.record = &self.records[gpool_place(record)]
        work.tag = tag
        work.last_access_ns = now_ns
        work.is_lfu = self.is_lfu
        if not gpool_guarded(do_touch, &work):
            self.faults += 1

    cdef void move(self, uint32_t source, uint32_t target, uint32_t tag) noexcept:
        """Copy the access data of one record to another, under the other's tag."""
        cdef RecordWork work
        work.record = &self.records[gpool_place(source)]
        if gpool_guarded(do_read, &work):
            work.record = &self.records[gpool_place(target)]
            work.tag_count = gpool_tag_count(tag, gpool_record_count(work.tag_count))
            if gpool_guarded(do_reset, &work):
                return
        self.faults += 1

    cdef void shrink(self, uint32_t records) noexcept:
        """Keep the memory of the first `records` records, beyond which no reader goes any more."""
        cdef uint64_t length = (<uint64_t>records * GPOOL_RECORD_BYTES + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES
        self.region.shrink(length)
        self.record_count = min(<uint64_t>self.max_records, self.region.bytes // GPOOL_RECORD_BYTES)

    cdef void prefetch(self, uint32_t record) noexcept:
        gpool_prefetch(&self.records[gpool_place(record)])

    cdef Priority priority(self, uint32_t record) noexcept:
        """Return a record's present priority."""
        cdef Priority result
        cdef RecordWork work
        work.record = &self.records[gpool_place(record)]
        if not gpool_guarded(do_read, &work):
            self.faults += 1
            memset(&result, 0, sizeof(result))
            return result
        result.count = gpool_record_count(work.tag_count) if self.is_lfu else 0
        result.last_access_ns = work.last_access_ns
        return result

    cdef uint32_t filter(self, uint32_t first, uint32_t count, Priority threshold, Candidate *found) noexcept:
        """Read the records at `count` places from `first` on; put those at or below `threshold`, numbered, in `found`.

        Returns how many: in use or not. A shorter file counts as a fault and reads as zeros.
        """
        cdef FilterWork work
        cdef uint32_t place
        work.records = self.records
        work.first = first
        # Memory comes in whole pages, so in whole blocks.
        work.end = min(
            first + count,
            (self.record_count + GPOOL_BLOCK_RECORDS - 1) // GPOOL_BLOCK_RECORDS * GPOOL_BLOCK_RECORDS)
        work.is_lfu = self.is_lfu
        work.threshold = threshold
        work.found = found
        work.found_count = 0
        if gpool_guarded(do_filter, &work):
            return work.found_count
        self.faults += 1
        for place in range(work.first, work.end):
            memset(&found[place - first], 0, sizeof(Candidate))
            found[place - first].record = gpool_place(place)
        return work.end - work.first

    cdef bint keep_length(self) noexcept:
        """Cut a file that was lengthened, whose extra memory is of no use. Return False when it was truncated, perhaps
        behind the records in use: new readers refuse it then."""
        cdef struct_stat status
        if fstat(self.file.descriptor, &status) != 0:
            return True
        if <uint64_t>status.st_size > self.file.bytes:
            ftruncate(self.file.descriptor, self.file.bytes)  # the next heartbeat tries again
        return <uint64_t>status.st_size >= self.file.bytes

    cdef bint mend(self) noexcept:
        """Give a truncated file its length and memory back, records as zeros. False when the file system refuses."""
        cdef uint64_t present = self.region.bytes
        if ftruncate(self.file.descriptor, self.file.bytes) != 0:
            return False
        return posix_fallocate(self.file.descriptor, 0, GPOOL_BOARD_HEADER_BYTES + present) == 0

    cdef void merge(self, uint64_t idle_since_ns=0) noexcept:
        """Bring the pending touches of hot records into the records; take those away that have been idle for so long.

        Must run before records are compared, moved or copied. Touches later than that count from the next time on. With
        `idle_since_ns` it looks at all of them: also at one whose claim a killed process did not count.
        """
        cdef MergeWork work
        if self.is_lfu:
            return
        work.shards = <gpool_shard *>self.file.base
        work.records = self.records
        work.record_count = self.record_count
        work.idle_since_ns = idle_since_ns
        work.claims = self.claims
        work.owners = self.owners
        if not gpool_guarded(do_merge, &work):
            return  # the access that follows finds the board shorter, too, and counts it
        self.claims = work.claims
        self.owners = work.owners

    cdef uint64_t hits(self) noexcept:
        """Return the hits that readers counted, over all shards (contract C13)."""
        cdef HitsWork work
        work.shards = <gpool_shard *>self.file.base
        work.total = 0
        if not gpool_guarded(do_sum_hits, &work):
            self.faults += 1
        return work.total


cdef class LateHits:
    """Hits on the previous generation's board, by readers that were in a lookup when it was retired.

    There are none after `until_ns`, a grace after the change. `counted` hits were taken over.
    """

    @staticmethod
    cdef LateHits create(Board board, uint64_t until_ns):
        cdef LateHits self = LateHits.__new__(LateHits)
        self.board = board
        self.until_ns = until_ns
        self.counted = board.hits()
        return self

    cdef uint64_t count_new(self) noexcept:
        """Return how many hits have come since the last count. (None if a worker truncated that board meanwhile.)"""
        cdef uint64_t hits = self.board.hits()
        cdef uint64_t late = hits - self.counted if hits > self.counted else 0
        self.counted += late
        return late
