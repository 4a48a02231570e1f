"""A store over an earlier daemon's files: the daemon's private record is read or rebuilt (architecture decision 14).

After a stop in order it is in a state file, and no entry is looked at. Otherwise the whole pool is walked, and each
entry verified.
"""

import errno
import os
from collections import namedtuple

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from cpython.bytearray cimport PyByteArray_AS_STRING

from glidecache_shared.pool.memory.arena cimport Arena
from glidecache_shared.pool.memory.access_board cimport Board, guarded
from glidecache_shared.pool.memory.hash_index cimport Index
from glidecache_shared.pool.layout cimport GPOOL_BUCKET_BYTES, GPOOL_GRANULE_BYTES, gpool_store_relaxed_u64, gpool_store_release_u64
from glidecache_shared.pool.memory.records cimport Records
from glidecache_shared.pool.restart.recovery cimport Walk, walk_index
from glidecache_shared.pool.restart.state_file cimport read_state, write_state
from glidecache_shared.pool.generation cimport PoolGeneration

cdef enum:
    # Two chains, each of the greatest length that can be split or merged.
    MOST_LOST_BY_A_KILL = 1024

Recovery = namedtuple("Recovery", "clean dropped")


cdef object resume(PoolGeneration store, bint counts, uint64_t now_ns):
    """Give `store`, whose files are reached, its parts, except empty ones. Return why that cannot be, or None."""
    store.view = &store.files.view
    store.header = store.files.header
    store.board = Board.over(store.files.board, store.view.max_records, counts)
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
    fault = walk(store)
    if fault is None and not store.arena.collect(now_ns):
        fault = os.strerror(errno.ENOSPC)
    return fault


cdef object walk(PoolGeneration store):
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
