cimport cython
from libc.stdint cimport uint32_t, uint64_t

from cpython.object cimport PyObject

from glidecache_shared.pool.layout cimport gpool_bucket, gpool_record, gpool_ring_view, gpool_shard, gpool_view
from glidecache_shared.pool.files.mapping cimport MappedFile


cdef enum:
    DECODED_VALUES = 32


cdef struct decoded_value:
    const gpool_bucket *bucket
    uint64_t version
    uint32_t granule
    PyObject *value  # NULL until the entry is read for the second time


@cython.final
cdef class PoolReader:
    cdef gpool_view view
    cdef gpool_record *records
    cdef gpool_shard *shards
    cdef gpool_ring_view ring
    cdef uint64_t secret[2]
    cdef uint64_t grace_ns
    cdef bint is_lfu
    cdef bint metrics_on
    cdef decoded_value decoded[DECODED_VALUES]
    cdef MappedFile file
    cdef MappedFile board_file

    cdef object read(self, object key, uint32_t kind, uint64_t now_ns)


cdef class CachedReads:
    cdef public PoolReader _reader
