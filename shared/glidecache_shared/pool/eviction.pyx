"""The policy's order: which entry is evicted next, and which would be evicted last.

*Victims by selection*: exact LRU and LFU from records that workers update without notice.
Why it is exact (architecture decision 3): priorities only grow. A scan fixes a threshold first, then keeps every record
at or below it. Records that it passes over are above the threshold and stay above. Entries stored later join if they
are at or below it. A kept candidate whose record has grown meanwhile goes back at its new priority if that is still
at or below the threshold, else it is dropped. So the smallest candidate that is found unchanged is the smallest of
all records, until none is left. Then the next scan runs.

The threshold is a low quantile of a sample, so one scan over n records yields about n / 64 victims: an eviction
costs some 64 records read in sequence. Choosing it *after* or *during* the scan would let a relevant record pass.

*The hottest entries* are the most accessed under LFU, the most recently accessed under LRU. One pass over the access
records, in sequence, with a small heap of the best so far. The next record has to beat its root. A threshold from a
sample replaces that root until the heap is full. Otherwise records that were stored one after the other, each newer
than the last, would all pass through the heap.
"""

from collections import namedtuple

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memset

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from glidecache_shared.pool.layout cimport (
    GPOOL_BLOCK_RECORDS,
    gpool_cursor_copy,
    gpool_entry_kind,
    gpool_entry_open,
    gpool_found,
    gpool_load_relaxed_u64,
    gpool_place,
    gpool_prefetch,
    gpool_record,
    gpool_record_count,
    gpool_view,
)
from glidecache_shared.pool.memory.access_board cimport Board, Candidate, Priority, before, guarded, lower_first
from glidecache_shared.pool.memory.records cimport NO_RECORD, EntryNote, Records, any_number

cdef enum:
    QUANTILE = 64
    MAX_SAMPLES = 1024
    MIN_SAMPLES = 64
    SLICE_RECORDS = 16 * GPOOL_BLOCK_RECORDS
    # A worker that touches records fast can make candidates grow as fast as they are looked at. After this many in one
    # choice, or this many scans without an unchanged candidate, the smallest one seen is taken as it is.
    MAX_PUSH_BACKS = 4096
    MAX_SCANS = 4
    # After so many candidates in a row that were touched since the scan, the others probably were too: a new scan reads
    # memory in sequence, looking at each of them does not.
    MAX_STALE = 512


cdef inline bint same(Priority left, Priority right) noexcept nogil:
    return left.count == right.count and left.last_access_ns == right.last_access_ns


