# cython: freethreading_compatible=True
"""The index, written: linear hashing over buckets of one cache line (Litwin 1980), one bucket at a time.

A chain is a primary bucket and its overflow buckets; its slots are filled from the front, without holes. The primary
bucket's version guards the whole chain: odd while it is changed, so that a reader throws away what it saw (a seqlock,
after Boehm, "Can seqlocks get along with programming language memory models?", 2012). Slots carry 32 bits of the
hash, enough to move entries at a split without reading them.
"""

from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.layout cimport (
    GC_BUCKET_BYTES,
    GC_BUCKET_SLOTS,
    GC_ENTRIES_PER_BUCKET,
    gc_bucket,
    gc_bucket_of,
    gc_fence_release,
    gc_store_relaxed_u32,
    gc_store_relaxed_u64,
    gc_store_release_u32,
    gc_store_release_u64,
    gc_view,
)
from glidecache_shared.pool.mapping cimport Region

cdef enum:
    SPLIT_SLOTS = 512  # a chain that is longer is not split: keyed hashing makes even 50 a wonder


cdef inline void begin_change(gc_bucket *primary) noexcept nogil:
    """Make the chain's version odd, before anything in the chain changes."""
    gc_store_relaxed_u64(&primary.version, primary.version + 1)
    gc_fence_release()  # pairs with the reader's acquire fence: who sees a change below sees the odd version too


cdef inline void end_change(gc_bucket *primary) noexcept nogil:
    # Pairs with the reader's acquire load: who sees this version sees all that was changed before it.
    gc_store_release_u64(&primary.version, primary.version + 1)


cdef int collect_slots(gc_view *view, gc_bucket *bucket, uint64_t *slots) noexcept nogil:
    """Copy a chain's slots out; their number, or -1 when there are more than `SPLIT_SLOTS`."""
    cdef int count = 0
    cdef int i
    while True:
        for i in range(GC_BUCKET_SLOTS):
            if bucket.slots[i] == 0:
                return count
            if count == SPLIT_SLOTS:
                return -1
            slots[count] = bucket.slots[i]
            count += 1
        if bucket.overflow == 0:
            return count
        bucket = &view.overflow[bucket.overflow - 1]


