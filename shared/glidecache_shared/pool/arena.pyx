# cython: freethreading_compatible=True
"""The arena's granules: which are free, and giving them to entries as chains of extents.

Free space is kept as maximal runs in segregated lists by length (exact up to 32 granules, four lists per power of two
beyond; as in Masmano et al., "TLSF", 2004). A run's length and list links stand in the free granules themselves; only a
bitmap (one bit a granule) is private to the daemon. A chain takes the best run that holds it whole; where there is none, it
takes the largest runs until it is complete. As each granule carries 72 bytes however the runs fall, `granules(entry)`
free granules always suffice: fragmentation makes chains longer, never an insert fail (contract C10).

The arena grows only when too few granules are free *in total*, so that its size follows the charges, not the history.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from glidecache_shared.pool.layout cimport (
    GC_GRANULE_BYTES,
    GC_GRANULE_PAYLOAD,
    GC_LINK_NEXT,
    GC_LINK_SINGLE,
    gc_extent_capacity,
    gc_extent_granules,
    gc_store_release_u32,
    gc_view,
)
from glidecache_shared.pool.mapping cimport Region

cdef enum:
    EXACT_CLASSES = 32
    FIT_ATTEMPTS = 16

cdef extern from * nogil:
    int __builtin_clz(unsigned int word)
    int __builtin_clzll(unsigned long long word)
    int __builtin_ctzll(unsigned long long word)

cdef struct FreeRun:
    uint32_t granules
    uint32_t previous
    uint32_t next


cdef inline FreeRun *run_at(gc_view *view, uint32_t granule) noexcept nogil:
    return <FreeRun *>(view.arena + <uint64_t>granule * GC_GRANULE_BYTES)


cdef inline uint32_t *run_footer(gc_view *view, uint32_t last_granule) noexcept nogil:
    """The run's length once more, in the last word of its last granule: from there a neighbour finds its start."""
    return <uint32_t *>(view.arena + (<uint64_t>last_granule + 1) * GC_GRANULE_BYTES - 4)


cdef inline uint32_t class_of(uint32_t granules) noexcept nogil:
    cdef uint32_t power
    if granules <= EXACT_CLASSES:
        return granules - 1
    power = 31 - __builtin_clz(granules)
    return EXACT_CLASSES + (power - 5) * 4 + ((granules >> (power - 2)) & 3)


