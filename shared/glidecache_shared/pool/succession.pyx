# cython: freethreading_compatible=True
"""A new generation of a pool, filled from the one in use: with another bound, policy or metrics (docs/design/0013-resizing.md).

In steps, between which the old generation is used as ever, by its readers and by the daemon, and knows nothing of this:

1. *narrow*: where the new bound is smaller, victims leave the old one in the policy's order until the rest fits;
2. *copy*: each entry with its expiry, its flight and its accesses, in the order of their records;
3. *finish*, whole: what has come or gone since it was passed is copied or removed, the new generation is opened,
   the old one retired; then the accesses are carried over once more, because readers went on until now.

An entry is the same as when it was copied if its record has the same tag: a record that changes hands gets another one.
"""

import errno
import os

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from glidecache_shared.pool.board cimport guarded
from glidecache_shared.pool.layout cimport (
    GC_COUNT_BITS,
    GC_COUNT_MASK,
    GC_STATE_RETIRED,
    gc_charge,
    gc_cursor,
    gc_cursor_enter,
    gc_cursor_write,
    gc_entry,
    gc_entry_expires_ns,
    gc_entry_open,
    gc_granules,
    gc_load_relaxed_u64,
    gc_place,
    gc_record,
    gc_store_relaxed_u64,
    gc_store_release_u32,
)
from glidecache_shared.pool.records cimport NO_RECORD, EntryNote
from glidecache_shared.pool.store cimport PoolStore, monotonic_ns

from glidecache_shared.pool.store import PoolFull

cdef struct Accesses:
    # What `carry` needs: both boards, whose entries are where, and whether the new policy counts.
    gc_record *source
    gc_record *target
    EntryNote *notes
    EntryNote *new_notes
    Copied *copied
    uint32_t first
    uint32_t end
    bint counted
    bint counts


cdef void carry(void *argument) noexcept nogil:
    """Give the entries of a range of old records the accesses that these have, under the tags of their new ones."""
    cdef Accesses *work = <Accesses *>argument
    cdef uint32_t record, target
    cdef uint64_t count
    cdef gc_record *source
    for record in range(work.first, work.end):
        target = work.copied[record].record
        if work.notes[record].granule == 0 or target == NO_RECORD:
            continue
        source = &work.source[gc_place(record)]
        count = gc_load_relaxed_u64(&source.tag_count) & GC_COUNT_MASK if work.counted and work.counts else 1
        gc_store_relaxed_u64(
            &work.target[gc_place(target)].tag_count, <uint64_t>work.new_notes[target].tag << GC_COUNT_BITS | count)
        gc_store_relaxed_u64(
            &work.target[gc_place(target)].last_access_ns, gc_load_relaxed_u64(&source.last_access_ns))


