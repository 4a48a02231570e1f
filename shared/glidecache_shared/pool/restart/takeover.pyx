"""A store over an earlier daemon's files: the daemon's private record is read or rebuilt (architecture decision 14).

After a stop in order it is in a state file, and no entry is looked at. Otherwise the pool is recovered: its whole index
is walked, each entry verified, correct ones are kept and the rest dropped.

A daemon can be killed at any instruction. Then the chain that it was changing is half changed, granules are in no
entry, an overflow bucket is in no chain. Nothing here relies on the order in which it wrote. A slot is kept only if it
is in its own bucket and leads to a correct entry: its extents and record belong to no other entry, its checksum is
right, its key has that hash and is the only one of its kind. Everything outside kept entries is free. Readers of the
earlier daemon may be looking all the while: chains are changed under their versions, as always.

All of it is plain memory work, to be run under the guard against pages that a file has lost. Every loop is bounded by
counts that were checked against the file's length, and links are followed once.
"""

import errno
import os
from collections import namedtuple

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from cpython.bytearray cimport PyByteArray_AS_STRING

from glidecache_shared.pool.generation cimport PoolGeneration
from glidecache_shared.pool.layout cimport (
    GPOOL_BUCKET_BYTES,
    GPOOL_BUCKET_SLOTS,
    GPOOL_GRANULE_BYTES,
    GPOOL_KIND_SET,
    GPOOL_KIND_STRING,
    gpool_bucket,
    gpool_bucket_of,
    gpool_charge,
    gpool_cursor,
    gpool_cursor_copy,
    gpool_entry,
    gpool_entry_checksum,
    gpool_entry_kind,
    gpool_entry_open,
    gpool_entry_tag,
    gpool_extent,
    gpool_extent_capacity,
    gpool_fence_release,
    gpool_find,
    gpool_found,
    gpool_granules,
    gpool_link_next,
    gpool_link_single,
    gpool_load_acquire_u64,
    gpool_prefetch,
    gpool_siphash13,
    gpool_slot_granule,
    gpool_slot_hash,
    gpool_store_relaxed_u32,
    gpool_store_relaxed_u64,
    gpool_store_release_u64,
    gpool_view,
)
from glidecache_shared.pool.memory.access_board cimport Board, guarded
from glidecache_shared.pool.memory.arena cimport Arena
from glidecache_shared.pool.memory.hash_index cimport Index, begin_change, empty, end_change
from glidecache_shared.pool.memory.records cimport EntryNote, Records
from glidecache_shared.pool.restart.state_file cimport read_state, write_state

cdef enum:
    # Two chains, each of the greatest length that can be split or merged.
    MOST_LOST_BY_A_KILL = 1024
    GROUP_BUCKETS = 16  # so many buckets' entries are prefetched at once

cdef struct Walk:
    gpool_view *view
    # what is found: bits of granules, a note per record, a byte per overflow bucket, sums
    uint8_t *used
    EntryNote *notes
    uint8_t *linked
    uint64_t kept
    uint64_t dropped
    uint64_t charged
    # room for an entry that is in several extents
    uint8_t *scratch
    uint64_t scratch_bytes
    bint out_of_memory

Recovery = namedtuple("Recovery", "clean dropped")


cdef object resume(PoolGeneration store, bint is_lfu, uint64_t now_ns):
    """Give `store`, whose files are reached, its parts, except empty ones. Return why that cannot be, or None."""
    store.view = &store.files.view
    store.header = store.files.header
    store.board = Board.create(store.files.board, store.view.max_records, is_lfu)
    clean = read_state(store, store.files.unseal())
    # Memory for all that the header counts, before any of it is looked at.
    if not (
        store.files.primary.resume(<uint64_t>store.header.bucket_count * GPOOL_BUCKET_BYTES)
        and store.files.overflow.resume(<uint64_t>store.header.overflow_count * GPOOL_BUCKET_BYTES)
        and store.board.resume(store.header.record_count)
    ):
        return os.strerror(errno.ENOSPC)
    if clean:
        store.recovery = Recovery(True, 0)
        return None
    store.files.primary.fetch(store.files.primary.bytes)
    store.files.arena.fetch(<uint64_t>store.header.granule_count * GPOOL_GRANULE_BYTES)
    fault = recover(store)
    if fault is None and not store.arena.collect(now_ns):
        fault = os.strerror(errno.ENOSPC)
    return fault


