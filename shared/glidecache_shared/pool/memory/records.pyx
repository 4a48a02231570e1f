"""The assignment of access records to entries, and the daemon's private notes on an entry: 24 bytes each.

Private to the daemon, so no worker can mislead it: the board says *when* an entry was used, never *where* it is.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

from glidecache_shared.pool.memory.access_board cimport Board
from glidecache_shared.pool.layout cimport (
    GPOOL_TAG_MASK,
    gpool_header,
    gpool_record_tag,
    gpool_store_release_u32,
)
from glidecache_shared.pool.memory.id_bitmap cimport NO_ID, IdBitmap


cdef class Records:
    """A note per access record; `granule` 0 marks a record that no entry has.

    `count` is one more than the highest record in use; it is published, and no reader touches a record beyond it. Tags
    outlive it: a record that comes back into use continues its tags.
    """

    def __cinit__(self):
        self.notes = NULL
        self.ids = IdBitmap()

    def __dealloc__(self):
        free(self.notes)

    @staticmethod
    cdef Records create(gpool_header *header, Board board):
        cdef Records self = Records.__new__(Records)
        self.header = header
        self.board = board
        self.count = 0
        self.room = 0
        return self

    @staticmethod
    cdef Records resume(gpool_header *header, Board board):
        """Make the records of a pool that another daemon wrote, none with an entry yet: `settle` follows."""
        cdef Records self = Records.create(header, board)
        self.notes = <EntryNote *>calloc(<size_t>header.record_count + 1, sizeof(EntryNote))
        if self.notes == NULL:
            raise MemoryError
        self.count = header.record_count
        self.room = header.record_count + 1
        return self

    cdef bint settle(self) noexcept:
        """Find the free records once all entries have notes, and correct the board. False without memory.

        If an entry and its record have different tags (a daemon was killed between the two, or a worker wrote
        nonsense), the entry's counts. A free record continues from its present tag.
        """
        cdef uint32_t record
        cdef uint32_t tag
        if not self.ids.resume(self.count):
            return False
        self.board.merge()  # while tags are as they were
        for record in range(self.count):
            tag = gpool_record_tag(self.board.read(record))
            if self.notes[record].granule == 0:
                self.notes[record].tag = tag
                self.ids.release(record)
            elif self.notes[record].tag != tag:
                self.board.move(record, record, self.notes[record].tag)
        return True

    cdef uint32_t allocate(self) noexcept:
        """Take the lowest free record, under a tag that its last owner did not have; `NO_RECORD` without memory."""
        cdef uint32_t record = self.ids.allocate()
        if record == NO_ID:
            if not self._add():
                return NO_RECORD
            record = self.ids.allocate()
        self.notes[record].tag = (self.notes[record].tag + 1) & GPOOL_TAG_MASK
        return record

    cdef bint _add(self) noexcept:
        cdef uint32_t room
        cdef EntryNote *grown
        if self.count == self.board.record_count and not self.board.cover(self.count + 1):
            return False
        if self.count == self.room:
            room = self.room + self.room // 8 + 64
            grown = <EntryNote *>realloc(self.notes, <size_t>room * sizeof(EntryNote))
            if grown == NULL:
                return False
            self.notes = grown
            while self.room < room:
                self.notes[self.room].granule = 0
                self.notes[self.room].tag = 0
                self.room += 1
        if not self.ids.extend():
            return False
        self.count += 1
        # Pairs with the acquire in gpool_published: the memory is there before the count says so.
        gpool_store_release_u32(&self.header.record_count, self.count)
        return True

    cdef void release(self, uint32_t record) noexcept:
        self.notes[record].granule = 0
        self.ids.release(record)

    cdef void drop_free_end(self) noexcept:
        """Forget the free records at the end, which no reader may touch from now on."""
        self.ids.drop_free_end()
        self.count = self.ids.count
        gpool_store_release_u32(&self.header.record_count, self.count)
