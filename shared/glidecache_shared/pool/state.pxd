from libc.stdint cimport uint64_t

from glidecache_shared.pool.store cimport PoolStore

cdef object write_state(PoolStore store, uint64_t seal)
cdef bint read_state(PoolStore store, uint64_t seal) except -1