cdef object recover(PoolGeneration store):
    """Find the correct entries, and so everything that is in use. Return why that cannot be, or None."""
    cdef Walk walk
    cdef uint64_t lost
    cdef uint64_t counted = store.header.entry_count
    cdef uint32_t max_chain = store.view.max_chain
    store.arena = Arena.resume(store.view, store.files.arena)
    store.records = Records.resume(store.header, store.board)
    store.index = Index.resume(store.view, store.files.primary, store.files.overflow)
    linked = bytearray(store.header.overflow_count + 1)
    memset(&walk, 0, sizeof(Walk))
    walk.view = store.view
    walk.used = store.arena.runs.used
    walk.notes = store.records.notes
    walk.linked = <uint8_t *>PyByteArray_AS_STRING(linked)
    store.view.max_chain = store.header.overflow_count + 1  # chains may be rings until they have been walked
    whole = guarded(walk_index, &walk)
    store.view.max_chain = max_chain
    free(walk.scratch)
    if not whole:
        return "it is damaged: memory that its header counts cannot be had"
    if walk.out_of_memory or not store.index.count_overflow(walk.linked) or not store.records.settle():
        return os.strerror(errno.ENOMEM)
    lost = max(walk.dropped, counted - min(walk.kept, counted))
    if lost > max(walk.kept, <uint64_t>MOST_LOST_BY_A_KILL):
        return f"it is damaged: {walk.kept} entries are right, {lost} are not"
    if walk.charged > store.header.max_bytes:
        return f"it is damaged: its entries' charges add up to {walk.charged} bytes, over the bound"
    store.index.entry_count = walk.kept
    store.recovery = Recovery(False, walk.dropped)
    gpool_store_relaxed_u64(&store.header.entry_count, walk.kept)
    gpool_store_relaxed_u64(&store.header.charged_bytes, walk.charged)
    return None


cdef object seal(PoolGeneration store, uint64_t now_ns):
    """Save what the next daemon needs, and seal the header last. Without room, the next daemon walks the pool."""
    cdef uint64_t seal
    gpool_store_relaxed_u64(&store.header.heartbeat_ns, now_ns)
    seal = store.files.next_seal()
    try:
        write_state(store, seal)
    except OSError:
        return False
    gpool_store_release_u64(&store.header.seal, seal)
    return True


# ---- recovery: the walk


cdef void walk_index(void *argument) noexcept nogil:
    """Walk all chains of a `Walk`, mending them, and empty the overflow buckets that are in none."""
    cdef Walk *walk = <Walk *>argument
    cdef uint32_t first, end, number
    cdef uint32_t count = walk.view.header.bucket_count
    fetch_extents(walk, 0, min(<uint32_t>GROUP_BUCKETS, count))
    first = 0
    while first < count:
        end = min(first + GROUP_BUCKETS, count)
        fetch_extents(walk, end, min(end + GROUP_BUCKETS, count))
        fetch_notes(walk, first, end)
        for number in range(first, end):
            mend_chain(walk, number)
        first = end
    for number in range(walk.view.header.overflow_count):
        if not walk.linked[number]:
            empty(&walk.view.overflow[number])


cdef void fetch_extents(Walk *walk, uint32_t first, uint32_t end) noexcept nogil:
    """Prefetch the first extents of the entries of some buckets. A fetch of nonsense does nothing."""
    cdef uint32_t number
    cdef int i
    cdef uint8_t *extent
    for number in range(first, end):
        for i in range(GPOOL_BUCKET_SLOTS):
            extent = walk.view.arena + <uint64_t><uint32_t>walk.view.primary[number].slots[i] * GPOOL_GRANULE_BYTES
            gpool_prefetch(extent)
            gpool_prefetch(extent + sizeof(gpool_entry) + 4)


