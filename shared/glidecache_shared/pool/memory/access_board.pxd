from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.layout cimport gpool_record
from glidecache_shared.pool.files.mapping cimport MappedFile, Region

cdef struct Priority:
    uint64_t count
    uint64_t last_access_ns


cdef struct Candidate:
    Priority priority
    uint32_t record


cdef inline bint before(Priority left, Priority right) noexcept nogil:
    """Return whether `left` is evicted before `right`: lower count (always 0 under LRU), then older access (C11)."""
    if left.count != right.count:
        return left.count < right.count
    return left.last_access_ns < right.last_access_ns


cdef int lower_first(const void *left, const void *right) noexcept nogil


cdef bint guarded(void (*work)(void *) noexcept nogil, void *argument) noexcept


cdef class Board:
    cdef MappedFile file
    cdef Region region
    cdef gpool_record *records
    cdef readonly uint32_t record_count
    cdef uint32_t max_records
    cdef bint is_lfu
    cdef readonly uint64_t faults
    cdef uint64_t claims
    cdef uint32_t owners

    @staticmethod
    cdef Board create(MappedFile file, uint32_t max_records, bint is_lfu)
    cdef bint resume(self, uint32_t records) noexcept
    cdef uint64_t read(self, uint32_t record) noexcept
    cdef bint cover(self, uint32_t records) noexcept
    cdef void reset(self, uint32_t record, uint32_t tag, uint64_t now_ns) noexcept
    cdef void touch(self, uint32_t record, uint32_t tag, uint64_t now_ns) noexcept
    cdef void move(self, uint32_t source, uint32_t target, uint32_t tag) noexcept
    cdef void shrink(self, uint32_t records) noexcept
    cdef void prefetch(self, uint32_t record) noexcept
    cdef Priority priority(self, uint32_t record) noexcept
    cdef uint32_t filter(self, uint32_t first, uint32_t count, Priority threshold, Candidate *found) noexcept
    cdef bint keep_length(self) noexcept
    cdef bint mend(self) noexcept
    cdef void merge(self, uint64_t idle_since_ns=*) noexcept
    cdef uint64_t hits(self) noexcept


cdef class LateHits:
    cdef Board board
    cdef uint64_t counted
    cdef uint64_t until_ns

    @staticmethod
    cdef LateHits create(Board board, uint64_t until_ns)
    cdef uint64_t count_new(self) noexcept
