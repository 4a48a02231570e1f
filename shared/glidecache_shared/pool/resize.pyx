"""A new generation of a pool, filled from the old: other bound, policy or metrics (docs/design/0013-resizing.md).

In steps. Between them the old generation is used as ever, by its readers and by the daemon, and knows nothing of this:

1. *narrow*: if the new bound is smaller, victims leave the old one in the policy's order until the rest fits;
2. *follow*: each entry is copied with its expiry and its flight, in the order of their records. Then all records are
   passed again, and changes are copied or removed, as long as much has changed since the last pass;
3. *finish*, whole: the same for the rest. Then accesses and counters are carried over, the new generation is opened and
   the old one retired. Last the accesses are carried over once more, because readers continued until now.

An entry is unchanged since it was copied if its record has the same tag: a record that changes hands gets another one.
"""

import errno
import os

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from glidecache_shared.pool.memory.access_board cimport guarded
from glidecache_shared.pool.clock cimport is_expired, monotonic_ns
from glidecache_shared.pool.layout cimport (
    GPOOL_STATE_RETIRED,
    gpool_charge,
    gpool_cursor,
    gpool_cursor_enter,
    gpool_cursor_write,
    gpool_entry,
    gpool_entry_kind,
    gpool_entry_open,
    gpool_granules,
    gpool_header,
    gpool_load_relaxed_u64,
    gpool_place,
    gpool_record,
    gpool_record_count,
    gpool_store_relaxed_u64,
    gpool_store_release_u32,
    gpool_tag_count,
    gpool_tag_kind,
)
from glidecache_shared.pool.memory.records cimport NO_RECORD, EntryNote
from glidecache_shared.pool.store cimport PoolStore

from glidecache_shared.pool.generation import PoolFull

cdef enum:
    # The work that `finish` may do in one piece: some 0.1 ms. A client that changes more than that during a pass of all
    # records is followed so many times.
    LITTLE = 256
    MOST_PASSES = 8

cdef struct Accesses:
    # What `carry` needs: both boards, the records of the entries in both, and whether the new policy counts.
    gpool_record *source
    gpool_record *target
    EntryNote *notes
    EntryNote *new_notes
    Copied *copied
    uint32_t first
    uint32_t end
    bint was_lfu
    bint is_lfu


cdef void carry(void *argument) noexcept nogil:
    """Copy the accesses of a range of old records to their entries' new records, under the new tags."""
    cdef Accesses *work = <Accesses *>argument
    cdef uint32_t record, target
    cdef uint64_t count
    cdef gpool_record *source
    for record in range(work.first, work.end):
        target = work.copied[record].record
        if work.notes[record].granule == 0 or target == NO_RECORD:
            continue
        source = &work.source[gpool_place(record)]
        count = gpool_record_count(gpool_load_relaxed_u64(&source.tag_count)) if work.was_lfu and work.is_lfu else 1
        gpool_store_relaxed_u64(
            &work.target[gpool_place(target)].tag_count, gpool_tag_count(work.new_notes[target].tag, count))
        gpool_store_relaxed_u64(
            &work.target[gpool_place(target)].last_access_ns, gpool_load_relaxed_u64(&source.last_access_ns))