cdef class Succession:
    """One generation's way to the next: see succession.pyi for the public methods."""

    def __cinit__(self):
        self.copied = NULL

    def __dealloc__(self):
        free(self.copied)

    def __init__(
        self, PoolStore store not None, str directory not None, str pool_id not None, uint64_t generation, *,
        max_cache_kb, entry_ttl_ms, eviction_policy, enable_metrics, instance_id, grace_ms, pool_mode, board_mode,
        now_ns=None,
    ):
        store._check_open()
        self.old = store
        self.new = PoolStore.create(
            directory, pool_id, generation, max_cache_kb=max_cache_kb, entry_ttl_ms=entry_ttl_ms,
            eviction_policy=eviction_policy, enable_metrics=enable_metrics, instance_id=instance_id, grace_ms=grace_ms,
            pool_mode=pool_mode, board_mode=board_mode, secret=store.files.secret(), now_ns=now_ns, opened=False)
        self.wanted_bytes = self.new.header.max_bytes
        self.weeded = self.wanted_bytes >= store.header.charged_bytes
        # What would not fit must not come any more, nor push out what does.
        store.largest_bytes = min(store.largest_bytes, self.wanted_bytes)

    @property
    def paths(self) -> tuple:
        return self.new.files.pool.path, self.new.files.board.path

    def step(self, uint32_t count, now_ns=None) -> bool:
        cdef uint32_t end
        self._check_open()
        if self.old.bound_bytes > self.wanted_bytes and not self._narrow(count, monotonic_ns() if now_ns is None else now_ns):
            return False
        self._make_room()
        end = min(<uint64_t>self.at + count, <uint64_t>self.old.records.count)
        while self.at < end:
            if self.old.records.notes[self.at].granule != 0:
                self._copy(self.at)
            self.at += 1
        return self.at >= self.old.records.count

    cdef bint _narrow(self, uint32_t count, uint64_t now) noexcept:
        """Bring the old generation below the new bound, by at most `count` evictions; whether it is."""
        if not self.weeded and not self._weed(count, now):
            return False
        while self.old.header.charged_bytes > self.wanted_bytes:
            if count == 0 or not self.old._evict(now):
                return False
            count -= 1
        self.old.bound_bytes = self.wanted_bytes
        return True

    cdef bint _weed(self, uint32_t count, uint64_t now) noexcept:
        """Evict what alone is over the new bound, before anything that is not has to make room; whether that is done."""
        cdef gc_entry entry
        cdef gc_cursor cursor
        cdef uint64_t expires
        cdef uint32_t end = min(<uint64_t>self.at + count, <uint64_t>self.old.records.count)
        while self.at < end:
            if self.old.records.notes[self.at].granule != 0:
                gc_entry_open(self.old.view, self.old.records.notes[self.at].granule, &entry, &cursor)
                if gc_charge(entry.key_bytes, entry.payload_bytes) > self.wanted_bytes:
                    expires = gc_entry_expires_ns(&entry)
                    self.old._remove(self.at)
                    self.old._count(
                        &self.old.header.expirations if expires != 0 and now >= expires
                        else &self.old.header.evictions)
            self.at += 1
        if self.at < self.old.records.count:
            return False
        self.at = 0
        self.weeded = True
        return True

    cdef int _make_room(self) except -1:
        cdef uint32_t room = self.old.records.count
        cdef Copied *grown
        if room > self.room:
            grown = <Copied *>realloc(self.copied, <size_t>room * sizeof(Copied))
            if grown == NULL:
                raise MemoryError
            self.copied = grown
            while self.room < room:
                self.copied[self.room].record = NO_RECORD
                self.copied[self.room].tag = 0
                self.room += 1
        return 0

    cdef int _copy(self, uint32_t record) except -1:
        """Copy the entry of one record. Raises `PoolFull`, having copied none of it."""
        cdef PoolStore old = self.old
        cdef PoolStore new = self.new
        cdef EntryNote *note = &old.records.notes[record]
        cdef gc_entry entry
        cdef gc_cursor source, target
        cdef uint64_t length, part
        cdef uint32_t granule, number
        gc_entry_open(old.view, note.granule, &entry, &source)
        length = <uint64_t>entry.key_bytes + entry.payload_bytes
        if not new.arena.reserve(gc_granules(entry.key_bytes, entry.payload_bytes)):
            raise_full()
        number = new.records.take()
        if number == NO_RECORD:
            raise_full()
        granule = new.arena.allocate(sizeof(gc_entry) + length)
        entry.record = number
        entry.tag_kind = new.records.notes[number].tag << 8 | entry.tag_kind & 0xFF
        target.granule_count = new.arena.runs.granule_count
        gc_cursor_enter(new.view, granule, &target)
        gc_cursor_write(new.view, &target, <const unsigned char *>&entry, sizeof(gc_entry))
        while length != 0:
            part = min(length, source.left)
            gc_cursor_write(new.view, &target, source.at, part)
            length -= part
            if length != 0:
                gc_cursor_enter(old.view, source.next, &source)
        new.board.reset(number, new.records.notes[number].tag, 0)
        if not new.index.insert(note.hash, granule):
            new.arena.release(granule)
            new.records.give_back(number)
            raise_full()
        new.records.notes[number].granule = granule
        new.records.notes[number].hash = note.hash
        new.records.notes[number].flight = note.flight
        new.header.charged_bytes += gc_charge(entry.key_bytes, entry.payload_bytes)
        new.header.entry_count = new.index.entry_count
        self.copied[record].tag = note.tag
        self.copied[record].record = number
        return 0

    def finish(self, now_ns=None) -> PoolStore:
        cdef PoolStore old = self.old
        cdef PoolStore new = self.new
        self._check_open()
        if old.bound_bytes > self.wanted_bytes:
            raise ValueError("the pool is still over the new bound: step() has not returned True")
        self._reconcile()
        self._carry_accesses()
        new.beat(now_ns)
        # From here on a daemon that is killed leaves the new generation: readers have been told of neither, or leave the old.
        new.files.open()
        gc_store_release_u32(&old.header.state, GC_STATE_RETIRED)
        self._carry_accesses()  # once more: of what readers touched in between
        if old.counting:
            new.header.misses = old.header.misses
            new.header.misses_expired = old.header.misses_expired
            new.header.misses_other_kind = old.header.misses_other_kind
            new.header.misses_own_write = old.header.misses_own_write
            new.header.evictions = old.header.evictions
            new.header.expirations = old.header.expirations
            new.inherit_hits(old)
        self.old = self.new = None
        return new

    cdef int _reconcile(self) except -1:
        """Remove from the new generation what has left the old one, then copy what has come. Raises `PoolFull`."""
        cdef uint32_t record
        cdef EntryNote *note
        self._make_room()
        for record in range(self.room):
            if self.copied[record].record == NO_RECORD:
                continue
            note = &self.old.records.notes[record]
            if record >= self.old.records.count or note.granule == 0 or note.tag != self.copied[record].tag:
                self.new._remove(self.copied[record].record)
                self.copied[record].record = NO_RECORD
        for record in range(self.old.records.count):
            if self.old.records.notes[record].granule != 0 and self.copied[record].record == NO_RECORD:
                self._copy(record)
        return 0

    cdef void _carry_accesses(self) noexcept:
        cdef Accesses work
        work.source = self.old.board.records
        work.target = self.new.board.records
        work.notes = self.old.records.notes
        work.new_notes = self.new.records.notes
        work.copied = self.copied
        work.counted = self.old.board.counts
        work.counts = self.new.board.counts
        work.first = 0
        work.end = min(self.room, self.old.records.count)
        # A board that a worker truncated has lost its accesses anyway: the entries then count as never used.
        guarded(carry, &work)

    def abandon(self) -> None:
        if self.new is not None:
            self.old.largest_bytes = self.old.bound_bytes
            self.new.unlink()
            self.new.close()
            self.old = self.new = None

    cdef int _check_open(self) except -1:
        if self.new is None:
            raise ValueError("the succession has ended")
        self.old._check_open()
        return 0


cdef int raise_full() except -1:
    raise PoolFull(f"no room for a second generation beside the first: {os.strerror(errno.ENOSPC)}")
