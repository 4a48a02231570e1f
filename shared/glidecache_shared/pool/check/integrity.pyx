"""Walking a whole pool and checking that everything in it agrees: for tests and `doctor`.

Each function raises `AssertionError` naming the first contradiction.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from glidecache_shared.pool.memory.arena cimport Arena
from glidecache_shared.pool.memory.free_runs cimport CLASSES, FreeRun, FreeRuns, class_of, run_at, run_footer
from glidecache_shared.pool.memory.hash_index cimport Index
from glidecache_shared.pool.layout cimport (
    GPOOL_BUCKET_SLOTS,
    GPOOL_GRANULE_BYTES,
    GPOOL_LINK_NEXT,
    GPOOL_LINK_SINGLE,
    gpool_bucket,
    gpool_bucket_of,
    gpool_charge,
    gpool_cursor_copy,
    gpool_entry_checksum,
    gpool_entry_open,
    gpool_found,
    gpool_view,
)
from glidecache_shared.pool.store cimport PoolStore


cdef read_entry(gpool_view *view, uint32_t granule, gpool_found *found):
    """Return the entry at `granule` as (key, kind, whether its checksum is right)."""
    cdef bytes key, payload
    if not gpool_entry_open(view, granule, &found.entry, &found.payload):
        raise AssertionError(f"granule {granule}: not an entry")
    key = PyBytes_FromStringAndSize(NULL, found.entry.key_bytes)
    gpool_cursor_copy(view, &found.payload, <uint8_t *>PyBytes_AS_STRING(key), found.entry.key_bytes)
    payload = PyBytes_FromStringAndSize(NULL, found.entry.payload_bytes)
    gpool_cursor_copy(view, &found.payload, <uint8_t *>PyBytes_AS_STRING(payload), found.entry.payload_bytes)
    kind = found.entry.tag_kind & 0xFF
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
        assert store.records.notes[record].tag == found.entry.tag_kind >> 8, f"entry {key!r}: tag differs"
        charged += gpool_charge(found.entry.key_bytes, found.entry.payload_bytes)
        granules += check_chain(store.arena, granule)
        assert store._find(key, &found) and found.granule == granule, f"entry {key!r}: not found by its key"
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
    cdef uint32_t *extent
    cdef uint32_t link, count, i
    total = 0
    while granule != 0:
        extent = <uint32_t *>(arena.view.arena + <uint64_t>granule * GPOOL_GRANULE_BYTES)
        link = extent[0]
        count = 1 if link & GPOOL_LINK_SINGLE else extent[1]
        for i in range(count):
            assert arena.runs.is_used(granule + i), f"granule {granule + i} is in a chain and marked free"
        total += count
        granule = link & GPOOL_LINK_NEXT
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
                assert gpool_bucket_of(<uint32_t>(slot >> 32), index.bucket_count) == number, f"bucket {number}: misplaced slot"
                assert (slot & 0xFFFFFFFF) not in found, f"bucket {number}: two slots lead to one entry"
                found[slot & 0xFFFFFFFF] = slot >> 32
            if bucket.overflow == 0:
                break
            assert not ended, f"bucket {number}: an overflow bucket behind one that is not full"
            assert bucket.overflow <= index.overflow_numbers.count, f"bucket {number}: overflow link out of range"
            assert not index.overflow_numbers.is_free(bucket.overflow - 1), f"bucket {number}: a free overflow bucket"
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
    cdef FreeRun *run
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
