"""The index, written: linear hashing over buckets of one cache line (Litwin 1980), one bucket at a time.

A chain is a primary bucket and its overflow buckets; its slots are filled from the front, without holes. The primary
bucket's version guards the whole chain: odd while it is changed, so that a reader throws away what it saw (a seqlock,
after Boehm, "Can seqlocks get along with programming language memory models?", 2012). Slots carry 32 bits of the
hash, enough to move entries at a split without reading them.

The use of overflow buckets is private. No chain is changed before it has been followed once and agreed with that. If it
does not, `view.damaged` is set and the chain is left alone.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from glidecache_shared.pool.layout cimport (
    GPOOL_BUCKET_BYTES,
    GPOOL_BUCKET_SLOTS,
    GPOOL_ENTRIES_PER_BUCKET,
    gpool_bucket,
    gpool_bucket_of,
    gpool_cursor,
    gpool_cursor_enter,
    gpool_entry,
    gpool_entry_kind,
    gpool_slot,
    gpool_slot_hash,
    gpool_store_relaxed_u32,
    gpool_store_relaxed_u64,
    gpool_store_release_u32,
    gpool_tag_kind,
    gpool_view,
)
from glidecache_shared.pool.files.mapping cimport Region
from glidecache_shared.pool.memory.id_bitmap cimport IdBitmap

cdef enum:
    SPLIT_SLOTS = 512  # a longer chain is not split: keyed hashing makes even 50 very unlikely


cdef class Index:
    """The daemon's side of one pool's index. `primary` and `overflow` are the file's two bucket regions."""

    @staticmethod
    cdef Index create(gpool_view *view, Region primary, Region overflow):
        cdef Index self = Index.__new__(Index)
        self.view = view
        self.primary = primary
        self.overflow = overflow
        self.overflow_ids = IdBitmap()
        self.entry_count = 0
        if not primary.ensure(GPOOL_BUCKET_BYTES):
            return None
        self.bucket_count = 1
        gpool_store_release_u32(&view.header.bucket_count, 1)
        return self

    @staticmethod
    cdef Index resume(gpool_view *view, Region primary, Region overflow):
        """Make the index of a file that another daemon wrote: `count_overflow` and `entry_count` follow."""
        cdef Index self = Index.__new__(Index)
        self.view = view
        self.primary = primary
        self.overflow = overflow
        self.overflow_ids = IdBitmap()
        self.bucket_count = view.header.bucket_count
        self.entry_count = 0
        return self

    cdef bint count_overflow(self, const uint8_t *linked) noexcept:
        """Take over the use of overflow buckets: a byte for each that the header counts. False without memory."""
        cdef uint32_t number
        if not self.overflow_ids.resume(self.view.header.overflow_count):
            return False
        for number in range(self.overflow_ids.count):
            if not linked[number]:
                self.overflow_ids.release(number)
        return True

    cdef gpool_bucket *bucket_for(self, uint32_t hash) noexcept:
        """Return the primary bucket of a hash."""
        return &self.view.primary[gpool_bucket_of(hash, self.bucket_count)]

    cdef bint insert(self, uint32_t hash, uint32_t granule) noexcept:
        """Lead readers to the entry at `granule`, whose bytes are complete. False if an overflow bucket is refused."""
        cdef gpool_bucket *bucket = self.bucket_for(hash)
        cdef bint done
        if not self._sound(bucket):
            return False
        begin_change(bucket)
        done = self._append(bucket, gpool_slot(hash, granule))
        end_change(bucket)
        if done:
            self.entry_count += 1
            if self.entry_count > <uint64_t>GPOOL_ENTRIES_PER_BUCKET * self.bucket_count:
                self._split()
        return done

    cdef bint remove(self, uint32_t hash, uint32_t granule) noexcept:
        """Take the entry at `granule` from readers. False when no slot leads to it."""
        cdef uint64_t slot = gpool_slot(hash, granule)
        cdef gpool_bucket *primary = self.bucket_for(hash)
        cdef gpool_bucket *bucket = primary
        cdef gpool_bucket *last
        cdef gpool_bucket *holder = NULL
        cdef int i, place = 0, end
        if not self._sound(primary):
            return False
        while holder == NULL:
            for i in range(GPOOL_BUCKET_SLOTS):
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
        while end + 1 < GPOOL_BUCKET_SLOTS and last.slots[end + 1] != 0:
            end += 1
        begin_change(primary)
        gpool_store_relaxed_u64(&holder.slots[place], last.slots[end])
        gpool_store_relaxed_u64(&last.slots[end], 0)
        if end == 0 and last != primary:
            self._shorten(primary)
        end_change(primary)
        self.entry_count -= 1
        return True

    cdef void set_record(self, uint32_t hash, uint32_t granule, uint32_t record, uint32_t tag) noexcept:
        """Write another access record into the entry at `granule`, which readers may be looking at."""
        cdef gpool_bucket *primary = self.bucket_for(hash)
        cdef gpool_cursor cursor
        cdef gpool_entry *entry
        cursor.granule_count = self.view.header.granule_count
        if not gpool_cursor_enter(self.view, granule, &cursor):
            return
        entry = <gpool_entry *>cursor.at
        begin_change(primary)
        gpool_store_relaxed_u32(&entry.record, record)
        gpool_store_relaxed_u32(&entry.tag_kind, gpool_tag_kind(tag, gpool_entry_kind(entry)))
        end_change(primary)

    cdef bint _sound(self, gpool_bucket *bucket) noexcept:
        """Return whether a primary bucket's chain is at rest, and leads through used overflow buckets to an end."""
        cdef uint32_t left = self.overflow_ids.count
        cdef bint sound = not bucket.version & 1
        while sound and bucket.overflow != 0:
            sound = (
                left != 0
                and bucket.overflow <= self.overflow_ids.count
                and not self.overflow_ids.is_free(bucket.overflow - 1)
            )
            if sound:
                bucket = &self.view.overflow[bucket.overflow - 1]
                left -= 1
        if not sound:
            self.view.damaged = True
        return sound

    cdef int _collect(self, uint32_t number, uint64_t *slots, int count) noexcept:
        """Copy the slots of a primary bucket's chain behind the first `count`.

        Returns the new count; -1 for more than `SPLIT_SLOTS`, and if the chain is damaged or a slot is in the wrong
        chain.
        """
        cdef gpool_bucket *bucket = &self.view.primary[number]
        cdef int i
        if not self._sound(bucket):
            return -1
        while True:
            for i in range(GPOOL_BUCKET_SLOTS):
                if bucket.slots[i] == 0:
                    return count
                if count == SPLIT_SLOTS:
                    return -1
                if gpool_bucket_of(gpool_slot_hash(bucket.slots[i]), self.bucket_count) != number:
                    self.view.damaged = True
                    return -1
                slots[count] = bucket.slots[i]
                count += 1
            if bucket.overflow == 0:
                return count
            bucket = &self.view.overflow[bucket.overflow - 1]

    cdef bint _append(self, gpool_bucket *bucket, uint64_t slot) noexcept:
        """Put a slot at the end of a chain that is being changed."""
        cdef uint32_t number
        cdef uint32_t links = 0
        cdef int i
        while bucket.overflow != 0:
            links += 1
            if links > self.overflow_ids.count or bucket.overflow > self.overflow_ids.count:
                self.view.damaged = True  # two chains had a bucket in common, and now it is a ring
                return False
            bucket = &self.view.overflow[bucket.overflow - 1]
        for i in range(GPOOL_BUCKET_SLOTS):
            if bucket.slots[i] == 0:
                gpool_store_relaxed_u64(&bucket.slots[i], slot)
                return True
        number = self._take_overflow()
        if number == 0:
            return False
        gpool_store_relaxed_u64(&self.view.overflow[number - 1].slots[0], slot)
        gpool_store_relaxed_u32(&bucket.overflow, number)
        return True

    cdef void _shorten(self, gpool_bucket *bucket) noexcept:
        """Take the last overflow bucket from a chain, with its content, and free it."""
        cdef gpool_bucket *primary = bucket
        cdef gpool_bucket *before = bucket
        cdef uint32_t number
        cdef uint32_t links = 0
        while True:
            number = before.overflow
            links += 1
            if links > self.overflow_ids.count or number > self.overflow_ids.count:
                self.view.damaged = True  # likewise
                gpool_store_relaxed_u32(&primary.overflow, 0)
                return
            bucket = &self.view.overflow[number - 1]
            if bucket.overflow == 0:
                break
            before = bucket
        gpool_store_relaxed_u32(&before.overflow, 0)
        empty(bucket)
        if self.overflow_ids.is_free(number - 1):
            self.view.damaged = True  # it was in two chains, and the other one is gone
            return
        self.overflow_ids.release(number - 1)

    cdef uint32_t _take_overflow(self) noexcept:
        """Return 1 + the lowest empty overflow bucket's number; 0 when the file system refuses memory for one."""
        cdef uint32_t count = self.overflow_ids.count
        if self.overflow_ids.free_count == 0:
            if not self.overflow.ensure((<uint64_t>count + 1) * GPOOL_BUCKET_BYTES) or not self.overflow_ids.extend():
                return 0
            empty(&self.view.overflow[count])  # a daemon may have been killed while it filled this place
            gpool_store_release_u32(&self.view.header.overflow_count, count + 1)
        return self.overflow_ids.allocate() + 1

    cdef uint32_t overflow_in_use(self) noexcept:
        return self.overflow_ids.count - self.overflow_ids.free_count

    cdef void _distribute(self, uint64_t *slots, int count) noexcept:
        """Put slots into the chains to which they now belong; there are enough overflow buckets."""
        cdef int i
        for i in range(count):
            self._append(self.bucket_for(gpool_slot_hash(slots[i])), slots[i])

    cdef void _split(self) noexcept:
        """Add one primary bucket and move to it the slots that belong there. Without memory, chains grow longer.

        Two chains never need more overflow buckets than the one they came from had, so nothing can fail half-way.
        A reader with the old bucket count looks into the old bucket. During the split it finds an odd version, after
        it a missing entry, and then checks the count again.
        """
        cdef uint64_t slots[SPLIT_SLOTS]
        cdef uint32_t number = self.bucket_count
        cdef gpool_bucket *old
        cdef gpool_bucket *new
        cdef int count
        if number >= self.view.max_buckets or not self.primary.ensure((<uint64_t>number + 1) * GPOOL_BUCKET_BYTES):
            return
        new = &self.view.primary[number]
        old = &self.view.primary[gpool_bucket_of(number, number)]  # the bucket of `number`, as a hash, until now
        count = self._collect(gpool_bucket_of(number, number), slots, 0)
        if count < 0:
            return
        # A place that comes back continues its count, and may be as left by a daemon that was killed in here.
        new.version = (max(new.version, self.view.header.next_version) + 1) & ~<uint64_t>1
        begin_change(old)
        begin_change(new)
        empty(new)
        while old.overflow != 0:
            self._shorten(old)
        empty(old)
        self.bucket_count = number + 1
        self._distribute(slots, count)
        # Pairs with the acquire in gpool_published: the new bucket is filled before the count leads there.
        gpool_store_release_u32(&self.view.header.bucket_count, number + 1)
        end_change(new)
        end_change(old)

    cdef bint merge(self) noexcept:
        """Undo a split: the last bucket's entries go back to their previous bucket. False when it cannot be done.

        A reader with the old count finds an odd version or an empty bucket in the last place, and then checks the
        count again. The place's memory stays until the region is shrunk, much later.
        """
        cdef uint64_t slots[SPLIT_SLOTS]
        cdef uint32_t number = self.bucket_count - 1
        cdef uint32_t spare
        cdef gpool_bucket *last
        cdef gpool_bucket *target
        cdef int count, more
        if number == 0:
            return False
        last = &self.view.primary[number]
        target = &self.view.primary[gpool_bucket_of(number, number)]
        count = self._collect(gpool_bucket_of(number, number), slots, 0)
        more = self._collect(number, slots, count) if count >= 0 else -1
        spare = self._take_overflow()  # two chains joined may need one overflow bucket more than they had
        if spare != 0:
            self.overflow_ids.release(spare - 1)
        if more < 0 or spare == 0:
            return False
        # Before the place is given up: a daemon that is killed meanwhile leaves no version that could come again.
        gpool_store_relaxed_u64(
            &self.view.header.next_version, max(self.view.header.next_version, last.version + 2))
        begin_change(target)
        begin_change(last)
        gpool_store_release_u32(&self.view.header.bucket_count, number)
        while target.overflow != 0:
            self._shorten(target)
        while last.overflow != 0:
            self._shorten(last)
        empty(target)
        empty(last)
        self.bucket_count = number
        self._distribute(slots, more)
        end_change(last)
        end_change(target)
        return True

    cdef bint lower_overflow(self) noexcept:
        """Move the highest overflow bucket in use to the lowest free place, and forget free ones at the end.

        Returns False when there is nothing left to gain, or no chain has that bucket: then the pool is damaged.
        """
        cdef uint32_t highest, number
        cdef gpool_bucket *source
        cdef gpool_bucket *target
        cdef gpool_bucket *primary
        cdef gpool_bucket *holder
        cdef int i
        self.overflow_ids.drop_free_end()
        gpool_store_release_u32(&self.view.header.overflow_count, self.overflow_ids.count)
        if self.overflow_ids.free_count == 0:
            return False
        highest = self.overflow_ids.count - 1
        source = &self.view.overflow[highest]
        primary = self.bucket_for(gpool_slot_hash(source.slots[0]))
        if not self._sound(primary):
            return False
        holder = primary
        while holder.overflow != highest + 1:
            if holder.overflow == 0:
                self.view.damaged = True
                return False
            holder = &self.view.overflow[holder.overflow - 1]
        number = self.overflow_ids.allocate()
        target = &self.view.overflow[number]
        begin_change(primary)
        for i in range(GPOOL_BUCKET_SLOTS):
            gpool_store_relaxed_u64(&target.slots[i], source.slots[i])
        gpool_store_relaxed_u32(&target.overflow, source.overflow)
        gpool_store_relaxed_u32(&holder.overflow, number + 1)
        empty(source)
        end_change(primary)
        self.overflow_ids.release(highest)
        return True
