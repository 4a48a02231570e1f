from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.store cimport PoolStore


cdef struct Copied:
    # The place of an old generation's entry, by its record there, in the new one: until it has left the old one.
    uint32_t tag
    uint32_t record  # NO_RECORD: it was not copied


cdef class PoolResize:
    cdef PoolStore old
    cdef PoolStore new
    cdef Copied *copied
    cdef uint32_t room
    cdef uint32_t at
    cdef uint32_t behind
    cdef uint32_t passes
    cdef uint64_t wanted_bytes
    cdef bint weeded

    cdef bint _narrow(self, uint32_t count, uint64_t now) noexcept
    cdef bint _weed(self, uint32_t count, uint64_t now) noexcept
    cdef int _make_room(self) except -1
    cdef bint _follow(self, uint32_t record) except -1
    cdef int _check_both(self) except -1
    cdef bint _forget(self, uint32_t record) noexcept
    cdef bint _copy(self, uint32_t record) noexcept
    cdef void _carry_accesses(self) noexcept
    cdef int _carry_counters(self) except -1
    cdef int _check_open(self) except -1
