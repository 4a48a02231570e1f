from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.store cimport PoolStore


cdef uint32_t scattered(uint32_t key_hash) noexcept


cdef class KeyHasher:
    cdef uint64_t[2] secret

    cdef int use_secret_of(self, PoolStore store) except -1
    cdef uint32_t hash(self, bytes key) noexcept
    cdef bytes hash_all(self, list keys)
