"""Giving memory back, so that a pool costs what it holds and not what it once held (contract C8).

Two steps. First the ends of the regions are *vacated*: buckets merge, high-numbered overflow buckets and access
records move to low numbers, free granules are set aside, and the published counts are lowered. Much later, when no
reader can still be in a lookup that began before, the vacated pages are punched out of the files. (A reader that was
stopped for that long in the middle of a lookup reads zeros there, which is a miss. It would meet SIGBUS only if the
file system had become full just then. So the wait is the grace after which readers distrust a silent daemon.)

Each step is bounded: the daemon calls this between requests.
"""

from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.layout cimport GPOOL_BUCKET_BYTES, GPOOL_GRANULE_BYTES, GPOOL_RECORD_BYTES
from glidecache_shared.pool.memory.arena cimport Arena
from glidecache_shared.pool.memory.access_board cimport Board
from glidecache_shared.pool.files.pool_file cimport PoolFiles
from glidecache_shared.pool.memory.hash_index cimport Index
from glidecache_shared.pool.files.mapping cimport Region
from glidecache_shared.pool.memory.records cimport NO_RECORD, Records
from glidecache_shared.pool.eviction cimport VictimSelection

cdef enum:
    PAGE_BYTES = 4096
    MAX_MOVES = 8192  # of each sort, in one call: some milliseconds
    # Slack that is left alone: a part of the memory in use, and so many bytes for small pools.
    SLACK_PART = 64
    SLACK_BYTES = 128 * 1024
    # And of an arena of huge pages so much more that is in none of them whole.
    SPARE_PART = 4
    # Buckets are merged below three quarters of the load at which they are split, so that neither undoes the other.
    MERGE_ENTRIES_PER_BUCKET = 3
    COLD_NS = 1_000_000_000


cdef inline uint64_t whole_pages(uint64_t length) noexcept nogil:
    return (length + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES


cdef class Trimmer:
    """A trimmer of one pool. `wait_ns` is how long vacated memory stays before it is given back."""

    @staticmethod
    cdef Trimmer create(
        PoolFiles files, Arena arena, Index index, Board board, Records records, VictimSelection selection, uint64_t wait_ns,
    ):
        cdef Trimmer self = Trimmer.__new__(Trimmer)
        self.files = files
        self.arena = arena
        self.index = index
        self.board = board
        self.records = records
        self.selection = selection
        self.wait_ns = wait_ns
        self.inherited = False
        return self

    cdef void inherit(self, uint64_t now_ns) noexcept:
        """Note that the files were an earlier daemon's: memory that it vacated goes after a window that begins now."""
        self.inherited = True
        self.window_start_ns = now_ns

    cdef void run(self, uint64_t now_ns) noexcept:
        """Give back memory that has been vacant for a whole window of `wait_ns`, then vacate more."""
        # Before records move. A hot record of a while ago makes room for another one.
        self.board.merge(now_ns - min(now_ns, <uint64_t>COLD_NS))
        self.peak_buckets = max(self.peak_buckets, self.index.bucket_count)
        self.peak_overflow = max(self.peak_overflow, self.index.overflow_ids.count)
        self.peak_records = max(self.peak_records, self.records.count)
        if now_ns - self.window_start_ns >= self.wait_ns:
            self.window_start_ns = now_ns
            self.safe_buckets = self.peak_buckets
            self.safe_overflow = self.peak_overflow
            self.safe_records = self.peak_records
            self.peak_buckets = self.index.bucket_count
            self.peak_overflow = self.index.overflow_ids.count
            self.peak_records = self.records.count
        self._give_back(now_ns)
        self._vacate(now_ns)
        for region in (self.files.primary, self.files.overflow, self.files.arena, self.board.region):
            (<Region>region).join()

    cdef void _give_back(self, uint64_t now_ns) noexcept:
        # Counts fall in `_vacate` only, and each peak was taken before its runs. Memory at or beyond the peaks of both
        # the last window and this one has been vacant for at least a window.
        cdef uint64_t buckets = max(self.safe_buckets, self.peak_buckets)
        cdef uint64_t overflow = max(self.safe_overflow, self.peak_overflow)
        self.files.primary.shrink(whole_pages(buckets * GPOOL_BUCKET_BYTES))
        self.files.overflow.shrink(whole_pages(overflow * GPOOL_BUCKET_BYTES))
        self.board.shrink(max(self.safe_records, self.peak_records))
        if now_ns > self.wait_ns:
            self.arena.punch(now_ns - self.wait_ns)
        if self.inherited and self.safe_buckets != 0:
            # A window has passed, so no reader uses memory that an earlier daemon vacated and had no time to give back.
            self.inherited = False
            for region in (self.files.primary, self.files.overflow, self.files.arena, self.board.region):
                (<Region>region).punch_rest()

    cdef void _vacate(self, uint64_t now_ns) noexcept:
        cdef uint64_t used = self.arena.runs.granule_count - self.arena.runs.free_granules - self.arena.hole_granules()
        cdef uint64_t entries = self.index.entry_count
        cdef uint64_t keep_records = entries + entries // SLACK_PART + SLACK_BYTES // GPOOL_RECORD_BYTES
        cdef uint32_t target, moves, record
        for moves in range(MAX_MOVES):
            if entries >= <uint64_t>MERGE_ENTRIES_PER_BUCKET * self.index.bucket_count or not self.index.merge():
                break
        for moves in range(MAX_MOVES):
            if <uint64_t>self.index.overflow_ids.free_count * GPOOL_BUCKET_BYTES < SLACK_BYTES or (
                not self.index.lower_overflow()
            ):
                break
        if self.records.count > keep_records:
            target = <uint32_t>max(keep_records, <uint64_t>self.records.count - min(self.records.count, <uint32_t>MAX_MOVES))
            for record in range(target, self.records.count):
                if self.records.notes[record].granule != 0 and not self._move_record(record):
                    break
            self.records.drop_free_end()
        self.arena.set_aside(
            used // SLACK_PART + SLACK_BYTES // GPOOL_GRANULE_BYTES, used // SPARE_PART, now_ns)

    cdef bint _move_record(self, uint32_t record) noexcept:
        """Give the entry of `record` a lower one, with its access data from the board. False when there is none.

        A hit that touches the old record in this very moment leaves no trace; its reader has the old number.
        """
        cdef uint32_t lower = self.records.allocate()
        if lower == NO_RECORD:
            return False
        if lower > record:
            self.records.release(lower)
            return False
        self.board.move(record, lower, self.records.notes[lower].tag)
        self.index.set_record(
            self.records.notes[record].hash, self.records.notes[record].granule, lower, self.records.notes[lower].tag)
        self.records.notes[lower].granule = self.records.notes[record].granule
        self.records.notes[lower].hash = self.records.notes[record].hash
        self.records.notes[lower].flight = self.records.notes[record].flight
        self.records.release(record)
        self.selection.stored(lower)  # a candidate, if its old record was one
        return True