cdef class VictimSelection:
    """A selection of one pool's victims. `scans` and `push_backs` count its work for the daemon's metrics."""

    def __cinit__(self):
        self.heap = NULL
        self.slice = NULL

    def __dealloc__(self):
        free(self.heap)
        free(self.slice)

    @staticmethod
    cdef VictimSelection create(Board board, Records records):
        cdef VictimSelection self = VictimSelection.__new__(VictimSelection)
        self.board = board
        self.records = records
        self.size = 0
        self.room = 0
        self.random = 0x9E3779B97F4A7C15
        self.slice = <Candidate *>malloc(SLICE_RECORDS * sizeof(Candidate))
        if self.slice == NULL:
            raise MemoryError
        return self

    cdef uint32_t next(self, uint64_t live) noexcept:
        """Return the record of the policy's victim among `live` entries; `NO_RECORD` only when there is none."""
        cdef Candidate candidate
        cdef Priority now
        cdef uint32_t push_backs = 0, scans = 0, stale = 0
        cdef uint32_t smallest
        self.board.merge()
        while True:
            if self.size == 0:
                smallest = self._scan(live)
                scans += 1
                stale = 0
                if smallest == NO_RECORD or self.size == 0 or scans > MAX_SCANS:
                    return smallest
            candidate = self._pop()
            if self.records.notes[candidate.record].granule == 0:
                continue
            now = self.board.priority(candidate.record)
            if same(now, candidate.priority) or push_backs >= MAX_PUSH_BACKS:
                return candidate.record
            stale += 1
            if stale == MAX_STALE:
                self.size = 0
            elif not before(self.threshold, now):
                candidate.priority = now
                if not self._push(candidate):
                    self.size = 0  # no memory for a candidate that counts: scan again
                push_backs += 1
                self.push_backs += 1

    cdef uint32_t prefetch(self) noexcept:
        """Prefetch the records of the next few victims. Return the very next one's, `NO_RECORD` if not known."""
        cdef uint64_t at
        for at in range(min(self.size, <uint64_t>3)):
            gpool_prefetch(&self.records.notes[self.heap[at].record])
            self.board.prefetch(self.heap[at].record)
        return self.heap[0].record if self.size != 0 else NO_RECORD

    cdef void stored(self, uint32_t record) noexcept:
        """Add the entry stored under `record` to the candidates if it is at or below the threshold."""
        cdef Candidate candidate
        if self.size == 0:
            return  # the next scan sees it
        candidate.record = record
        candidate.priority = self.board.priority(record)
        if before(self.threshold, candidate.priority):
            return
        # Records that change hands leave stale candidates behind, which are harmless but take room: start afresh
        # before they outnumber the entries.
        if self.size > 2 * <uint64_t>self.records.count + QUANTILE or not self._push(candidate):
            self.size = 0

    cdef void _choose_threshold(self, uint64_t live) noexcept:
        cdef Priority samples[MAX_SAMPLES]
        cdef uint64_t wanted = min(max(live // 8, <uint64_t>MIN_SAMPLES), <uint64_t>MAX_SAMPLES)
        cdef uint64_t taken = 0, attempts
        cdef uint32_t record
        self.threshold.count = <uint64_t>-1
        self.threshold.last_access_ns = <uint64_t>-1
        if live <= QUANTILE:
            return
        for attempts in range(8 * wanted):
            record = any_number(&self.random, self.records.count)
            if self.records.notes[record].granule == 0:
                continue
            samples[taken] = self.board.priority(record)
            taken += 1
            if taken == wanted:
                break
        if taken < MIN_SAMPLES:
            return  # hardly any record is in use: keep them all
        qsort(samples, taken, sizeof(Priority), lower_first)
        self.threshold = samples[taken // QUANTILE]

    cdef uint32_t _scan(self, uint64_t live) noexcept:
        """Refill the candidates. Return the record that was smallest as it was read, `NO_RECORD` if none is in use."""
        cdef uint32_t first = 0, found, i
        cdef uint64_t at
        self.size = 0
        self.scans += 1
        self._choose_threshold(live)
        while first < self.records.count:
            found = self.board.filter(first, SLICE_RECORDS, self.threshold, self.slice)
            for i in range(found):
                if self._in_use(self.slice[i].record) and not self._append(self.slice[i]):
                    self.size = 0  # no memory for all candidates, so only the smallest record may be used
                    return self._smallest()
            first += SLICE_RECORDS
        if self.size == 0:
            return self._smallest()  # all that was sampled has been touched since
        for at in range(self.size // 2, 0, -1):
            self._sift_down(at - 1, self.heap[at - 1])
        return self.heap[0].record

    cdef uint32_t _smallest(self) noexcept:
        """Return the record that was smallest as it was read, without candidates: the choice when there can be none."""
        cdef Candidate lowest
        cdef uint32_t first = 0, found, i
        lowest.record = NO_RECORD
        lowest.priority.count = <uint64_t>-1
        lowest.priority.last_access_ns = <uint64_t>-1
        while first < self.records.count:
            found = self.board.filter(first, SLICE_RECORDS, lowest.priority, self.slice)
            for i in range(found):
                if self._in_use(self.slice[i].record) and not before(lowest.priority, self.slice[i].priority):
                    lowest = self.slice[i]
            first += SLICE_RECORDS
        return lowest.record

    cdef bint _in_use(self, uint32_t record) noexcept:
        return record < self.records.count and self.records.notes[record].granule != 0

    cdef bint _append(self, Candidate candidate) noexcept:
        """Add a candidate at the heap's end, out of order. False without memory."""
        cdef uint64_t room
        cdef Candidate *grown
        if self.size == self.room:
            room = self.room + self.room // 4 + 64
            grown = <Candidate *>realloc(self.heap, room * sizeof(Candidate))
            if grown == NULL:
                return False
            self.heap = grown
            self.room = room
        self.heap[self.size] = candidate
        self.size += 1
        return True

    cdef bint _push(self, Candidate candidate) noexcept:
        cdef uint64_t at = self.size, parent
        if not self._append(candidate):
            return False
        while at > 0:
            parent = (at - 1) // 2
            if not before(candidate.priority, self.heap[parent].priority):
                break
            self.heap[at] = self.heap[parent]
            at = parent
        self.heap[at] = candidate
        return True

    cdef Candidate _pop(self) noexcept:
        cdef Candidate top = self.heap[0]
        self.size -= 1
        self._sift_down(0, self.heap[self.size])
        return top

    cdef void _sift_down(self, uint64_t at, Candidate candidate) noexcept:
        """Put `candidate` into its place at or below the free place `at`."""
        cdef uint64_t child
        while True:
            child = 2 * at + 1
            if child >= self.size:
                break
            if child + 1 < self.size and before(self.heap[child + 1].priority, self.heap[child].priority):
                child += 1
            if not before(self.heap[child].priority, candidate.priority):
                break
            self.heap[at] = self.heap[child]
            at = child
        self.heap[at] = candidate


# ---- the hottest entries

cdef enum:
    SAMPLES = 1024
    # So many of the sample are above the threshold, so about 1 in 256 of all records: enough to choose from, and few.
    SAMPLES_ABOVE = 4
    # Below this, or if more than a fraction of the records is wanted, the heap alone is quick enough.
    LEAST_RECORDS = 65536
    LEAST_RECORDS_PER_WANTED = 1024

HotEntry = namedtuple("HotEntry", "key key_bytes kind payload_bytes accesses idle_ns")

cdef struct Pass:
    gpool_record *records
    EntryNote *notes
    uint32_t record_count
    uint32_t end
    bint is_lfu
    Priority threshold
    Candidate *heap
    uint32_t size
    uint32_t wanted


cdef list hottest_of(
    gpool_view *view, Board board, Records records, uint32_t wanted, uint32_t most_key_bytes, uint64_t now_ns,
):
    """Return at most `wanted` entries as `HotEntry`, the hottest first; empty if a worker truncated the board."""
    cdef Candidate *heap
    cdef uint32_t found, i
    if wanted == 0 or records.count == 0:
        return []
    board.merge()
    heap = <Candidate *>malloc(<size_t>wanted * sizeof(Candidate))
    if heap == NULL:
        raise MemoryError
    try:
        found = choose(board, records, heap, wanted)
        qsort(heap, found, sizeof(Candidate), hotter_first)
        return [describe(view, board, records, heap[i], most_key_bytes, now_ns) for i in range(found)]
    finally:
        free(heap)


cdef uint32_t choose(Board board, Records records, Candidate *heap, uint32_t wanted) noexcept:
    """Fill the heap. Return the number of its candidates."""
    cdef Pass scan
    scan.records = board.records
    scan.notes = records.notes
    scan.record_count = min(records.count, board.record_count)
    scan.end = (scan.record_count + GPOOL_BLOCK_RECORDS - 1) // GPOOL_BLOCK_RECORDS * GPOOL_BLOCK_RECORDS
    scan.is_lfu = board.is_lfu
    scan.heap = heap
    scan.size = 0
    scan.wanted = wanted
    scan.threshold = sampled_threshold(board, records, wanted)
    if not guarded(look_through, &scan):
        board.faults += 1
        return 0
    if scan.size < wanted and (scan.threshold.last_access_ns != 0 or scan.threshold.count != 0):
        # The sample was unlucky, or few records are in use: look at all of them.
        memset(&scan.threshold, 0, sizeof(Priority))
        scan.size = 0
        if not guarded(look_through, &scan):
            board.faults += 1
            return 0
    return scan.size


cdef Priority sampled_threshold(Board board, Records records, uint32_t wanted) noexcept:
    """Return a priority that about one record in 256 exceeds; zero if that might be fewer than are wanted."""
    cdef Priority samples[SAMPLES]
    cdef Priority none
    cdef uint64_t random = 0x9E3779B97F4A7C15
    cdef uint32_t taken = 0, attempts, record
    memset(&none, 0, sizeof(Priority))
    if records.count < LEAST_RECORDS or records.count // LEAST_RECORDS_PER_WANTED < wanted:
        return none
    for attempts in range(4 * SAMPLES):
        record = any_number(&random, records.count)
        if records.notes[record].granule == 0:
            continue
        samples[taken] = board.priority(record)
        taken += 1
        if taken == SAMPLES:
            qsort(samples, SAMPLES, sizeof(Priority), lower_first)
            return samples[SAMPLES - SAMPLES_ABOVE]
    return none


cdef void look_through(void *argument) noexcept nogil:
    cdef Pass *scan = <Pass *>argument
    cdef Candidate candidate
    cdef Priority bar = scan.threshold
    cdef uint32_t place
    candidate.priority.count = 0
    for place in range(scan.end):
        candidate.priority.last_access_ns = gpool_load_relaxed_u64(&scan.records[place].last_access_ns)
        if scan.is_lfu:
            candidate.priority.count = gpool_record_count(
                gpool_load_relaxed_u64(&scan.records[place].tag_count))
        if before(candidate.priority, bar) or (scan.size == scan.wanted and not before(bar, candidate.priority)):
            continue
        candidate.record = gpool_place(place)  # its own inverse
        if candidate.record >= scan.record_count or scan.notes[candidate.record].granule == 0:
            continue
        keep(scan, candidate)
        if scan.size == scan.wanted:
            bar = scan.heap[0].priority


cdef void keep(Pass *scan, Candidate candidate) noexcept nogil:
    """Put a candidate into the heap, whose root is the lowest; a full heap loses its root."""
    cdef uint32_t at, parent, child
    if scan.size < scan.wanted:
        at = scan.size
        scan.size += 1
        while at > 0:
            parent = (at - 1) // 2
            if not before(candidate.priority, scan.heap[parent].priority):
                break
            scan.heap[at] = scan.heap[parent]
            at = parent
        scan.heap[at] = candidate
        return
    at = 0
    while True:
        child = 2 * at + 1
        if child >= scan.size:
            break
        if child + 1 < scan.size and before(scan.heap[child + 1].priority, scan.heap[child].priority):
            child += 1
        if not before(scan.heap[child].priority, candidate.priority):
            break
        scan.heap[at] = scan.heap[child]
        at = child
    scan.heap[at] = candidate


cdef int hotter_first(const void *left, const void *right) noexcept nogil:
    return lower_first(&(<Candidate *>right).priority, &(<Candidate *>left).priority)


cdef object describe(
    gpool_view *view, Board board, Records records, Candidate candidate, uint32_t most_key_bytes, uint64_t now_ns,
):
    """Return one entry for the operator: a long key's beginning, the payload's length. None if it is damaged."""
    cdef gpool_found found
    cdef bytes key
    cdef uint32_t shown
    if not gpool_entry_open(view, records.notes[candidate.record].granule, &found.entry, &found.payload):
        view.damaged = True
        return None
    shown = min(found.entry.key_bytes, most_key_bytes)
    key = PyBytes_FromStringAndSize(NULL, shown)
    if not gpool_cursor_copy(view, &found.payload, <uint8_t *>PyBytes_AS_STRING(key), shown):
        view.damaged = True
    return HotEntry(
        key,
        found.entry.key_bytes,
        gpool_entry_kind(&found.entry),
        found.entry.payload_bytes,
        candidate.priority.count if board.is_lfu else None,
        now_ns - min(now_ns, candidate.priority.last_access_ns),
    )
