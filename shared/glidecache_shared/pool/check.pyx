"""Checks of a whole pool: its structure, from inside; its entries, from outside, beside a living daemon.

`check_store` walks a store's pool and compares everything in it: for tests. It raises `AssertionError` with the first
contradiction.

`verify_entries` reads a pool as readers do: for `doctor`. It walks a chain by its version, its entries, and its version
again. Only entries seen under one even version count. A daemon that was killed within a change leaves an odd version
behind, and a busy one may change faster than this reads. Such chains are `unsettled`: nothing is known about them.
Nothing is written, and no entry is touched.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc

from glidecache_shared.pool.layout cimport (
    GPOOL_BUCKET_SLOTS,
    GPOOL_GRANULE_BYTES,
    GPOOL_READER_CHAIN,
    gpool_bucket,
    gpool_bucket_of,
    gpool_charge,
    gpool_cursor_copy,
    gpool_entry_checksum,
    gpool_entry_kind,
    gpool_entry_open,
    gpool_entry_tag,
    gpool_extent,
    gpool_fence_acquire,
    gpool_found,
    gpool_free_run,
    gpool_link_next,
    gpool_link_single,
    gpool_load_acquire_u64,
    gpool_load_relaxed_u64,
    gpool_next_bucket,
    gpool_published,
    gpool_siphash13,
    gpool_slot_granule,
    gpool_slot_hash,
    gpool_spin_hint,
    gpool_view,
)
from glidecache_shared.pool.memory.arena cimport Arena
from glidecache_shared.pool.memory.free_runs cimport CLASSES, FreeRuns, class_of, run_at, run_footer
from glidecache_shared.pool.memory.hash_index cimport Index
from glidecache_shared.pool.reader cimport PoolReader
from glidecache_shared.pool.store cimport PoolStore

from typing import NamedTuple

cdef enum:
    ATTEMPTS = 256  # more than a lookup's: no request waits for this one



# ---- the structure, from inside


cdef read_entry(gpool_view *view, uint32_t granule, gpool_found *found):
    """Return the entry at `granule` as (key, kind, whether its checksum is right)."""
    cdef bytes key, payload
    if not gpool_entry_open(view, granule, &found.entry, &found.payload):
        raise AssertionError(f"granule {granule}: not an entry")
    key = PyBytes_FromStringAndSize(NULL, found.entry.key_bytes)
    gpool_cursor_copy(view, &found.payload, <uint8_t *>PyBytes_AS_STRING(key), found.entry.key_bytes)
    payload = PyBytes_FromStringAndSize(NULL, found.entry.payload_bytes)
    gpool_cursor_copy(view, &found.payload, <uint8_t *>PyBytes_AS_STRING(payload), found.entry.payload_bytes)
    kind = gpool_entry_kind(&found.entry)
    checksum = gpool_entry_checksum(
        kind, <const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key),
        <const uint8_t *>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
    return key, kind, checksum == found.entry.checksum


cdef check_store(PoolStore store):
    cdef uint64_t charged = 0
    cdef uint64_t granules = 1
    cdef gpool_found found
    cdef uint32_t record, granule
    check_free_runs(store.arena.runs)
    placed = check_index(store.index)
    for granule, hash in placed.items():
        key, _, sound = read_entry(store.view, granule, &found)
        assert sound, f"entry {key!r}: wrong checksum"
        assert store._hash(key) == hash, f"entry {key!r}: its slot carries another hash"
        record = found.entry.record
        assert record < store.records.count, f"entry {key!r}: record {record} is not in use"
        assert store.records.notes[record].granule == granule, f"entry {key!r}: record {record} is another's"
        assert store.records.notes[record].tag == gpool_entry_tag(&found.entry), f"entry {key!r}: tag differs"
        charged += gpool_charge(found.entry.key_bytes, found.entry.payload_bytes)
        granules += check_chain(store.arena, granule)
        assert store._find(key, store._hash(key), &found) and found.granule == granule, f"entry {key!r}: not found by its key"
    header = store.header
    assert charged == header.charged_bytes, f"charges add up to {charged}, header says {header.charged_bytes}"
    assert charged <= header.max_bytes, f"{charged} bytes charged, the bound is {header.max_bytes}"
    assert len(placed) == header.entry_count, f"{len(placed)} entries, header says {header.entry_count}"
    in_use = sum(1 for record in range(store.records.count) if store.records.notes[record].granule != 0)
    assert in_use == len(placed), f"{in_use} records in use for {len(placed)} entries"
    total = granules + store.arena.runs.free_granules + store.arena.hole_granules()
    count = store.arena.runs.granule_count
    assert total == count, f"{total} granules used, free or set aside, of {count}"


cdef check_chain(Arena arena, uint32_t granule):
    """Check a chain's granules and mark each used. With free ones they fill the arena, so none is in two chains."""
    cdef gpool_extent *extent
    cdef uint32_t count, i
    total = 0
    while granule != 0:
        extent = <gpool_extent *>(arena.view.arena + <uint64_t>granule * GPOOL_GRANULE_BYTES)
        count = 1 if gpool_link_single(extent.link) else extent.granules
        for i in range(count):
            assert arena.runs.is_used(granule + i), f"granule {granule + i} is in a chain and marked free"
        total += count
        granule = gpool_link_next(extent.link)
    return total


