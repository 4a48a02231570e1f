"""The free granules: maximal runs in segregated lists by length (as in Masmano et al., "TLSF", 2004).

Lists are exact up to 32 granules, four per power of two beyond. A run's length and list links are in the free granules
themselves; only a bitmap (one bit a granule) is private to the daemon. A granule that is not free here is part of an
entry, or set aside. Nothing in the file is followed before it agrees with the bitmap and with its neighbours in the
list. Otherwise `view.damaged` is set; granules may be lost, but none is written outside the arena.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from glidecache_shared.pool.layout cimport gpool_free_run, gpool_view

cdef enum:
    FIT_ATTEMPTS = 16

cdef extern from * nogil:
    int __builtin_clzll(unsigned long long word)
    int __builtin_ctzll(unsigned long long word)

cdef class FreeRuns:
    """The free granules of one arena. What `view` points into must outlive it."""

    def __cinit__(self):
        self.used = NULL

    def __dealloc__(self):
        free(self.used)

    @staticmethod
    cdef FreeRuns create(gpool_view *view):
        cdef FreeRuns self = FreeRuns.__new__(FreeRuns)
        self.view = view
        self.granule_count = 1  # granule 0 is never given out: 0 means "none" in every link
        self.free_granules = 0
        self.used_bytes = 0
        memset(self.class_map, 0, sizeof(self.class_map))
        memset(self.heads, 0, sizeof(self.heads))
        if not self.cover(1):
            raise MemoryError
        self._mark(0, 1, True)
        return self

    @staticmethod
    cdef FreeRuns resume(gpool_view *view, uint32_t granule_count):
        """Make the free runs of another daemon's arena. The caller sets used granules' bits, then calls `collect`."""
        cdef FreeRuns self = FreeRuns.create(view)
        if not self.cover(granule_count):
            raise MemoryError
        self.granule_count = max(granule_count, self.granule_count)  # the header counts none before the arena first grows
        return self

    cdef uint32_t next_run(self, uint32_t granule, uint32_t *granules) noexcept:
        """Find the first maximal run of granules without a bit from `granule` on, and its length; 0 if none."""
        cdef uint32_t start
        while granule < self.granule_count and self.is_used(granule):
            granule += 8 if not granule & 7 and self.used[granule >> 3] == 0xFF else 1
        if granule >= self.granule_count:
            return 0
        start = granule
        while granule < self.granule_count and not self.is_used(granule):
            granule += 8 if not granule & 7 and self.used[granule >> 3] == 0 else 1
        granules[0] = min(granule, self.granule_count) - start
        return start

    cdef void collect(self) noexcept:
        """Make lists of all granules that have no bit; there is memory behind them."""
        cdef uint32_t granules = 0
        cdef uint32_t granule = self.next_run(1, &granules)
        while granule != 0:
            self.free_granules += granules
            self._link(granule, granules)
            granule = self.next_run(granule + granules, &granules)

    cdef bint extend(self, uint32_t granule_count) noexcept:
        """Add the new granules, free, of an arena grown to `granule_count`. False without memory for their bits."""
        cdef uint32_t old = self.granule_count
        if not self.cover(granule_count):
            return False
        self.granule_count = granule_count
        self.release(old, granule_count - old)
        return True

    cdef uint32_t length(self, uint32_t granule) noexcept:
        """Return the length of the free run that starts at `granule`."""
        return run_at(self.view, granule).granules

    cdef bint sound(self, uint32_t granule) noexcept:
        """Return whether a free run can start at `granule`: its ends and list neighbours are free by the bitmap.

        If not, the pool is damaged.
        """
        cdef gpool_free_run *run
        if self._is_free(granule):
            run = run_at(self.view, granule)
            if (
                0 < run.granules <= self.granule_count - granule
                and not self.is_used(granule + run.granules - 1)
                and (run.next == 0 or self._is_free(run.next))
                and (run.previous == 0 or self._is_free(run.previous))
            ):
                return True
        self.view.damaged = True
        return False

    cdef inline bint _is_free(self, uint32_t granule) noexcept:
        return granule < self.granule_count and not self.is_used(granule)  # granule 0 is always used

    cdef bint allocate(self, uint32_t granule, uint32_t first, uint32_t granules) noexcept:
        """Take `granules` from `first` out of the free run that starts at `granule`; the rest of it stays free.

        Returns False, and takes nothing, if the pool is damaged.
        """
        cdef uint32_t end = granule + run_at(self.view, granule).granules
        if not self._unlink(granule):
            return False
        self._mark(first, granules, True)
        self.free_granules -= granules
        if first > granule:
            self._link(granule, first - granule)
        if end > first + granules:
            self._link(first + granules, end - first - granules)
        return True

    cdef uint32_t longest_list(self) noexcept:
        """Return the first run of the list that holds the longest runs; 0 when nothing is free."""
        cdef int word = CLASS_WORDS - 1
        while word >= 0:
            if self.class_map[word] != 0:
                return self.heads[word * 64 + 63 - __builtin_clzll(self.class_map[word])]
            word -= 1
        return 0

    cdef uint32_t run_for(self, uint32_t granules) noexcept:
        """Return a free run that holds `granules`, or else one of the longest; 0 if there is none. `take` checks it."""
        cdef uint32_t number = class_of(granules)
        cdef uint32_t granule, attempts
        cdef uint32_t word
        cdef uint64_t lists
        if granules > EXACT_CLASSES:  # its own list may hold shorter runs too: look at some
            granule = self.heads[number]
            for attempts in range(FIT_ATTEMPTS):
                if granule == 0:
                    break
                if not self._is_free(granule):
                    self.view.damaged = True
                    return 0
                if run_at(self.view, granule).granules >= granules:
                    return granule
                granule = run_at(self.view, granule).next
            number += 1
        word = number >> 6
        lists = self.class_map[word] & (~<uint64_t>0 << (number & 63)) if word < CLASS_WORDS else 0
        while lists == 0 and word + 1 < CLASS_WORDS:
            word += 1
            lists = self.class_map[word]
        if lists != 0:
            return self.heads[word * 64 + __builtin_ctzll(lists)]
        return self.longest_list()

    cdef void release(self, uint32_t granule, uint32_t granules) noexcept:
        """Free granules and join them with their free neighbours, unless these are damaged."""
        cdef uint32_t before, after, joined
        self._mark(granule, granules, False)
        self.free_granules += granules
        after = granule + granules
        if after < self.granule_count and not self.is_used(after):
            joined = run_at(self.view, after).granules
            if not self._unlink(after):
                return
            granules += joined
        if not self.is_used(granule - 1):  # granule 0 is always used
            before = run_footer(self.view, granule - 1)[0]
            if before >= granule or run_at(self.view, granule - before).granules != before:
                self.view.damaged = True
                return
            if not self._unlink(granule - before):
                return
            granule -= before
            granules += before
        self._link(granule, granules)

    cdef bint is_used(self, uint32_t granule) noexcept:
        return self.used[granule >> 3] >> (granule & 7) & 1

    cdef bint cover(self, uint32_t granules) noexcept:
        """Make the bitmap long enough for `granules`."""
        cdef uint64_t wanted = (<uint64_t>granules + 7) // 8
        cdef uint8_t *grown
        if wanted <= self.used_bytes:
            return True
        wanted += wanted // 8 + 64
        grown = <uint8_t *>realloc(self.used, wanted)
        if grown == NULL:
            return False
        memset(grown + self.used_bytes, 0, wanted - self.used_bytes)
        self.used = grown
        self.used_bytes = wanted
        return True

    cdef void _mark(self, uint32_t granule, uint32_t granules, bint used) noexcept:
        cdef uint32_t end = granule + granules
        while granule < end and granule & 7:
            if used:
                self.used[granule >> 3] |= 1 << (granule & 7)
            else:
                self.used[granule >> 3] &= ~(1 << (granule & 7))
            granule += 1
        if end - granule >= 8:
            memset(self.used + (granule >> 3), 0xFF if used else 0, (end - granule) >> 3)
            granule += (end - granule) & ~7
        while granule < end:
            if used:
                self.used[granule >> 3] |= 1 << (granule & 7)
            else:
                self.used[granule >> 3] &= ~(1 << (granule & 7))
            granule += 1

    cdef void _link(self, uint32_t granule, uint32_t granules) noexcept:
        """Put a free run at the head of its list."""
        cdef uint32_t number = class_of(granules)
        cdef gpool_free_run *run = run_at(self.view, granule)
        run.granules = granules
        run.previous = 0
        run.next = self.heads[number]
        if run.next != 0:
            run_at(self.view, run.next).previous = granule
        run_footer(self.view, granule + granules - 1)[0] = granules
        self.heads[number] = granule
        self.class_map[number >> 6] |= <uint64_t>1 << (number & 63)

    cdef bint _unlink(self, uint32_t granule) noexcept:
        """Take a free run out of its list. False if it or one of its neighbours there is damaged."""
        cdef gpool_free_run *run = run_at(self.view, granule)
        cdef uint32_t number
        if not self.sound(granule):
            return False
        number = class_of(run.granules)
        if (run.next != 0 and run_at(self.view, run.next).previous != granule) or granule != (
            run_at(self.view, run.previous).next if run.previous != 0 else self.heads[number]
        ):
            self.view.damaged = True
            return False
        if run.next != 0:
            run_at(self.view, run.next).previous = run.previous
        if run.previous != 0:
            run_at(self.view, run.previous).next = run.next
            return True
        self.heads[number] = run.next
        if run.next == 0:
            self.class_map[number >> 6] &= ~(<uint64_t>1 << (number & 63))
        return True