cdef class Arena:
    """The allocator of one pool's arena, private to its daemon. `owner` keeps the mapping that `view` points to alive."""

    def __cinit__(self):
        self.used = NULL

    def __dealloc__(self):
        free(self.used)

    @staticmethod
    cdef Arena over(gc_view *view, Region region):
        cdef Arena self = Arena.__new__(Arena)
        self.view = view
        self.region = region
        self.granule_count = 1  # granule 0 is never given out: 0 means "none" in every link
        self.free_granules = 0
        self.used_bytes = 0
        memset(self.class_map, 0, sizeof(self.class_map))
        memset(self.heads, 0, sizeof(self.heads))
        if not self._cover(1):
            raise MemoryError
        self._mark(0, 1, True)
        return self

    cdef bint reserve(self, uint64_t granules) noexcept:
        """Make sure that `granules` are free in total, growing if they are not. False: the file system refuses, or the bound."""
        cdef uint64_t count
        if granules <= self.free_granules:
            return True
        count = self.granule_count + (granules - self.free_granules)
        if count > self.view.max_granules or not self.region.ensure(count * GC_GRANULE_BYTES):
            return False
        count = min(self.region.bytes // GC_GRANULE_BYTES, <uint64_t>self.view.max_granules)
        if not self._cover(<uint32_t>count):
            return False
        granules = count - self.granule_count
        self.granule_count = <uint32_t>count
        self._give_back(<uint32_t>(count - granules), <uint32_t>granules)
        # Pairs with the acquire in gc_published: the memory is there before the count says so.
        gc_store_release_u32(&self.view.header.granule_count, self.granule_count)
        return True

    cdef uint32_t allocate(self, uint64_t bytes) noexcept:
        """A chain of extents that carries `bytes`, as its first granule; 0 when `reserve` was not asked or refused."""
        cdef uint32_t head = 0
        cdef uint32_t *link = NULL
        cdef uint32_t start, run, take, wanted
        cdef uint32_t *extent
        if (bytes + GC_GRANULE_PAYLOAD - 1) // GC_GRANULE_PAYLOAD > self.free_granules:
            return 0
        while True:
            wanted = <uint32_t>gc_extent_granules(bytes)
            start = self._run_for(wanted)
            run = run_at(self.view, start).granules
            self._unlink(start)
            take = min(run, wanted)
            self._mark(start, take, True)
            self.free_granules -= take
            if run > take:
                self._link(start + take, run - take)
            extent = <uint32_t *>run_at(self.view, start)
            if take == 1:
                extent[0] = GC_LINK_SINGLE
            else:
                extent[0] = 0
                extent[1] = take
            if link == NULL:
                head = start
            else:
                link[0] |= start
            link = extent
            if bytes <= gc_extent_capacity(take):
                return head
            bytes -= gc_extent_capacity(take)

    cdef void release(self, uint32_t granule) noexcept:
        """Free the whole chain that starts at `granule`. No bucket may lead to it any more."""
        cdef uint32_t *extent
        cdef uint32_t link, granules
        while granule != 0:
            extent = <uint32_t *>run_at(self.view, granule)
            link = extent[0]
            granules = 1 if link & GC_LINK_SINGLE else extent[1]
            self._give_back(granule, granules)
            granule = link & GC_LINK_NEXT

    cdef bint _is_used(self, uint32_t granule) noexcept:
        return self.used[granule >> 3] >> (granule & 7) & 1

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

    cdef bint _cover(self, uint32_t granules) noexcept:
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

    cdef void _link(self, uint32_t granule, uint32_t granules) noexcept:
        """Put a free run at the head of its list."""
        cdef uint32_t number = class_of(granules)
        cdef FreeRun *run = run_at(self.view, granule)
        run.granules = granules
        run.previous = 0
        run.next = self.heads[number]
        if run.next != 0:
            run_at(self.view, run.next).previous = granule
        run_footer(self.view, granule + granules - 1)[0] = granules
        self.heads[number] = granule
        self.class_map[number >> 6] |= <uint64_t>1 << (number & 63)

    cdef void _unlink(self, uint32_t granule) noexcept:
        cdef FreeRun *run = run_at(self.view, granule)
        cdef uint32_t number = class_of(run.granules)
        if run.next != 0:
            run_at(self.view, run.next).previous = run.previous
        if run.previous != 0:
            run_at(self.view, run.previous).next = run.next
            return
        self.heads[number] = run.next
        if run.next == 0:
            self.class_map[number >> 6] &= ~(<uint64_t>1 << (number & 63))

    cdef void _give_back(self, uint32_t granule, uint32_t granules) noexcept:
        """Free a run and join it with its free neighbours."""
        cdef uint32_t before, after
        self._mark(granule, granules, False)
        self.free_granules += granules
        after = granule + granules
        if after < self.granule_count and not self._is_used(after):
            granules += run_at(self.view, after).granules
            self._unlink(after)
        if not self._is_used(granule - 1):  # granule 0 is always used
            before = run_footer(self.view, granule - 1)[0]
            granule -= before
            granules += before
            self._unlink(granule)
        self._link(granule, granules)

    cdef uint32_t _run_for(self, uint32_t granules) noexcept:
        """A free run that holds `granules`, or else one of the longest; there must be one."""
        cdef uint32_t number = class_of(granules)
        cdef uint32_t granule, attempts
        cdef uint32_t word
        cdef uint64_t lists
        if granules > EXACT_CLASSES:  # its own list may hold shorter runs too: look at some
            granule = self.heads[number]
            for attempts in range(FIT_ATTEMPTS):
                if granule == 0:
                    break
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
        word = CLASS_WORDS - 1
        while self.class_map[word] == 0:
            word -= 1
        return self.heads[word * 64 + 63 - __builtin_clzll(self.class_map[word])]

    def check_integrity(self) -> None:
        """Walk all free runs; raises `AssertionError` where lists, bitmap and lengths disagree."""
        cdef uint32_t number, granule, previous, i
        cdef uint64_t total = 0
        cdef FreeRun *run
        for number in range(CLASSES):
            previous = 0
            granule = self.heads[number]
            assert (granule != 0) == bool(self.class_map[number >> 6] >> (number & 63) & 1), f"class {number}: map"
            while granule != 0:
                run = run_at(self.view, granule)
                assert class_of(run.granules) == number, f"run at granule {granule} is in the wrong list"
                assert run.previous == previous, f"run at granule {granule}: broken back link"
                assert granule + run.granules <= self.granule_count, f"run at granule {granule} ends outside"
                assert run_footer(self.view, granule + run.granules - 1)[0] == run.granules, f"run {granule}: footer"
                assert self._is_used(granule - 1), f"run at granule {granule} is not joined with the one before"
                for i in range(run.granules):
                    assert not self._is_used(granule + i), f"granule {granule + i} is free and marked used"
                total += run.granules
                previous = granule
                granule = run.next
        assert total == self.free_granules, f"{total} granules in lists, {self.free_granules} counted as free"
