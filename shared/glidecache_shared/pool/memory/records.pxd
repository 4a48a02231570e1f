from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.memory.access_board cimport Board
from glidecache_shared.pool.layout cimport gpool_header
from glidecache_shared.pool.memory.id_bitmap cimport IdBitmap

cdef enum:
    NO_RECORD = 0xFFFFFFFF


cdef struct EntryNote:
    uint64_t flight
    uint32_t granule
    uint32_t hash
    uint32_t tag


cdef inline uint32_t any_number(uint64_t *random, uint32_t count) noexcept nogil:
    """Return a random number below `count`; advance the random state, which is not 0 (xorshift64, Marsaglia 2003)."""
    random[0] ^= random[0] << 13
    random[0] ^= random[0] >> 7
    random[0] ^= random[0] << 17
    return <uint32_t>((random[0] >> 32) * count >> 32)


cdef class Records:
    cdef gpool_header *header
    cdef Board board
    cdef EntryNote *notes
    cdef IdBitmap ids
    cdef uint32_t count
    cdef uint32_t room

    @staticmethod
    cdef Records create(gpool_header *header, Board board)
    @staticmethod
    cdef Records resume(gpool_header *header, Board board)
    cdef bint settle(self) noexcept
    cdef uint32_t allocate(self) noexcept
    cdef void release(self, uint32_t record) noexcept
    cdef void drop_free_end(self) noexcept
    cdef bint _add(self) noexcept