cdef check_index(Index index):
    """Check all chains of buckets. Return `{granule: hash}`."""
    cdef uint32_t number, overflow_seen = 0
    cdef gpool_bucket *bucket
    cdef uint64_t slot
    cdef bint ended
    found = {}
    for number in range(index.bucket_count):
        bucket = &index.view.primary[number]
        assert bucket.version & 1 == 0, f"bucket {number}: version is odd at rest"
        while True:
            ended = False
            for i in range(GPOOL_BUCKET_SLOTS):
                slot = bucket.slots[i]
                if slot == 0:
                    ended = True
                    continue
                assert not ended, f"bucket {number}: a hole between slots"
                assert gpool_bucket_of(gpool_slot_hash(slot), index.bucket_count) == number, (
                    f"bucket {number}: misplaced slot")
                assert gpool_slot_granule(slot) not in found, f"bucket {number}: two slots lead to one entry"
                found[gpool_slot_granule(slot)] = gpool_slot_hash(slot)
            if bucket.overflow == 0:
                break
            assert not ended, f"bucket {number}: an overflow bucket behind one that is not full"
            assert bucket.overflow <= index.overflow_ids.count, f"bucket {number}: overflow link out of range"
            assert not index.overflow_ids.is_free(bucket.overflow - 1), f"bucket {number}: a free overflow bucket"
            overflow_seen += 1
            bucket = &index.view.overflow[bucket.overflow - 1]
            assert bucket.slots[0] != 0, f"bucket {number}: an empty overflow bucket"
    in_use = index.overflow_in_use()
    assert overflow_seen == in_use, f"{overflow_seen} overflow buckets seen, {in_use} counted"
    assert len(found) == index.entry_count, f"{len(found)} entries in the index, {index.entry_count} counted"
    return found


cdef check_free_runs(FreeRuns runs):
    """Check all free runs: lists, bitmap and lengths agree, and neighbours are joined."""
    cdef uint32_t number, granule, previous, i
    cdef uint64_t total = 0
    cdef gpool_free_run *run
    for number in range(CLASSES):
        previous = 0
        granule = runs.heads[number]
        assert (granule != 0) == bool(runs.class_map[number >> 6] >> (number & 63) & 1), f"class {number}: map"
        while granule != 0:
            run = run_at(runs.view, granule)
            assert class_of(run.granules) == number, f"run at granule {granule} is in the wrong list"
            assert run.previous == previous, f"run at granule {granule}: broken back link"
            assert granule + run.granules <= runs.granule_count, f"run at granule {granule} ends outside"
            assert run_footer(runs.view, granule + run.granules - 1)[0] == run.granules, f"run {granule}: footer"
            assert runs.is_used(granule - 1), f"run at granule {granule} is not joined with the one before"
            for i in range(run.granules):
                assert not runs.is_used(granule + i), f"granule {granule + i} is free and marked used"
            total += run.granules
            previous = granule
            granule = run.next
    assert total == runs.free_granules, f"{total} granules in lists, {runs.free_granules} counted as free"