cdef void fetch_notes(Walk *walk, uint32_t first, uint32_t end) noexcept nogil:
    """Prefetch the notes of these entries, now that their headers are there."""
    cdef uint32_t number
    cdef int i
    cdef gpool_cursor cursor
    cdef gpool_entry entry
    for number in range(first, end):
        for i in range(GPOOL_BUCKET_SLOTS):
            if gpool_entry_open(walk.view, <uint32_t>walk.view.primary[number].slots[i], &entry, &cursor) and (
                entry.record < walk.view.header.record_count
            ):
                gpool_prefetch(&walk.notes[entry.record])


cdef void mend_chain(Walk *walk, uint32_t number) noexcept nogil:
    """Keep the correct slots of a chain and close it up. A chain in which all are correct is not written."""
    cdef gpool_bucket *primary = &walk.view.primary[number]
    cdef gpool_bucket *bucket = primary
    cdef gpool_bucket *target = primary  # the place of the next kept slot: never ahead of the place that is read
    cdef uint64_t slot
    cdef uint32_t link
    cdef int i, place = 0
    cdef bint changing = gpool_load_acquire_u64(&primary.version) & 1
    if changing:
        gpool_fence_release()  # as in begin_change, for readers that saw the earlier daemon's odd version
    while True:
        for i in range(GPOOL_BUCKET_SLOTS):
            slot = bucket.slots[i]
            if slot == 0:
                continue
            if not keep(walk, number, slot):
                walk.dropped += 1
                continue
            if place == GPOOL_BUCKET_SLOTS:
                target = &walk.view.overflow[target.overflow - 1]
                place = 0
            if target != bucket or place != i:
                changing = change(primary, changing)
                gpool_store_relaxed_u64(&target.slots[place], slot)
            place += 1
        link = bucket.overflow
        if link == 0:
            break
        if link > walk.view.header.overflow_count or walk.linked[link - 1]:
            changing = change(primary, changing)
            gpool_store_relaxed_u32(&bucket.overflow, 0)
            break
        walk.linked[link - 1] = 1
        bucket = &walk.view.overflow[link - 1]
    for i in range(place, GPOOL_BUCKET_SLOTS):
        if target.slots[i] != 0:
            changing = change(primary, changing)
            gpool_store_relaxed_u64(&target.slots[i], 0)
    link = target.overflow
    if link != 0:
        changing = change(primary, changing)
        gpool_store_relaxed_u32(&target.overflow, 0)
    while link != 0:
        target = &walk.view.overflow[link - 1]
        walk.linked[link - 1] = 0
        link = target.overflow
        empty(target)
    if changing:
        end_change(primary)


cdef inline bint change(gpool_bucket *primary, bint changing) noexcept nogil:
    """Begin a change of the chain, if it has not begun."""
    if not changing:
        begin_change(primary)
    return True


cdef bint keep(Walk *walk, uint32_t number, uint64_t slot) noexcept nogil:
    """Return whether a slot of bucket `number` leads to a correct entry. If so, note it and mark its granules."""
    cdef uint32_t granule = gpool_slot_granule(slot)
    cdef uint32_t hash = gpool_slot_hash(slot)
    cdef gpool_entry entry
    cdef gpool_cursor cursor
    cdef EntryNote *note
    if gpool_bucket_of(hash, walk.view.header.bucket_count) != number or (
        not gpool_entry_open(walk.view, granule, &entry, &cursor)
    ):
        return False
    if not GPOOL_KIND_STRING <= gpool_entry_kind(&entry) <= GPOOL_KIND_SET or (
        entry.record >= walk.view.header.record_count
    ):
        return False
    note = &walk.notes[entry.record]
    if note.granule != 0 or not claim(walk, granule, &entry):
        return False
    if not is_genuine(walk, number, slot, &entry, &cursor):
        disclaim(walk, granule, <uint32_t>-1)
        return False
    note.flight = 0  # before every flight of this daemon (contract C22)
    note.granule = granule
    note.hash = hash
    note.tag = gpool_entry_tag(&entry)
    walk.kept += 1
    walk.charged += gpool_charge(entry.key_bytes, entry.payload_bytes)
    return True


