from libc.stdint cimport uint32_t

from glidecache_shared.pool.layout cimport gc_found, gc_view
from glidecache_shared.pool.store cimport PoolStore

cdef read_entry(gc_view *view, uint32_t granule, gc_found *found)
cdef check_store(PoolStore store)
