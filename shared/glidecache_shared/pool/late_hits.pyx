"""Hits on the board of the generation before, which a reader counts that was in the middle of one when it was retired."""

from libc.stdint cimport uint64_t

from glidecache_shared.pool.memory.access_board cimport Board


cdef class LateHits:
    """Looked at until `until_ns`, a grace after the change: nobody is late any more then. `counted` have been taken over."""

    @staticmethod
    cdef LateHits of(Board board, uint64_t until_ns):
        cdef LateHits self = LateHits.__new__(LateHits)
        self.board = board
        self.until_ns = until_ns
        self.counted = board.hits()
        return self

    cdef uint64_t take(self) noexcept:
        """How many have come since they were counted last. (None where a worker truncated that board meanwhile.)"""
        cdef uint64_t hits = self.board.hits()
        cdef uint64_t late = hits - self.counted if hits > self.counted else 0
        self.counted += late
        return late
