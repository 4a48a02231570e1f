cimport cython
from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.layout cimport gpool_record, gpool_shard, gpool_view
from glidecache_shared.pool.files.mapping cimport MappedFile


@cython.final
cdef class PoolReader:
    cdef gpool_view view
    cdef gpool_record *records
    cdef gpool_shard *shards
    cdef uint64_t secret[2]
    cdef uint64_t grace_ns
    cdef bint is_lfu
    cdef bint metrics_on
    cdef MappedFile file
    cdef MappedFile board_file

    cdef object read(self, object key, uint32_t kind, uint64_t now_ns)


cdef class CachedReads:
    cdef public PoolReader _reader
