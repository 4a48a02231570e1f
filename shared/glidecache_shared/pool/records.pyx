# cython: freethreading_compatible=True
"""Which access record belongs to which entry, and what the daemon alone needs to know of an entry: 24 bytes each.

Private to the daemon, so no worker can lead it astray: the board says *when* an entry was used, never *where* it is.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc

from glidecache_shared.pool.board cimport Board
from glidecache_shared.pool.layout cimport GC_TAG_MASK


cdef class Records:
    """A note per access record. `granule` 0 marks a free record, whose `hash` then is the next free one."""

    def __cinit__(self):
        self.notes = NULL

    def __dealloc__(self):
        free(self.notes)

    @staticmethod
    cdef Records over(Board board):
        cdef Records self = Records.__new__(Records)
        self.board = board
        self.count = 0
        self.room = 0
        self.first_free = NO_RECORD
        return self

    cdef uint32_t take(self) noexcept:
        """A free record under a tag that its last owner did not have; `NO_RECORD` when memory is refused."""
        cdef uint32_t record = self.first_free
        cdef uint32_t room
        cdef EntryNote *grown
        if record != NO_RECORD:
            self.first_free = self.notes[record].hash
        else:
            if self.count == self.board.record_count and not self.board.cover(self.count + 1):
                return NO_RECORD
            if self.count == self.room:
                room = self.room + self.room // 8 + 64
                grown = <EntryNote *>realloc(self.notes, <size_t>room * sizeof(EntryNote))
                if grown == NULL:
                    return NO_RECORD
                self.notes = grown
                self.room = room
            record = self.count
            self.count += 1
            self.notes[record].tag = 0
        self.notes[record].tag = (self.notes[record].tag + 1) & GC_TAG_MASK
        return record

    cdef void give_back(self, uint32_t record) noexcept:
        self.notes[record].granule = 0
        self.notes[record].hash = self.first_free
        self.first_free = record
