"""The entries that would be evicted last: the most accessed under LFU, the most recently accessed under LRU.

One pass over the access records, in sequence, with a small heap of the best so far. The next record has to beat its
root. A threshold from a sample replaces that root until the heap is full. Otherwise records that were stored one
after the other, each newer than the last, would all pass through the heap.
"""

from collections import namedtuple

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memset

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from glidecache_shared.pool.memory.access_board cimport Board, Candidate, Priority, before, guarded, lower_first
from glidecache_shared.pool.layout cimport (
    GPOOL_BLOCK_RECORDS,
    GPOOL_COUNT_MASK,
    gpool_cursor_copy,
    gpool_entry_open,
    gpool_found,
    gpool_load_relaxed_u64,
    gpool_place,
    gpool_record,
)
from glidecache_shared.pool.memory.records cimport EntryNote, Records, any_number
from glidecache_shared.pool.generation cimport PoolGeneration

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
    bint counts
    Priority threshold
    Candidate *heap
    uint32_t size
    uint32_t wanted


cdef list hottest_of(PoolGeneration store, uint32_t wanted, uint32_t most_key_bytes, uint64_t now_ns):
    """Return at most `wanted` entries as `HotEntry`, the hottest first; empty if a worker truncated the board."""
    cdef Candidate *heap
    cdef uint32_t found, i
    if wanted == 0 or store.records.count == 0:
        return []
    heap = <Candidate *>malloc(<size_t>wanted * sizeof(Candidate))
    if heap == NULL:
        raise MemoryError
    try:
        found = choose(store.board, store.records, heap, wanted)
        qsort(heap, found, sizeof(Candidate), hotter_first)
        return [describe(store, heap[i], most_key_bytes, now_ns) for i in range(found)]
    finally:
        free(heap)


cdef uint32_t choose(Board board, Records records, Candidate *heap, uint32_t wanted) noexcept:
    """Fill the heap. Return the number of its candidates."""
    cdef Pass scan
    scan.records = board.records
    scan.notes = records.notes
    scan.record_count = min(records.count, board.record_count)
    scan.end = (scan.record_count + GPOOL_BLOCK_RECORDS - 1) // GPOOL_BLOCK_RECORDS * GPOOL_BLOCK_RECORDS
    scan.counts = board.counts
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
        if scan.counts:
            candidate.priority.count = gpool_load_relaxed_u64(&scan.records[place].tag_count) & GPOOL_COUNT_MASK
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


cdef object describe(PoolGeneration store, Candidate candidate, uint32_t most_key_bytes, uint64_t now_ns):
    """Return one entry for the operator: a long key's beginning, the payload's length. None if it is damaged."""
    cdef gpool_found found
    cdef bytes key
    cdef uint32_t shown
    if not gpool_entry_open(store.view, store.records.notes[candidate.record].granule, &found.entry, &found.payload):
        store.view.damaged = True
        return None
    shown = min(found.entry.key_bytes, most_key_bytes)
    key = PyBytes_FromStringAndSize(NULL, shown)
    if not gpool_cursor_copy(store.view, &found.payload, <uint8_t *>PyBytes_AS_STRING(key), shown):
        store.view.damaged = True
    return HotEntry(
        key,
        found.entry.key_bytes,
        found.entry.tag_kind & 0xFF,
        found.entry.payload_bytes,
        candidate.priority.count if store.board.counts else None,
        now_ns - min(now_ns, candidate.priority.last_access_ns),
    )
