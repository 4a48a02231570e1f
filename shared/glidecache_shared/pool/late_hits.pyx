"""Hits on the previous generation's board, by readers that were in the middle of a lookup when it was retired."""

from libc.stdint cimport uint64_t

from glidecache_shared.pool.memory.access_board cimport Board


cdef class LateHits:
    """The late hits until `until_ns`, a grace after the change; later there can be none. `counted` were taken over."""

    @staticmethod
    cdef LateHits of(Board board, uint64_t until_ns):
        cdef LateHits self = LateHits.__new__(LateHits)
        self.board = board
        self.until_ns = until_ns
        self.counted = board.hits()
        return self

    cdef uint64_t take(self) noexcept:
        """Return how many hits have come since the last count. (None if a worker truncated that board meanwhile.)"""
        cdef uint64_t hits = self.board.hits()
        cdef uint64_t late = hits - self.counted if hits > self.counted else 0
        self.counted += late
        return late
