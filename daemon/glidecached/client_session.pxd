from libc.stdint cimport int64_t

from glidecached.command_order cimport CommandOrder
from glidecached.pools.entries cimport PoolEntries
from glidecached.single_flight cimport Flights


cdef class ClientSession:
    cdef readonly object session_id
    cdef readonly int64_t uid
    # The process and user in whose share it counts.
    cdef object holder
    cdef readonly object upstream
    cdef readonly object upstream_name
    cdef readonly object pool
    # The pool's compiled parts, which requests use; None without a pool.
    cdef PoolEntries entries
    cdef Flights flights
    cdef bint awaits_proof
    cdef readonly str read_from
    cdef bint reads_primary
    cdef int64_t first_read
    cdef public int64_t floor
    cdef public int64_t pid
    cdef public int64_t used_ns
    cdef public dict watches
    cdef public set processes
    cdef readonly CommandOrder order

    cpdef object submit_read(self, object call, object next_number)
    cdef bint is_outdated(self) except -1


cdef class Sessions:
    cdef object loop
    cdef object shares
    cdef public int64_t idle_seconds
    cdef object by_id
    # The user and the floor of each forgotten session.
    cdef object forgotten
    cdef int64_t last_id

    cpdef ClientSession find(self, object session_id, int64_t uid, int64_t now_ns)
    cdef bint forget_oldest(self, int64_t uid, object pid) except -1
    cdef int forget(self, object session_id) except -1
