from glidecache_shared.pool.store cimport PoolStore


cdef class PoolEntries:
    cdef readonly PoolStore store
    cdef readonly bint ended
    cdef object label
    cdef object on_damage

    cpdef object lookup(self, bytes key, unsigned int kind, unsigned long long min_flight)
    cpdef list lookup_many(self, list[bytes] keys, unsigned int kind, unsigned long long min_flight)
    cpdef object insert(self, bytes key, unsigned int kind, object value, unsigned long long flight)
    cpdef object insert_many(self, dict[bytes, object] values, unsigned int kind, unsigned long long flight)
