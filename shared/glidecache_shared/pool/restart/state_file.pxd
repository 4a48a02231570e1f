from libc.stdint cimport uint64_t

from glidecache_shared.pool.generation cimport PoolGeneration

cdef object write_state(PoolGeneration store, uint64_t seal)
cdef bint read_state(PoolGeneration store, uint64_t seal) except -1
