from glidecached.frontend.request cimport Request
from glidecached.pools.entries cimport PoolEntries
from glidecached.sequence cimport Sequence
from glidecached.upstream.call cimport SingleCall
from glidecached.upstream.sender cimport UpstreamCore


cdef class Flights:
    cdef PoolEntries entries
    cdef Sequence next_sequence
    cdef FlightTable running
    # Apart from those: for a value of another type an MGET answers None, a GET with an error.
    cdef dict running_many

    cpdef object read(
        self, Request request, UpstreamCore upstream, long long min_flight, int kind, bytes key, int lane=*)
    cpdef object read_many(
        self, Request request, UpstreamCore upstream, long long min_flight, list keys, dict known, int lane=*,
        ManyReadsParts parts=*, Py_ssize_t part=*)
    cdef Flight new_flight(self, Request request, UpstreamCore upstream, int kind, bytes key, Py_hash_t hash)


cdef class FlightTable:
    # Chains of flights, by hash; as many as the next power of two above the number of flights.
    cdef list chains
    cdef readonly Py_ssize_t count

    cdef Flight find(self, int kind, bytes key, Py_hash_t hash)
    cdef int add(self, Flight flight) except -1
    cdef object discard(self, Flight flight)
    cdef int resize(self, Py_ssize_t room) except -1


cdef class Flight(SingleCall):
    cdef Flights flights
    cdef UpstreamCore upstream
    cdef long long number
    cdef int kind
    cdef bytes key
    # Its place in the table, while later requests may join it.
    cdef Py_hash_t hash
    cdef bint listed
    cdef Flight next_in_chain
    # The requests that wait for it.
    cdef Request first
    cdef Request last

    cdef void join(self, Request request) noexcept
    cdef bint may_be_joined(self, Request request) except -1
    cdef int land(self) except -1


cdef class ManyFlight(SingleCall):
    cdef Flights flights
    cdef UpstreamCore upstream
    cdef long long number
    # By key, in the order of the request; None until the reply has arrived.
    cdef dict values
    cdef list waiting

    cdef int land(self) except -1


cdef class ManyReads:
    cdef Request request
    cdef list keys
    cdef dict values
    cdef Py_ssize_t flights_left
    # The whole of which these reads are a part, and the part's number; None where they are the whole.
    cdef ManyReadsParts parts
    cdef Py_ssize_t part

    cdef int add(self, dict values) except -1


cdef class ManyReadsParts:
    cdef Request request
    cdef list values
    cdef Py_ssize_t left

    cdef int add(self, Py_ssize_t part, list values) except -1
