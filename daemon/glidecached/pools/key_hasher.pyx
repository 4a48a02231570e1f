"""The hashes of keys in a pool (see key_hasher.pyi)."""

import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from glidecache_shared.pool.layout cimport gpool_siphash13
from glidecache_shared.pool.store cimport PoolStore


cdef uint64_t MULTIPLIER = int.from_bytes(os.urandom(8), "little") | 1


cdef uint32_t scattered(uint32_t key_hash) noexcept:
    return <uint32_t>(key_hash * MULTIPLIER >> 32)


cdef class KeyHasher:
    cdef int use_secret_of(self, PoolStore store) except -1:
        self.secret[0] = store.header.secret[0]
        self.secret[1] = store.header.secret[1]
        return 0

    cdef uint32_t hash(self, bytes key) noexcept:
        return <uint32_t>gpool_siphash13(
            self.secret[0], self.secret[1], <const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))

    cdef bytes hash_all(self, list keys):
        cdef Py_ssize_t count = len(keys)
        cdef bytes hashes = PyBytes_FromStringAndSize(NULL, count * sizeof(uint32_t))
        cdef uint32_t *at = <uint32_t *>PyBytes_AS_STRING(hashes)
        cdef Py_ssize_t index
        for index in range(count):
            at[index] = self.hash(<bytes?>keys[index])
        return hashes