cdef class Index:
    """The daemon's side of one pool's index. `primary` and `overflow` are the file's two bucket regions."""

    @staticmethod
    cdef Index over(gc_view *view, Region primary, Region overflow):
        cdef Index self = Index.__new__(Index)
        self.view = view
        self.primary = primary
        self.overflow = overflow
        self.overflow_count = 0
        self.overflow_in_use = 0
        self.free_overflow = 0
        self.entry_count = 0
        if not primary.ensure(GC_BUCKET_BYTES):
            return None
        self.bucket_count = 1
        gc_store_release_u32(&view.header.bucket_count, 1)
        return self

    cdef gc_bucket *bucket_for(self, uint32_t hash) noexcept:
        """The primary bucket of a hash."""
        return &self.view.primary[gc_bucket_of(hash, self.bucket_count)]

    cdef bint insert(self, uint32_t hash, uint32_t granule) noexcept:
        """Lead readers to the entry at `granule`, whose bytes are complete. False when an overflow bucket is refused."""
        cdef gc_bucket *bucket = self.bucket_for(hash)
        cdef bint done
        begin_change(bucket)
        done = self._append(bucket, <uint64_t>hash << 32 | granule)
        end_change(bucket)
        if done:
            self.entry_count += 1
            if self.entry_count > <uint64_t>GC_ENTRIES_PER_BUCKET * self.bucket_count:
                self._split()
        return done

    cdef bint remove(self, uint32_t hash, uint32_t granule) noexcept:
        """Take the entry at `granule` from readers. False when no slot leads to it."""
        cdef uint64_t slot = <uint64_t>hash << 32 | granule
        cdef gc_bucket *primary = self.bucket_for(hash)
        cdef gc_bucket *bucket = primary
        cdef gc_bucket *last
        cdef gc_bucket *holder = NULL
        cdef int i, place = 0, end
        while holder == NULL:
            for i in range(GC_BUCKET_SLOTS):
                if bucket.slots[i] == slot:
                    holder = bucket
                    place = i
                    break
            if holder == NULL:
                if bucket.overflow == 0:
                    return False
                bucket = &self.view.overflow[bucket.overflow - 1]
        last = holder
        while last.overflow != 0:
            last = &self.view.overflow[last.overflow - 1]
        end = 0
        while end + 1 < GC_BUCKET_SLOTS and last.slots[end + 1] != 0:
            end += 1
        begin_change(primary)
        gc_store_relaxed_u64(&holder.slots[place], last.slots[end])
        gc_store_relaxed_u64(&last.slots[end], 0)
        if end == 0 and last != primary:
            self._shorten(primary)
        end_change(primary)
        self.entry_count -= 1
        return True

    cdef bint _append(self, gc_bucket *bucket, uint64_t slot) noexcept:
        """Put a slot at the end of a chain that is being changed."""
        cdef uint32_t number
        cdef int i
        while bucket.overflow != 0:
            bucket = &self.view.overflow[bucket.overflow - 1]
        for i in range(GC_BUCKET_SLOTS):
            if bucket.slots[i] == 0:
                gc_store_relaxed_u64(&bucket.slots[i], slot)
                return True
        number = self._take_overflow()
        if number == 0:
            return False
        gc_store_relaxed_u64(&self.view.overflow[number - 1].slots[0], slot)
        gc_store_relaxed_u32(&bucket.overflow, number)
        return True

    cdef void _shorten(self, gc_bucket *bucket) noexcept:
        """Take the last overflow bucket from a chain, with whatever stands in it, and free it."""
        cdef gc_bucket *before = bucket
        cdef uint32_t number
        cdef int i
        while True:
            number = before.overflow
            bucket = &self.view.overflow[number - 1]
            if bucket.overflow == 0:
                break
            before = bucket
        gc_store_relaxed_u32(&before.overflow, 0)
        for i in range(GC_BUCKET_SLOTS):
            gc_store_relaxed_u64(&bucket.slots[i], 0)
        gc_store_relaxed_u32(&bucket.overflow, self.free_overflow)
        self.free_overflow = number
        self.overflow_in_use -= 1

    cdef uint32_t _take_overflow(self) noexcept:
        """1 + the number of an empty overflow bucket; 0 when the file system refuses memory for one."""
        cdef uint32_t number = self.free_overflow
        if number != 0:
            self.free_overflow = self.view.overflow[number - 1].overflow
            gc_store_relaxed_u32(&self.view.overflow[number - 1].overflow, 0)
        else:
            if not self.overflow.ensure((<uint64_t>self.overflow_count + 1) * GC_BUCKET_BYTES):
                return 0
            self.overflow_count += 1
            number = self.overflow_count
            gc_store_release_u32(&self.view.header.overflow_count, number)
        self.overflow_in_use += 1
        return number

    cdef void _split(self) noexcept:
        """Add one primary bucket and move to it what belongs there. Where memory is refused, chains grow longer instead.

        Two chains never need more overflow buckets than the one they came from had, so nothing can fail half-way.
        A reader with the old bucket count looks into the old bucket: during the split it meets an odd version, after
        it an entry that is gone, and then looks at the count again.
        """
        cdef uint64_t slots[SPLIT_SLOTS]
        cdef uint32_t number = self.bucket_count
        cdef gc_bucket *old
        cdef gc_bucket *new
        cdef int count, i
        if number >= self.view.max_buckets or not self.primary.ensure((<uint64_t>number + 1) * GC_BUCKET_BYTES):
            return
        new = &self.view.primary[number]
        old = &self.view.primary[gc_bucket_of(number, number)]  # where `number`, as a hash, belongs until now
        count = collect_slots(self.view, old, slots)
        if count < 0:
            return
        begin_change(old)
        begin_change(new)
        while old.overflow != 0:
            self._shorten(old)
        for i in range(GC_BUCKET_SLOTS):
            gc_store_relaxed_u64(&old.slots[i], 0)
        for i in range(count):
            if gc_bucket_of(<uint32_t>(slots[i] >> 32), number + 1) == number:
                self._append(new, slots[i])
            else:
                self._append(old, slots[i])
        self.bucket_count = number + 1
        # Pairs with the acquire in gc_published: the new bucket is filled before the count leads there.
        gc_store_release_u32(&self.view.header.bucket_count, number + 1)
        end_change(new)
        end_change(old)

    def check_integrity(self) -> dict:
        """Walk all chains; returns `{granule: hash}`. Raises `AssertionError` naming the first contradiction."""
        cdef uint32_t number, links, overflow_seen = 0
        cdef gc_bucket *bucket
        cdef uint64_t slot
        cdef bint ended
        found = {}
        for number in range(self.bucket_count):
            bucket = &self.view.primary[number]
            assert bucket.version & 1 == 0, f"bucket {number}: version is odd at rest"
            links = 0
            while True:
                ended = False
                for i in range(GC_BUCKET_SLOTS):
                    slot = bucket.slots[i]
                    if slot == 0:
                        ended = True
                        continue
                    assert not ended, f"bucket {number}: a hole between slots"
                    assert gc_bucket_of(<uint32_t>(slot >> 32), self.bucket_count) == number, f"bucket {number}: misplaced slot"
                    assert (slot & 0xFFFFFFFF) not in found, f"bucket {number}: two slots lead to one entry"
                    found[slot & 0xFFFFFFFF] = slot >> 32
                if bucket.overflow == 0:
                    break
                assert not ended, f"bucket {number}: an overflow bucket behind one that is not full"
                assert bucket.overflow <= self.overflow_count, f"bucket {number}: overflow link out of range"
                links += 1
                overflow_seen += 1
                bucket = &self.view.overflow[bucket.overflow - 1]
                assert bucket.slots[0] != 0, f"bucket {number}: an empty overflow bucket"
        assert overflow_seen == self.overflow_in_use, f"{overflow_seen} overflow buckets seen, {self.overflow_in_use} counted"
        assert len(found) == self.entry_count, f"{len(found)} entries in the index, {self.entry_count} counted"
        return found