# ---- the entries, from outside


class Verification(NamedTuple):
    sound: int
    damaged: int
    unsettled: int


cdef class Copy:
    """Memory for one entry's key and payload, which grows to the longest."""

    cdef uint8_t *bytes
    cdef uint64_t length

    def __dealloc__(self):
        PyMem_Free(self.bytes)

    cdef int reserve(self, uint64_t length) except -1:
        if length <= self.length:
            return 0
        PyMem_Free(self.bytes)
        self.length = 0
        self.bytes = <uint8_t *>PyMem_Malloc(length)
        if self.bytes == NULL:
            raise MemoryError
        self.length = length
        return 0


def verify_entries(PoolReader reader not None):
    cdef Copy copy = Copy()
    cdef gpool_view *view = &reader.view
    cdef const gpool_bucket *bucket
    cdef uint64_t version
    cdef uint32_t number = 0, count, seen, wrong
    cdef uint64_t sound = 0, damaged = 0, unsettled = 0
    cdef int attempt
    while True:
        # Read again each time: a chain that is split meanwhile leaves its second half behind the last bucket.
        count = gpool_published(&view.header.bucket_count, view.max_buckets)
        if number >= count:
            return Verification(sound, damaged, unsettled)
        bucket = &view.primary[number]
        for attempt in range(ATTEMPTS):
            version = gpool_load_acquire_u64(&bucket.version)  # pairs with the release in end_change
            if version & 1:
                gpool_spin_hint()
                continue
            seen = wrong = 0
            if walk_chain(reader, copy, bucket, version, &seen, &wrong) and unchanged(bucket, version):
                sound += seen - wrong
                damaged += wrong
                break
        else:
            unsettled += 1
        number += 1
        PyErr_CheckSignals()


cdef inline bint unchanged(const gpool_bucket *bucket, uint64_t version) noexcept nogil:
    gpool_fence_acquire()  # pairs with the writer's release fence in begin_change
    return gpool_load_relaxed_u64(&bucket.version) == version


cdef bint walk_chain(
    PoolReader reader, Copy copy, const gpool_bucket *first, uint64_t version, uint32_t *seen, uint32_t *wrong,
) except -1:
    """Count the chain's entries and the wrong ones among them; False when it changed before that was done."""
    cdef const gpool_bucket *bucket = first
    cdef uint64_t slot
    cdef uint32_t links = 0
    cdef int i
    cdef gpool_found found
    while bucket != NULL and links < GPOOL_READER_CHAIN:
        for i in range(GPOOL_BUCKET_SLOTS):
            slot = gpool_load_relaxed_u64(&bucket.slots[i])
            if slot == 0:
                break
            seen[0] += 1
            if not gpool_entry_open(&reader.view, gpool_slot_granule(slot), &found.entry, &found.payload):
                wrong[0] += 1
                continue
            if not unchanged(first, version):
                return False  # a race may have produced the length: no allocation by it
            copy.reserve(<uint64_t>found.entry.key_bytes + found.entry.payload_bytes)
            if not is_sound(reader, copy, &found, gpool_slot_hash(slot)):
                wrong[0] += 1
        bucket = gpool_next_bucket(&reader.view, bucket)
        links += 1
    return True


cdef bint is_sound(PoolReader reader, Copy copy, gpool_found *found, uint32_t hash) noexcept nogil:
    """Return whether the entry's checksum is right, and its slot carries its key's hash."""
    cdef uint32_t key_bytes = found.entry.key_bytes, payload_bytes = found.entry.payload_bytes
    cdef uint8_t *payload = copy.bytes + key_bytes
    return (
        gpool_cursor_copy(&reader.view, &found.payload, copy.bytes, key_bytes)
        and gpool_cursor_copy(&reader.view, &found.payload, payload, payload_bytes)
        and gpool_entry_checksum(gpool_entry_kind(&found.entry), copy.bytes, key_bytes, payload, payload_bytes)
        == found.entry.checksum
        and <uint32_t>gpool_siphash13(reader.secret[0], reader.secret[1], copy.bytes, key_bytes) == hash
    )
