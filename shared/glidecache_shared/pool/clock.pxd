"""The clock of pool writers, CLOCK_MONOTONIC in ns, and the expiry of entries by it."""

from libc.stdint cimport uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from glidecache_shared.pool.layout cimport gpool_entry, gpool_entry_expires_ns

cdef inline uint64_t never_reached_ns() noexcept nogil:
    return <uint64_t>-1


cdef inline uint64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef inline uint64_t expiry(uint64_t now, uint64_t ttl_ns) noexcept nogil:
    """Return the time at which an entry stored now expires; 0 is never, as is a time that the clock cannot reach."""
    if ttl_ns == 0:
        return 0
    return now + ttl_ns if ttl_ns < never_reached_ns() - now else never_reached_ns()


cdef inline bint is_expired(const gpool_entry *entry, uint64_t now) noexcept nogil:
    cdef uint64_t expires = gpool_entry_expires_ns(entry)
    return expires != 0 and now >= expires