cdef class PoolResize:
    """The change of one generation to the next: see resize.pyi for the public methods."""

    def __cinit__(self):
        self.copied = NULL

    def __dealloc__(self):
        free(self.copied)

    def __init__(
        self, PoolStore store not None, str directory not None, str pool_id not None, uint64_t generation, *,
        pool_mode, board_mode, now_ns=None, **settings,
    ):
        store._check_open()
        self.old = store
        self.new = PoolStore.create(
            directory, pool_id, generation, pool_mode=pool_mode, board_mode=board_mode, secret=store.files.secret(),
            now_ns=now_ns, opened=False, **settings)
        self.wanted_bytes = self.new.header.max_bytes
        self.weeded = self.wanted_bytes >= store.header.charged_bytes
        # An entry that would not fit must not be stored any more, nor push out those that fit.
        store.largest_bytes = min(store.largest_bytes, self.wanted_bytes)

    @property
    def paths(self) -> tuple:
        return self.new.files.pool.path, self.new.files.board.path

    def step(self, uint32_t count, now_ns=None) -> bool:
        cdef uint32_t end
        self._check_open()
        self.old._check_sound()
        if self.old.bound_bytes > self.wanted_bytes and not self._narrow(
            count, monotonic_ns() if now_ns is None else now_ns
        ):
            self.old._check_damage()
            return False
        self._make_room()
        end = min(<uint64_t>self.at + count, <uint64_t>self.room)
        while self.at < end:
            self.behind += self._follow(self.at)
            self.at += 1
        if self.at < self.room:
            return False
        self.passes += 1
        followed = self.behind <= LITTLE or self.passes == MOST_PASSES
        self.at = self.behind = 0
        self._check_both()
        return followed

    cdef bint _narrow(self, uint32_t count, uint64_t now) noexcept:
        """Bring the old generation below the new bound, by at most `count` evictions. Return whether it is."""
        if not self.weeded and not self._weed(count, now):
            return False
        while self.old.header.charged_bytes > self.wanted_bytes:
            if count == 0 or not self.old._evict(now):
                return False
            count -= 1
        self.old.bound_bytes = self.wanted_bytes
        return True

    cdef bint _weed(self, uint32_t count, uint64_t now) noexcept:
        """Evict entries that alone are over the new bound, before others make room. Return whether that is done."""
        cdef gpool_entry entry
        cdef gpool_cursor cursor
        cdef uint32_t end = min(<uint64_t>self.at + count, <uint64_t>self.old.records.count)
        while self.at < end:
            if self.old.records.notes[self.at].granule != 0:
                if not gpool_entry_open(self.old.view, self.old.records.notes[self.at].granule, &entry, &cursor):
                    self.old.view.damaged = True
                    return False
                if gpool_charge(entry.key_bytes, entry.payload_bytes) > self.wanted_bytes:
                    self.old._remove(self.at)
                    self.old._count(
                        &self.old.header.expirations if is_expired(&entry, now) else &self.old.header.evictions)
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

    cdef bint _follow(self, uint32_t record) except -1:
        """Update the new generation's copy of an old record's entry. Return whether it changed. Raises `PoolFull`."""
        cdef bint left = self._forget(record)
        cdef uint32_t other
        if record >= self.old.records.count or self.old.records.notes[record].granule == 0 or (
            self.copied[record].record != NO_RECORD
        ):
            return left
        if not self._copy(record):
            self._check_both()
            # Entries that have left the old generation since their copy may occupy the room: without them all fit.
            for other in range(self.room):
                self._forget(other)
            if not self._copy(record):
                self._check_both()
                raise PoolFull(f"no room for a second generation beside the first: {os.strerror(errno.ENOSPC)}")
        return True

    cdef int _check_both(self) except -1:
        self.old._check_damage()
        self.new._check_damage()
        return 0

    cdef bint _forget(self, uint32_t record) noexcept:
        """Remove the copy of a record's entry if that has left the old generation. Return whether it had."""
        cdef EntryNote *note = &self.old.records.notes[record]
        if self.copied[record].record == NO_RECORD or (
            record < self.old.records.count and note.granule != 0 and note.tag == self.copied[record].tag
        ):
            return False
        self.new._remove(self.copied[record].record)
        self.copied[record].record = NO_RECORD
        return True

    cdef bint _copy(self, uint32_t record) noexcept:
        """Copy the entry of one record. False when there is no room for it, or one of the generations is damaged."""
        cdef PoolStore old = self.old
        cdef PoolStore new = self.new
        cdef EntryNote *note = &old.records.notes[record]
        cdef gpool_entry entry
        cdef gpool_cursor source, target
        cdef uint64_t length, part
        cdef uint32_t granule, number
        if (
            not gpool_entry_open(old.view, note.granule, &entry, &source)
            or entry.record != record
            or gpool_charge(entry.key_bytes, entry.payload_bytes) > old.header.charged_bytes
        ):
            old.view.damaged = True
            return False
        length = <uint64_t>entry.key_bytes + entry.payload_bytes
        if not new.arena.reserve(gpool_granules(entry.key_bytes, entry.payload_bytes)):
            return False
        number = new.records.allocate()
        if number == NO_RECORD:
            return False
        granule = new.arena.allocate(sizeof(gpool_entry) + length)
        if granule == 0:
            new.records.release(number)
            return False
        entry.record = number
        entry.tag_kind = gpool_tag_kind(new.records.notes[number].tag, gpool_entry_kind(&entry))
        target.granule_count = new.arena.runs.granule_count
        gpool_cursor_enter(new.view, granule, &target)
        gpool_cursor_write(new.view, &target, <const unsigned char *>&entry, sizeof(gpool_entry))
        while length != 0:
            part = min(length, source.left)
            gpool_cursor_write(new.view, &target, source.at, part)
            length -= part
            if length != 0 and not gpool_cursor_enter(old.view, source.next, &source):
                old.view.damaged = True
                break
        new.board.reset(number, new.records.notes[number].tag, 0)
        if not new.index.insert(note.hash, granule):
            new.arena.release(granule, sizeof(gpool_entry) + <uint64_t>entry.key_bytes + entry.payload_bytes)
            new.records.release(number)
            return False
        new.records.notes[number].granule = granule
        new.records.notes[number].hash = note.hash
        new.records.notes[number].flight = note.flight
        new.header.charged_bytes += gpool_charge(entry.key_bytes, entry.payload_bytes)
        new.header.entry_count = new.index.entry_count
        self.copied[record].tag = note.tag
        self.copied[record].record = number
        return True

    def finish(self, now_ns=None) -> PoolStore:
        cdef PoolStore old = self.old
        cdef PoolStore new = self.new
        cdef uint32_t record
        self._check_open()
        if old.bound_bytes > self.wanted_bytes:
            raise ValueError("the pool is still over the new bound: step() has not returned True")
        self.old._check_sound()
        self._make_room()
        for record in range(self.room):
            self._follow(record)
        self._check_both()
        self._carry_accesses()
        new.beat(now_ns)
        self._carry_counters()
        # A daemon that is killed from here on leaves the new generation: readers learn of neither, or detach from the
        # old one.
        new.files.open()
        old.retire()
        # Once more: the accesses and hits of readers in between.
        self._carry_accesses()
        if new.late_hits is not None:
            new._count_late_hits(new.header.heartbeat_ns)
        self.old = self.new = None
        return new

    cdef int _carry_counters(self) except -1:
        cdef gpool_header *before = self.old.header
        cdef gpool_header *now = self.new.header
        if not self.old.counting:
            return 0
        now.misses = before.misses
        now.misses_expired = before.misses_expired
        now.misses_other_kind = before.misses_other_kind
        now.misses_own_write = before.misses_own_write
        now.evictions = before.evictions
        now.expirations = before.expirations
        now.forgotten = before.forgotten
        now.cached_key_writes = before.cached_key_writes
        self.new.inherit_hits(self.old)
        return 0

    cdef void _carry_accesses(self) noexcept:
        cdef Accesses work
        work.source = self.old.board.records
        work.target = self.new.board.records
        work.notes = self.old.records.notes
        work.new_notes = self.new.records.notes
        work.copied = self.copied
        work.was_lfu = self.old.board.is_lfu
        work.is_lfu = self.new.board.is_lfu
        work.first = 0
        work.end = min(self.room, self.old.records.count)
        self.old.board.merge()
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
            raise ValueError("the resize has ended")
        self.old._check_open()
        return 0
