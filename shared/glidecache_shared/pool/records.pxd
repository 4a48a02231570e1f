from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.board cimport Board

cdef enum:
    NO_RECORD = 0xFFFFFFFF


cdef struct EntryNote:
    uint64_t flight
    uint32_t granule
    uint32_t hash
    uint32_t tag


cdef class Records:
    cdef Board board
    cdef EntryNote *notes
    cdef readonly uint32_t count
    cdef uint32_t room
    cdef uint32_t first_free

    @staticmethod
    cdef Records over(Board board)
    cdef uint32_t take(self) noexcept
    cdef void give_back(self, uint32_t record) noexcept
