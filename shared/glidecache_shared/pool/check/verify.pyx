"""Checking the entries of a pool from outside, beside its living writer: for `doctor`.

A chain is walked as readers walk it: version, entries, version again. Only entries seen under one even version count.
A daemon that was killed within a change leaves an odd version behind, and a busy one may change faster than this reads.
Such chains are `unsettled`: nothing is known about them. Nothing is written, and no entry is touched.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc

from glidecache_shared.pool.layout cimport (
    GPOOL_BUCKET_SLOTS,
    GPOOL_LAYOUT_VERSION,
    GPOOL_READER_CHAIN,
    gpool_bucket,
    gpool_cursor_copy,
    gpool_entry_checksum,
    gpool_entry_open,
    gpool_fence_acquire,
    gpool_found,
    gpool_load_acquire_u64,
    gpool_load_relaxed_u64,
    gpool_next_bucket,
    gpool_published,
    gpool_siphash13,
    gpool_spin_hint,
    gpool_view,
)
from glidecache_shared.pool.reader cimport PoolReader

from typing import NamedTuple

cdef enum:
    ATTEMPTS = 256  # more than a lookup's: no request waits for this one

LAYOUT_VERSION = GPOOL_LAYOUT_VERSION


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
    PoolReader reader, Copy copy, const gpool_bucket *first, uint64_t version, uint32_t *seen, uint32_t *wrong) except -1:
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
            if not gpool_entry_open(&reader.view, <uint32_t>slot, &found.entry, &found.payload):
                wrong[0] += 1
                continue
            if not unchanged(first, version):
                return False  # a race may have produced the length: no allocation by it
            copy.reserve(<uint64_t>found.entry.key_bytes + found.entry.payload_bytes)
            if not is_sound(reader, copy, &found, <uint32_t>(slot >> 32)):
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
        and gpool_entry_checksum(found.entry.tag_kind & 0xFF, copy.bytes, key_bytes, payload, payload_bytes)
        == found.entry.checksum
        and <uint32_t>gpool_siphash13(reader.secret[0], reader.secret[1], copy.bytes, key_bytes) == hash
    )
