"""A daemon's private record of a pool, saved in a file at a stop in order, so that the next one need not rebuild it.

`<id>.<generation>.state`, private to the daemon: a head, a note per access record, a bit per granule, the holes, and a
byte per overflow bucket. Finding all that again means reading each entry's header, a quarter of a second for a million
entries; this is read in sequence. The file belongs to one seal of the pool's header and has a checksum. One that does
not fit counts as none. It exists between two daemons only: the daemon that reads it removes it.
"""

import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize

from glidecache_shared.pool.memory.arena cimport Arena, Hole
from glidecache_shared.pool.memory.free_runs cimport CLASSES, CLASS_WORDS
from glidecache_shared.pool.memory.hash_index cimport Index
from glidecache_shared.pool.layout cimport gpool_sum
from glidecache_shared.pool.memory.records cimport EntryNote, Records
from glidecache_shared.pool.generation cimport PoolGeneration

cdef struct Head:
    uint64_t checksum  # of all that follows it
    uint64_t seal
    uint64_t entry_count
    uint64_t arena_bytes
    uint64_t class_map[CLASS_WORDS]
    uint32_t heads[CLASSES]
    uint32_t free_granules
    uint32_t record_count
    uint32_t granule_count
    uint32_t hole_count
    uint32_t overflow_count
    uint32_t unused

cdef struct Note:
    uint32_t granule
    uint32_t hash
    uint32_t tag


cdef str path_of(PoolGeneration store):
    return store.files.pool.path.removesuffix(".pool") + ".state"


cdef uint64_t length_of(Head *head) noexcept:
    return (
        sizeof(Head) + head.record_count * sizeof(Note) + (<uint64_t>head.granule_count + 7) // 8
        + head.hole_count * sizeof(Hole) + head.overflow_count)


cdef uint64_t checksum_of(uint8_t *text, uint64_t length) noexcept:
    return gpool_sum(text + sizeof(uint64_t), length - sizeof(uint64_t), 0)


cdef object write_state(PoolGeneration store, uint64_t seal):
    """Save everything beside the pool's files. Raises `OSError`, leaving no file."""
    cdef Head head
    cdef uint64_t length
    cdef uint32_t i
    cdef uint8_t *start
    cdef uint8_t *at
    cdef Note *note
    head.checksum = 0
    head.seal = seal
    head.entry_count = store.index.entry_count
    head.arena_bytes = store.arena.region.bytes
    memcpy(head.class_map, store.arena.runs.class_map, sizeof(head.class_map))
    memcpy(head.heads, store.arena.runs.heads, sizeof(head.heads))
    head.free_granules = store.arena.runs.free_granules
    head.record_count = store.records.count
    head.granule_count = store.arena.runs.granule_count
    head.hole_count = store.arena.hole_count
    head.overflow_count = store.index.overflow_ids.count
    head.unused = 0
    length = length_of(&head)
    text = PyByteArray_FromStringAndSize(NULL, length)
    start = <uint8_t *>PyByteArray_AS_STRING(text)
    at = start + sizeof(Head)
    for i in range(head.record_count):
        note = <Note *>at
        note.granule = store.records.notes[i].granule
        note.hash = store.records.notes[i].hash
        note.tag = store.records.notes[i].tag
        at += sizeof(Note)
    memcpy(at, store.arena.runs.used, (head.granule_count + 7) // 8)
    at += (head.granule_count + 7) // 8
    if head.hole_count != 0:
        memcpy(at, store.arena.holes, head.hole_count * sizeof(Hole))
    at += head.hole_count * sizeof(Hole)
    for i in range(head.overflow_count):
        at[i] = not store.index.overflow_ids.is_free(i)
    memcpy(start, &head, sizeof(Head))
    head.checksum = checksum_of(start, length)
    memcpy(start, &head, sizeof(Head))
    try:
        with open(path_of(store), "xb", opener=open_privately) as file:
            file.write(text)
    except OSError:
        remove(path_of(store))
        raise


cdef bint read_state(PoolGeneration store, uint64_t seal) except -1:
    """Give `store` arena, records and index from this seal's state file, and remove that; false when there is none."""
    cdef str path = path_of(store)
    cdef uint64_t length = 0
    cdef uint32_t i
    cdef uint8_t *start
    cdef Head head
    try:
        with open(path, "rb", opener=open_privately) as file:
            text = bytearray(os.fstat(file.fileno()).st_size)
            length = file.readinto(text)
    except FileNotFoundError:
        return False
    finally:
        remove(path)
    start = <uint8_t *>PyByteArray_AS_STRING(text)
    if seal == 0 or length < sizeof(Head):
        return False
    memcpy(&head, start, sizeof(Head))
    if head.seal != seal or length != length_of(&head) or head.checksum != checksum_of(start, length):
        return False
    if (
        head.record_count != store.header.record_count
        or head.granule_count != max(store.header.granule_count, <uint32_t>1)  # as FreeRuns counts
        or head.overflow_count != store.header.overflow_count
    ):
        return False
    restore(store, &head, start + sizeof(Head))
    return True


cdef object restore(PoolGeneration store, Head *head, uint8_t *at):
    cdef Note *notes = <Note *>at
    cdef uint32_t i
    cdef Arena arena = Arena.resume(store.view, store.files.arena)
    cdef Records records = Records.resume(store.header, store.board)
    cdef Index index = Index.resume(store.view, store.files.primary, store.files.overflow)
    if not records.ids.resume(head.record_count):
        raise MemoryError
    for i in range(head.record_count):
        records.notes[i].granule = notes[i].granule
        records.notes[i].hash = notes[i].hash
        records.notes[i].tag = notes[i].tag
        if notes[i].granule == 0:
            records.ids.release(i)
    at += head.record_count * sizeof(Note)
    memcpy(arena.runs.used, at, (head.granule_count + 7) // 8)
    at += (head.granule_count + 7) // 8
    memcpy(arena.runs.class_map, head.class_map, sizeof(head.class_map))
    memcpy(arena.runs.heads, head.heads, sizeof(head.heads))
    arena.runs.free_granules = head.free_granules
    arena.region.bytes = head.arena_bytes
    arena.holes = <Hole *>malloc(head.hole_count * sizeof(Hole) + 1)
    if arena.holes == NULL:
        raise MemoryError
    memcpy(arena.holes, at, head.hole_count * sizeof(Hole))
    arena.hole_count = arena.hole_room = head.hole_count
    at += head.hole_count * sizeof(Hole)
    if not index.count_overflow(at):
        raise MemoryError
    index.entry_count = head.entry_count
    store.arena = arena
    store.records = records
    store.index = index


def open_privately(path, flags):
    """Open a file, for `open`: readable and writable by this user alone, whatever the umask."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


cdef remove(str path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # there was none
