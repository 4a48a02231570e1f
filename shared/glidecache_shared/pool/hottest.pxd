from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.store cimport PoolStore


cdef list hottest_of(PoolStore store, uint32_t wanted, uint32_t most_key_bytes, uint64_t now_ns)
