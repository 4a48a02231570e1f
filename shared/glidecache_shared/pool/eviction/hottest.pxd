from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.generation cimport PoolGeneration


cdef list hottest_of(PoolGeneration store, uint32_t wanted, uint32_t most_key_bytes, uint64_t now_ns)
