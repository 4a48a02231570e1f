from libc.stdint cimport int64_t, uint32_t, uint64_t

from glidecache_shared.pool.generation cimport PoolGeneration
from glidecache_shared.pool.layout cimport gpool_entry, gpool_found


cdef class PoolStore(PoolGeneration):
    # Where `forget_below` notes the whole hashes of what it removes, of those whose low 32 bits are below a threshold.
    cdef list removed_hashes
    cdef uint64_t removed_below

    cpdef object lookup(self, bytes key, uint32_t kind, uint64_t after_flight=*, object now_ns=*)
    cpdef list lookup_many(self, list keys, uint32_t kind, uint64_t after_flight=*)
    cpdef bint insert(
        self, bytes key, uint32_t kind, object value, uint64_t flight=*, object now_ns=*, uint64_t expires_ns=*) except -1
    cpdef bint forget(self, bytes key, object now_ns=*) except -1
    cpdef int insert_many(self, dict entries, uint32_t kind, uint64_t flight=*) except -1
    # For callers that have the key's hash already (`gpool_siphash13` with the header's secret).
    cdef object find_value(self, bytes key, uint32_t hash, uint32_t kind, uint64_t after_flight, uint64_t now)
    cdef bint remove_key(self, bytes key, uint32_t hash, uint64_t now) except -1
    cdef list find_many(self, list keys, bytes hashes, uint32_t kind, uint64_t after_flight)
    cdef bint put(
        self, bytes key, uint32_t hash, uint32_t kind, object value, uint64_t flight, uint64_t expires_ns,
        object now_ns=*) except -1
    cdef bint counts_entries(self) noexcept
    cdef bint holds(self, bytes key, uint32_t hash, uint64_t now) except -1
    cdef bytes key_of_hash(self, uint64_t hash, gpool_found *found)
    cdef uint64_t expiry_from(self, uint64_t sent_ns, int64_t left_ms) noexcept
    cdef bint _store(
        self, bytes key, uint32_t hash, uint32_t kind, bytes payload, uint32_t record, uint64_t charge,
        uint64_t flight, uint64_t expires, uint64_t now,
    ) noexcept
    cdef bint _forget(self, uint32_t record, gpool_entry *entry, uint64_t now) except -1
    cdef bint _evict(self, uint64_t now) noexcept
    cdef void _prefetch_victim(self) noexcept
    cdef void _remove(self, uint32_t record) noexcept
    cdef bytes _key(self, uint32_t granule, gpool_found *found)
    cdef uint64_t _whole_hash(self, bytes key) noexcept
    cdef object _hash_of(self, uint32_t record)
    cdef uint32_t _hash(self, bytes key) noexcept
    cdef bint _find(self, bytes key, uint32_t hash, gpool_found *found) noexcept
    cdef bint _is_right(self, gpool_found *found) noexcept
    cdef bytes _payload(self, gpool_found *found)
    cdef void _count(self, uint64_t *counter) noexcept
