from glidecache_shared.pool.reader cimport PoolReader


cdef list few_keys(object keys)


cdef class ManyKeys:
    cdef list values
    cdef readonly list missing
    cdef list places

    cpdef list filled(self, list replies)
