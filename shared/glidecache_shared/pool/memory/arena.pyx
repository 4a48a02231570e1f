"""The arena: granules given to entries as chains of extents, and memory given back.

A chain takes the best free run that holds it whole. If there is none, it takes the longest runs until it is complete.
Each granule carries 72 bytes however the runs fall, so `granules(entry)` free granules always suffice. Fragmentation
makes chains longer, but never makes an insert fail (contract C10).

The arena grows only when too few granules are free *in total*, so that its size follows the charges, not the history.
It shrinks by holes: whole pages inside long free runs are first *set aside*, so that nothing uses them. Later, when
no reader can still be copying their old content, they are *punched* out of the file. An arena that needs them
again fills holes before it grows. Holes of an arena of huge pages consist of whole ones, because a part that is taken out
of one makes small pages of the rest; unless much would stay behind that way.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from glidecache_shared.pool.memory.free_runs cimport FreeRuns
from glidecache_shared.pool.layout cimport (
    GPOOL_GRANULE_BYTES,
    GPOOL_GRANULE_PAYLOAD,
    gpool_extent,
    gpool_extent_capacity,
    gpool_extent_granules,
    gpool_link,
    gpool_link_next,
    gpool_link_single,
    gpool_store_release_u32,
    gpool_view,
)
from glidecache_shared.pool.files.mapping cimport Region

cdef enum:
    PAGE_BYTES = 4096
    MIN_HOLE_PAGES = 16  # shorter ones give back less than they cost
    MAX_HOLE_PAGES = 4096  # 16 MiB: punching one takes the kernel some milliseconds
    FILL_PAGES = 64
    HUGE_PAGES = 512  # small pages in a huge one


cdef class Arena:
    """The allocator of one pool's arena, private to its daemon. What `view` points into must outlive it."""

    def __cinit__(self):
        self.holes = NULL

    def __dealloc__(self):
        free(self.holes)

    @staticmethod
    cdef Arena create(gpool_view *view, Region region):
        cdef Arena self = Arena.__new__(Arena)
        self.view = view
        self.region = region
        self.runs = FreeRuns.create(view)
        self.hole_count = 0
        self.hole_room = 0
        return self

    @staticmethod
    cdef Arena resume(gpool_view *view, Region region):
        """Make the arena of another daemon's file. The caller marks used granules in `runs`, then calls `collect`."""
        cdef Arena self = Arena.create(view, region)
        self.runs = FreeRuns.resume(view, view.header.granule_count)
        return self

    cdef bint collect(self, uint64_t now_ns) noexcept:
        """Find the free granules. False when the file system refuses necessary memory, or there is none for lists.

        The pages that the earlier daemon had punched are not known. So each long free run is set aside: its pages are
        given back a while later, and get their memory back before they are used, whatever their present state.
        """
        cdef uint32_t granules = 0
        cdef uint32_t start = self.runs.next_run(1, &granules)
        cdef uint64_t end = <uint64_t>self.runs.granule_count * GPOOL_GRANULE_BYTES
        cdef uint64_t backed_to = 0
        cdef Hole hole
        while start != 0:
            if not self._hole_in(start, start + granules, MAX_HOLE_PAGES, False, now_ns, &hole):
                start = self.runs.next_run(start + granules, &granules)
                continue
            hole.backed = False
            if not self._add_hole(hole) or not self.region.restore(
                backed_to, max(hole.first_page * PAGE_BYTES, backed_to + 1) - backed_to
            ):
                return False
            self.runs._mark(hole.granule, hole.granules, True)
            backed_to = hole.end_page * PAGE_BYTES
            start = self.runs.next_run(hole.granule + hole.granules, &granules)
        if backed_to < end and not self.region.restore(backed_to, end - backed_to):
            return False
        self.region.bytes = min((end + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES, self.region.max_bytes)
        self.runs.collect()
        return True

    cdef bint reserve(self, uint64_t granules) noexcept:
        """Make sure that `granules` are free in total. False: the file system refuses memory, or the bound is met."""
        while self.hole_count != 0 and self.runs.free_granules < granules:
            if not self._fill():
                return False
        return self.runs.free_granules >= granules or self._grow(granules - self.runs.free_granules)

    cdef bint _grow(self, uint64_t granules) noexcept:
        cdef uint64_t count = self.runs.granule_count + granules
        if count > self.view.max_granules or not self.region.ensure(count * GPOOL_GRANULE_BYTES):
            return False
        count = min(self.region.bytes // GPOOL_GRANULE_BYTES, <uint64_t>self.view.max_granules)
        if not self.runs.extend(<uint32_t>count):
            return False
        # Pairs with the acquire in gpool_published: the memory is there before the count says so.
        gpool_store_release_u32(&self.view.header.granule_count, <uint32_t>count)
        return True

    cdef uint32_t allocate(self, uint64_t bytes) noexcept:
        """Take a chain of extents that carries `bytes`. Return its first granule; 0 without a successful `reserve`.

        Returns 0, too, if free runs are damaged; granules taken until then are lost.
        """
        cdef uint32_t head = 0
        cdef gpool_extent *previous = NULL
        cdef uint32_t start, granules
        cdef gpool_extent *extent
        if (bytes + GPOOL_GRANULE_PAYLOAD - 1) // GPOOL_GRANULE_PAYLOAD > self.runs.free_granules:
            return 0
        while True:
            granules = <uint32_t>gpool_extent_granules(bytes)
            start = self.runs.run_for(granules)
            granules = min(granules, self.runs.length(start))
            if not self.runs.allocate(start, start, granules):
                return 0
            extent = <gpool_extent *>(self.view.arena + <uint64_t>start * GPOOL_GRANULE_BYTES)
            extent.link = gpool_link(granules == 1, 0)
            if granules != 1:
                extent.granules = granules
            if previous == NULL:
                head = start
            else:
                previous.link |= start
            previous = extent
            if bytes <= gpool_extent_capacity(granules):
                return head
            bytes -= gpool_extent_capacity(granules)

    cdef void release(self, uint32_t granule, uint64_t bytes) noexcept:
        """Free the whole chain of `bytes` that starts at `granule`. No bucket may lead to it any more.

        The pool is damaged if the chain leads to granules of no entry, or carries less or more than it was made for.
        """
        cdef gpool_extent *extent
        cdef uint32_t link, granules
        cdef uint64_t carried = 0
        while granule != 0:
            if granule >= self.runs.granule_count:
                self.view.damaged = True
                return
            extent = <gpool_extent *>(self.view.arena + <uint64_t>granule * GPOOL_GRANULE_BYTES)
            link = extent.link
            granules = 1 if gpool_link_single(link) else max(extent.granules, <uint32_t>2)
            # Freed granules are not used any more, so a chain that leads back into itself ends here, too.
            if granules > self.runs.granule_count - granule or not (
                self.runs.is_used(granule) and self.runs.is_used(granule + granules - 1)
            ):
                self.view.damaged = True
                return
            self.runs.release(granule, granules)
            carried += gpool_extent_capacity(granules)
            granule = gpool_link_next(link)
        if carried < bytes or carried - bytes >= GPOOL_GRANULE_BYTES:
            self.view.damaged = True

    cdef void set_aside(self, uint64_t keep_granules, uint64_t spare_granules, uint64_t now_ns) noexcept:
        """Set whole pages of the longest free runs aside until about `keep_granules` are left free.

        Up to `spare_granules` more stay free if they are in no whole huge page. A run keeps its first and last granule,
        which hold its list links and its length.
        """
        cdef uint32_t start, end
        cdef uint64_t wanted
        cdef Hole hole
        while self.runs.free_granules > keep_granules:
            start = self.runs.longest_list()
            if not self.runs.sound(start):
                return
            wanted = (self.runs.free_granules - keep_granules) * GPOOL_GRANULE_BYTES // PAGE_BYTES + 1
            if wanted < MIN_HOLE_PAGES:
                return
            wanted = min(wanted, <uint64_t>MAX_HOLE_PAGES)
            end = start + self.runs.length(start)
            if not (self.region.is_huge() and self._hole_in(start, end, wanted, True, now_ns, &hole)):
                if self.region.is_huge() and self.runs.free_granules <= keep_granules + spare_granules:
                    return
                if not self._hole_in(start, end, wanted, False, now_ns, &hole):
                    return
            if not self._add_hole(hole):
                return
            if not self.runs.allocate(start, hole.granule, hole.granules):
                self.hole_count -= 1
                return

    cdef bint _hole_in(
        self, uint32_t start, uint32_t end, uint64_t max_pages, bint huge, uint64_t now_ns, Hole *hole,
    ) noexcept:
        """Describe a hole of at most `max_pages` in the free run from `start` to before `end`; False if too short.

        `huge`: of whole huge pages.
        """
        hole.first_page = ((<uint64_t>start + 1) * GPOOL_GRANULE_BYTES + PAGE_BYTES - 1) // PAGE_BYTES
        hole.end_page = (<uint64_t>end - 1) * GPOOL_GRANULE_BYTES // PAGE_BYTES
        if huge:
            hole.first_page = self.region.next_huge(hole.first_page * PAGE_BYTES) // PAGE_BYTES
        if hole.end_page < hole.first_page + MIN_HOLE_PAGES:
            return False
        hole.end_page = min(hole.end_page, hole.first_page + max_pages)
        if huge:
            hole.end_page -= (hole.end_page - hole.first_page) % HUGE_PAGES
            if hole.end_page == hole.first_page:
                return False
        hole.granule = <uint32_t>(hole.first_page * PAGE_BYTES // GPOOL_GRANULE_BYTES)
        hole.granules = <uint32_t>(
            (hole.end_page * PAGE_BYTES + GPOOL_GRANULE_BYTES - 1) // GPOOL_GRANULE_BYTES) - hole.granule
        hole.backed = True
        hole.punched = False
        hole.set_aside_ns = now_ns
        return True

    cdef bint _add_hole(self, Hole hole) noexcept:
        """Remember a hole. False without memory."""
        cdef uint32_t room
        cdef Hole *grown
        if self.hole_count == self.hole_room:
            room = self.hole_room * 2 + 16
            grown = <Hole *>realloc(self.holes, room * sizeof(Hole))
            if grown == NULL:
                return False
            self.holes = grown
            self.hole_room = room
        self.holes[self.hole_count] = hole
        self.hole_count += 1
        return True

    cdef void punch(self, uint64_t before_ns) noexcept:
        """Give memory that was set aside before that time back to the file system, one hole in a call."""
        cdef uint32_t i
        cdef Hole *hole
        for i in range(self.hole_count):
            hole = &self.holes[i]
            if not hole.punched and hole.set_aside_ns < before_ns:
                hole.punched = self.region.punch(
                    hole.first_page * PAGE_BYTES, (hole.end_page - hole.first_page) * PAGE_BYTES)
                hole.backed = hole.backed and not hole.punched
                return

    cdef bint _fill(self) noexcept:
        """Make the end of the last hole usable again, 256 KiB or a huge page at a time. False when memory is refused."""
        cdef Hole *hole = &self.holes[self.hole_count - 1]
        cdef uint64_t pages = HUGE_PAGES if self.region.is_huge() else FILL_PAGES
        cdef uint64_t first = max(hole.first_page, hole.end_page - min(hole.end_page, pages))
        cdef uint32_t granule
        if hole.end_page - hole.first_page < pages + MIN_HOLE_PAGES:
            first = hole.first_page
        if not hole.backed and not self.region.back(first * PAGE_BYTES, (hole.end_page - first) * PAGE_BYTES):
            return False
        granule = hole.granule
        if first > hole.first_page:
            granule = <uint32_t>((first * PAGE_BYTES + GPOOL_GRANULE_BYTES - 1) // GPOOL_GRANULE_BYTES)
        self.runs.release(granule, hole.granule + hole.granules - granule)
        hole.granules = granule - hole.granule
        hole.end_page = first
        if hole.granules == 0:
            self.hole_count -= 1
        return True

    cdef uint64_t hole_granules(self) noexcept:
        cdef uint64_t total = 0
        cdef uint32_t i
        for i in range(self.hole_count):
            total += self.holes[i].granules
        return total
