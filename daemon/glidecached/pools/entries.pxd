from libc.stdint cimport int64_t, uint32_t, uint64_t

from glidecache_shared.pool.store cimport PoolStore
from glidecached.advice.pool_sampling cimport PoolSampling
from glidecached.pools.forgotten_keys cimport ForgottenKeys
from glidecached.pools.key_hasher cimport KeyHasher


cdef class PoolEntries:
    cdef readonly PoolStore store
    cdef readonly bint ended
    cdef readonly ForgottenKeys forgotten
    # The hash of the present generation, and a number that changes with it.
    cdef KeyHasher hasher
    cdef Py_ssize_t generation
    cdef object label
    cdef object on_damage
    # Whether flights ask for what the server's keys have left (contract C29), and the answers of no use.
    cdef public bint server_ttl
    cdef readonly Py_ssize_t ttl_failures
    # What is sampled of its traffic, or None; and what the server left the key whose end was asked for last.
    cdef public PoolSampling sampling
    cdef int64_t life_ns

    cpdef object lookup(self, bytes key, uint32_t kind, uint64_t min_flight)
    cdef object find(self, bytes key, uint32_t key_hash, uint32_t kind, uint64_t min_flight)
    cdef list find_many(self, list keys, bytes hashes, uint32_t kind, uint64_t min_flight)
    cpdef bint forget(self, bytes key, long long number) except -1
    cdef bint takes_writes(self) noexcept
    cpdef object written(self, bytes key)
    cpdef tuple forget_below(self, bytes prefix, uint32_t above, uint32_t count)
    cpdef object insert(self, bytes key, uint32_t kind, object value, uint64_t flight)
    cpdef object put(
        self, bytes key, uint32_t key_hash, Py_ssize_t generation, uint32_t kind, object value, uint64_t flight,
        uint64_t expires_ns)
    cdef uint64_t expiry(self, uint64_t sent_ns, object left_ms)
