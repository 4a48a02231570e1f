"""Numbers 0 … count − 1, each in use or free, given out lowest first.

Lowest first keeps used numbers together at the start, so that the end of a region can be given back. One bit per
number, and one bit per word of those: finding the lowest looks at one summary word per 4,096 numbers.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

cdef extern from * nogil:
    int __builtin_ctzll(unsigned long long word)


cdef class IdBitmap:
    """The set of free numbers. `count` grows by `extend`, shrinks by `drop_free_end`."""

    def __cinit__(self):
        self.words = NULL
        self.summary = NULL
        self.word_room = 0
        self.count = 0
        self.free_count = 0

    def __dealloc__(self):
        free(self.words)
        free(self.summary)

    cdef bint extend(self) noexcept:
        """Add one number, free. False without memory."""
        if not self._make_room(<uint64_t>self.count + 1):
            return False
        self.count += 1
        self.release(self.count - 1)
        return True

    cdef bint resume(self, uint32_t count) noexcept:
        """Begin with `count` numbers, all in use. False without memory."""
        if not self._make_room(count):
            return False
        self.count = count
        return True

    cdef bint _make_room(self, uint64_t count) noexcept:
        cdef uint64_t room = (count + 63) // 64
        cdef uint64_t *words
        cdef uint64_t *summary
        if room <= self.word_room:
            return True
        room = (room + room // 8 + 64) // 64 * 64
        words = <uint64_t *>realloc(self.words, room * sizeof(uint64_t))
        if words == NULL:
            return False
        self.words = words
        summary = <uint64_t *>realloc(self.summary, room // 64 * sizeof(uint64_t))
        if summary == NULL:
            return False
        self.summary = summary
        memset(self.words + self.word_room, 0, (room - self.word_room) * sizeof(uint64_t))
        memset(self.summary + self.word_room // 64, 0, (room - self.word_room) // 64 * sizeof(uint64_t))
        self.word_room = <uint32_t>room
        return True

    cdef uint32_t allocate(self) noexcept:
        """Take the lowest free number into use and return it; `NO_ID` when none is free."""
        cdef uint32_t group, word, number
        if self.free_count == 0:
            return NO_ID
        group = 0
        while self.summary[group] == 0:
            group += 1
        word = group * 64 + __builtin_ctzll(self.summary[group])
        number = word * 64 + __builtin_ctzll(self.words[word])
        self._take(number)
        return number

    cdef void release(self, uint32_t number) noexcept:
        self.words[number >> 6] |= <uint64_t>1 << (number & 63)
        self.summary[number >> 12] |= <uint64_t>1 << (number >> 6 & 63)
        self.free_count += 1

    cdef bint is_free(self, uint32_t number) noexcept:
        return self.words[number >> 6] >> (number & 63) & 1

    cdef void drop_free_end(self) noexcept:
        """Forget the numbers at the end that are free."""
        while self.count != 0 and self.is_free(self.count - 1):
            self.count -= 1
            self._take(self.count)

    cdef void _take(self, uint32_t number) noexcept:
        self.words[number >> 6] &= ~(<uint64_t>1 << (number & 63))
        if self.words[number >> 6] == 0:
            self.summary[number >> 12] &= ~(<uint64_t>1 << (number >> 6 & 63))
        self.free_count -= 1
