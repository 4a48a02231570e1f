from glidecached.command_order cimport CommandOrder
from glidecached.frontend.caller cimport Caller
from glidecached.frontend.request cimport Request
from glidecached.pools.entries cimport PoolEntries
from glidecached.sequence cimport Sequence
from glidecached.single_flight cimport Flights
from glidecached.upstream.call cimport SingleCall
from glidecached.upstream.sender cimport UpstreamCore


cdef class ClientSession:
    cdef readonly long long session_id
    cdef readonly long long uid
    # The process and user in whose share it counts.
    cdef object holder
    cdef readonly object upstream
    # Its compiled part, which requests use.
    cdef UpstreamCore core
    cdef readonly object upstream_name
    cdef readonly object pool
    # The pool's compiled parts, which requests use; None without a pool.
    cdef readonly PoolEntries entries
    cdef readonly Flights flights
    cdef readonly bint awaits_proof
    cdef readonly str read_from
    cdef bint reads_primary
    cdef long long first_read
    cdef public long long min_flight
    cdef public long long pid
    cdef public long long used_ns
    cdef public dict watches
    cdef public set processes
    cdef public object cache_label
    cdef readonly CommandOrder order

    # Its neighbours in the order of use.
    cdef ClientSession before
    cdef ClientSession behind
    cpdef object submit_read(self, SingleCall call, Sequence next_sequence)
    cpdef object advance(self, Sequence next_sequence)
    cdef bint is_outdated(self) except -1


cdef class Sessions:
    cdef object loop
    cdef object shares
    cdef public long long idle_seconds
    cdef dict by_id
    # Some of them, each at the place of its number's last bits: a look-up without a Python number.
    cdef list recent
    # In the order of use.
    cdef ClientSession oldest
    cdef ClientSession newest
    # The user and the least flight of each forgotten session.
    cdef object forgotten
    cdef long long last_id

    cpdef ClientSession find(self, object session_id, long long uid, long long now_ns)
    cpdef ClientSession of_request(self, Request request, object session_id)
    cdef ClientSession of_number(self, Request request, long long number)
    cdef void use(self, ClientSession session, long long now_ns) noexcept
    cdef void unlink(self, ClientSession session) noexcept
    cdef bint forget_oldest(self, long long uid, object pid) except -1
    cdef int forget(self, object session_id) except -1
