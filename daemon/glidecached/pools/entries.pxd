from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.store cimport PoolStore


cdef class PoolEntries:
    cdef public PoolStore _store
    cdef public bint ended

    cpdef object lookup(self, bytes key, uint32_t kind, uint64_t floor)
    cpdef list lookup_many(self, list keys, uint32_t kind, uint64_t floor)
