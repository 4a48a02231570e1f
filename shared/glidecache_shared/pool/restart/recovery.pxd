from libc.stdint cimport uint8_t, uint32_t, uint64_t

from glidecache_shared.pool.layout cimport gpool_view
from glidecache_shared.pool.memory.records cimport EntryNote

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


cdef void walk_index(void *walk) noexcept nogil
