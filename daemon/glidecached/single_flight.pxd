from libc.stdint cimport uint32_t, uint64_t

from glidecached.frontend.request cimport Request
from glidecached.many_reads cimport ManyFlights
from glidecached.pools.entries cimport PoolEntries
from glidecached.sequence cimport Sequence
from glidecached.upstream.call cimport SingleCall
from glidecached.upstream.sender cimport UpstreamCore


cdef class Flights:
    cdef PoolEntries entries
    cdef Sequence next_sequence
    cdef FlightTable running
    cdef readonly ManyFlights many

    cpdef object read(
        self, Request request, UpstreamCore upstream, long long min_flight, int kind, bytes key, uint32_t key_hash,
        int lane=*)
    cdef Flight new_flight(self, Request request, UpstreamCore upstream, int kind, bytes key, uint32_t key_hash)
    cdef TtlFlight new_ttl_flight(self)


cdef class FlightTable:
    # Chains of flights, by hash; as many as the next power of two above the number of flights.
    cdef list chains
    cdef readonly Py_ssize_t count

    cdef Flight find(self, int kind, bytes key, uint32_t key_hash)
    cdef int add(self, Flight flight) except -1
    cdef object discard(self, Flight flight)
    cdef int resize(self, Py_ssize_t room) except -1


cdef class Flight(SingleCall):
    cdef Flights flights
    cdef UpstreamCore upstream
    cdef long long number
    cdef int kind
    cdef bytes key
    # Of its key, in that generation of the pool.
    cdef uint32_t hash
    cdef Py_ssize_t generation
    # Until it has landed.
    cdef bint flying
    # Its place in the table, while later requests may join it.
    cdef bint listed
    cdef Flight next_in_chain
    # The requests that wait for it.
    cdef Request first
    cdef Request last
    # When its reply ends at the server (`PoolEntries.expiry`); 0 if it did not ask.
    cdef uint64_t expires_ns

    cdef void join(self, Request request) noexcept
    cdef bint may_be_joined(self, Request request) except -1
    cdef int land(self) except -1


cdef class TtlFlight(Flight):
    cdef uint64_t sent_ns
    cdef list replies
