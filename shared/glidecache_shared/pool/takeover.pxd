from libc.stdint cimport uint64_t

from glidecache_shared.pool.store cimport PoolStore

cdef object resume(PoolStore store, bint counts, uint64_t now_ns)
cdef object seal(PoolStore store, uint64_t now_ns)
