from libc.stdint cimport uint32_t

from glidecache_shared.pool.layout cimport gpool_found, gpool_view
from glidecache_shared.pool.store cimport PoolStore

cdef read_entry(gpool_view *view, uint32_t granule, gpool_found *found)
cdef check_store(PoolStore store)