cdef bint claim(Walk *walk, uint32_t granule, gpool_entry *entry) noexcept nogil:
    """Mark the granules of a chain as used. False, with nothing marked, if it is no valid chain: it leaves the arena,
    shares a granule with another, or does not carry the entry in as few extents as it may.
    """
    cdef uint64_t wanted = sizeof(gpool_entry) + <uint64_t>entry.key_bytes + entry.payload_bytes
    cdef uint64_t carried = 0, total = 0
    cdef uint64_t most = gpool_granules(entry.key_bytes, entry.payload_bytes)
    cdef uint32_t head = granule
    cdef uint32_t extents = 0, granules
    cdef gpool_extent *extent
    while carried < wanted:
        if granule == 0 or granule >= walk.view.header.granule_count:
            break
        extent = <gpool_extent *>(walk.view.arena + <uint64_t>granule * GPOOL_GRANULE_BYTES)
        granules = 1 if gpool_link_single(extent.link) else extent.granules
        if (granules < 2 and not gpool_link_single(extent.link)) or granules > walk.view.header.granule_count - granule:
            break
        total += granules
        if total > most or not mark_unused(walk.used, granule, granules):
            break
        extents += 1
        carried += gpool_extent_capacity(granules)
        granule = gpool_link_next(extent.link)
    if carried >= wanted and granule == 0:
        return True
    disclaim(walk, head, extents)
    return False


cdef void disclaim(Walk *walk, uint32_t granule, uint32_t extents) noexcept nogil:
    """Unmark the marks of `claim`: so many extents of the chain, or all of it."""
    cdef gpool_extent *extent
    cdef uint32_t i
    while extents != 0 and granule != 0:
        extent = <gpool_extent *>(walk.view.arena + <uint64_t>granule * GPOOL_GRANULE_BYTES)
        for i in range(granule, granule + (1 if gpool_link_single(extent.link) else extent.granules)):
            walk.used[i >> 3] &= ~(1 << (i & 7))
        extents -= 1
        granule = gpool_link_next(extent.link)


cdef bint mark_unused(uint8_t *used, uint32_t first, uint32_t count) noexcept nogil:
    """Mark granules that must all be unmarked; false, with nothing changed, when one is not."""
    cdef uint32_t i = first
    cdef uint32_t end = first + count
    while i < end:
        if i & 7 == 0 and end - i >= 8:
            if used[i >> 3] != 0:
                return False
            i += 8
        else:
            if used[i >> 3] >> (i & 7) & 1:
                return False
            i += 1
    i = first
    while i < end:
        if i & 7 == 0 and end - i >= 8:
            used[i >> 3] = 0xFF
            i += 8
        else:
            used[i >> 3] |= 1 << (i & 7)
            i += 1
    return True


cdef bint is_genuine(Walk *walk, uint32_t number, uint64_t slot, gpool_entry *entry, gpool_cursor *cursor) noexcept nogil:
    """Return whether an entry's bytes are as stored, under this hash, and it is the chain's first with its key."""
    cdef uint64_t length = <uint64_t>entry.key_bytes + entry.payload_bytes
    cdef const uint8_t *key = bytes_at(walk, cursor, length)
    cdef gpool_found found
    if key == NULL:
        return False
    if gpool_entry_checksum(
        gpool_entry_kind(entry), key, entry.key_bytes, key + entry.key_bytes, entry.payload_bytes) != entry.checksum:
        return False
    if <uint32_t>gpool_siphash13(
        walk.view.header.secret[0], walk.view.header.secret[1], key, entry.key_bytes) != gpool_slot_hash(slot):
        return False
    return not gpool_find(
        walk.view, &walk.view.primary[number], gpool_slot_hash(slot), key, entry.key_bytes, &found,
    ) or found.granule == gpool_slot_granule(slot)


cdef const uint8_t *bytes_at(Walk *walk, gpool_cursor *cursor, uint64_t length) noexcept nogil:
    """Return a chain's next bytes in one piece: in place, or a copy until the next call. NULL without memory."""
    cdef uint8_t *room
    if length <= cursor.left:
        return cursor.at
    if length > walk.scratch_bytes:
        room = <uint8_t *>realloc(walk.scratch, length)
        if room == NULL:
            walk.out_of_memory = True
            return NULL
        walk.scratch = room
        walk.scratch_bytes = length
    return walk.scratch if gpool_cursor_copy(walk.view, cursor, walk.scratch, length) else NULL
