# cython: freethreading_compatible=True
"""Victims by selection: exact LRU and LFU from records that workers update without telling anyone.

Why it is exact (architecture decision 3). Priorities only grow. A scan fixes a threshold first, then keeps every record
that is at or below it; what it passes over is above the threshold and stays above. Entries stored later join if they are
at or below it. A kept candidate whose record has grown meanwhile goes back at its new priority if that is still
at or below the threshold, else it is dropped. So the smallest candidate that is found unchanged is the smallest of all
records, until none is left; then the next scan runs.

The threshold is a low quantile of a sample, so one scan over n records yields about n / 64 victims: an eviction
costs some 64 records read in sequence. Choosing it *after* or *during* the scan would let a record pass that later counts.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc

from glidecache_shared.pool.board cimport Board, Priority, before
from glidecache_shared.pool.layout cimport GC_BLOCK_RECORDS, GC_COUNT_MASK, gc_place, gc_record
from glidecache_shared.pool.records cimport NO_RECORD, Records

cdef enum:
    QUANTILE = 64
    MAX_SAMPLES = 1024
    MIN_SAMPLES = 64
    SLICE_RECORDS = 16 * GC_BLOCK_RECORDS
    # A toucher who hammers the board can make candidates grow as fast as they are looked at. After this many in one
    # choice, or this many scans without an unchanged candidate, the smallest one seen is taken as it is.
    MAX_PUSH_BACKS = 4096
    MAX_SCANS = 4
    # After so many candidates in a row that were touched since the scan, the others probably were too: a new scan reads
    # memory in sequence, looking at each of them does not.
    MAX_STALE = 512


cdef int compare(const void *left, const void *right) noexcept nogil:
    cdef Priority *a = <Priority *>left
    cdef Priority *b = <Priority *>right
    return -1 if before(a[0], b[0]) else (1 if before(b[0], a[0]) else 0)


cdef inline bint same(Priority left, Priority right) noexcept nogil:
    return left.count == right.count and left.last_access_ns == right.last_access_ns


cdef inline Priority priority_of(const gc_record *record, bint counts) noexcept nogil:
    cdef Priority priority
    priority.count = record.tag_count & GC_COUNT_MASK if counts else 0
    priority.last_access_ns = record.last_access_ns
    return priority


cdef class VictimSelection:
    """Chooses one pool's victims. `scans` and `push_backs` count its work for the daemon's metrics."""

    def __cinit__(self):
        self.heap = NULL
        self.slice = NULL

    def __dealloc__(self):
        free(self.heap)
        free(self.slice)

    @staticmethod
    cdef VictimSelection over(Board board, Records records):
        cdef VictimSelection self = VictimSelection.__new__(VictimSelection)
        self.board = board
        self.records = records
        self.size = 0
        self.room = 0
        self.random = 0x9E3779B97F4A7C15
        self.slice = <gc_record *>malloc(SLICE_RECORDS * sizeof(gc_record))
        if self.slice == NULL:
            raise MemoryError
        return self

    cdef uint32_t next(self, uint64_t live) noexcept:
        """The record of the policy's victim among `live` entries; `NO_RECORD` only when there is none."""
        cdef Candidate candidate
        cdef Priority now
        cdef uint32_t push_backs = 0, scans = 0, stale = 0
        cdef uint32_t smallest
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
                if not self._push(now, candidate.record):
                    self.size = 0  # no memory for a candidate that counts: scan again
                push_backs += 1
                self.push_backs += 1

    cdef void stored(self, uint32_t record) noexcept:
        """An entry was stored under `record`: it joins the candidates if it is at or below the threshold."""
        cdef Priority priority
        if self.size == 0:
            return  # the next scan sees it
        priority = self.board.priority(record)
        if before(self.threshold, priority):
            return
        # Records that change hands leave stale candidates behind, which are harmless but take room: start afresh
        # before they outnumber the entries.
        if self.size > 2 * <uint64_t>self.records.count + QUANTILE or not self._push(priority, record):
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
            self.random ^= self.random << 13
            self.random ^= self.random >> 7
            self.random ^= self.random << 17
            record = <uint32_t>((self.random >> 32) * self.records.count >> 32)
            if self.records.notes[record].granule == 0:
                continue
            samples[taken] = self.board.priority(record)
            taken += 1
            if taken == wanted:
                break
        if taken < MIN_SAMPLES:
            return  # hardly any record is in use: keep them all
        qsort(samples, taken, sizeof(Priority), compare)
        self.threshold = samples[taken // QUANTILE]

    cdef uint32_t _scan(self, uint64_t live) noexcept:
        """Refill the candidates; returns the record that was smallest as it was read, `NO_RECORD` when none is in use."""
        cdef uint32_t smallest = NO_RECORD
        cdef uint32_t first = 0, count, i, record
        cdef uint64_t places = (<uint64_t>self.records.count + GC_BLOCK_RECORDS - 1) // GC_BLOCK_RECORDS * GC_BLOCK_RECORDS
        cdef Priority priority, lowest, threshold
        cdef bint counts = self.board.counts
        cdef bint complete = True
        lowest.count = <uint64_t>-1
        lowest.last_access_ns = <uint64_t>-1
        self.size = 0
        self.scans += 1
        self._choose_threshold(live)
        threshold = self.threshold
        while first < places:
            count = <uint32_t>min(places - first, <uint64_t>SLICE_RECORDS)
            self.board.copy(first, count, self.slice)
            for i in range(count):
                priority = priority_of(&self.slice[i], counts)
                if before(threshold, priority) and not before(priority, lowest):
                    continue  # most records: nothing but the board is read for them
                record = gc_place(first + i)  # its own inverse: the number of the record at this place
                if record >= self.records.count or self.records.notes[record].granule == 0:
                    continue
                if smallest == NO_RECORD or before(priority, lowest):
                    smallest = record
                    lowest = priority
                if complete and not before(threshold, priority):
                    complete = self._push(priority, record)
            first += count
        if not complete:
            self.size = 0  # no memory for all candidates, so only the smallest record seen may be used
        return smallest

    cdef bint _push(self, Priority priority, uint32_t record) noexcept:
        cdef uint64_t at = self.size, parent, room
        cdef Candidate *grown
        if self.size == self.room:
            room = self.room + self.room // 4 + 64
            grown = <Candidate *>realloc(self.heap, room * sizeof(Candidate))
            if grown == NULL:
                return False
            self.heap = grown
            self.room = room
        self.size += 1
        while at > 0:
            parent = (at - 1) // 2
            if not before(priority, self.heap[parent].priority):
                break
            self.heap[at] = self.heap[parent]
            at = parent
        self.heap[at].priority = priority
        self.heap[at].record = record
        return True

    cdef Candidate _pop(self) noexcept:
        cdef Candidate top = self.heap[0]
        cdef Candidate last
        cdef uint64_t at = 0, child
        self.size -= 1
        last = self.heap[self.size]
        while True:
            child = 2 * at + 1
            if child >= self.size:
                break
            if child + 1 < self.size and before(self.heap[child + 1].priority, self.heap[child].priority):
                child += 1
            if not before(self.heap[child].priority, last.priority):
                break
            self.heap[at] = self.heap[child]
            at = child
        self.heap[at] = last
        return top
