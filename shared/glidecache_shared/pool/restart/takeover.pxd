from libc.stdint cimport uint64_t

from glidecache_shared.pool.generation cimport PoolGeneration

cdef object resume(PoolGeneration store, bint is_lfu, uint64_t now_ns)
cdef object seal(PoolGeneration store, uint64_t now_ns)
