from libc.stdint cimport uint64_t

from glidecached.frontend.request cimport Request
from glidecached.pools.entries cimport PoolEntries
from glidecached.sequence cimport Sequence
from glidecached.upstream.call cimport SingleCall
from glidecached.upstream.sender cimport UpstreamCore


cdef class ManyFlights:
    cdef PoolEntries entries
    cdef Sequence next_sequence
    cdef readonly Py_ssize_t count
    # The flights by their keys, except for the latest one: it is put there when another request comes meanwhile.
    cdef dict by_key
    cdef ManyFlight latest

    cpdef object read(
        self, Request request, UpstreamCore upstream, long long min_flight, list keys, bytes hashes, list values,
        int lane=*, ManyReadsParts parts=*, Py_ssize_t part=*)
    cdef ManyFlight new_flight(self, Request request, UpstreamCore upstream, list command, bytes hashes)
    cdef int list_latest(self) except -1


cdef class ManyFlight(SingleCall):
    cdef ManyFlights flights
    cdef UpstreamCore upstream
    cdef long long number
    # Of its keys, in the pool's generation at that time.
    cdef bytes hashes
    cdef Py_ssize_t generation
    cdef bint listed
    cdef bint landed
    # The reply by key; None until a request needs it that has joined the flight.
    cdef dict by_key
    cdef list waiting

    cdef object succeed_with(self, object reply, list lives)
    cdef uint64_t expiry(self, object left_ms)
    cdef int land(self) except -1
    cdef int store(self, list reply, list lives) except -1
    cdef dict values_by_key(self, list reply)


cdef class TtlManyFlight(ManyFlight):
    cdef uint64_t sent_ns
    cdef list replies


cdef class ManyReads:
    cdef Request request
    cdef list keys
    # In the order of the keys; None where there is none so far.
    cdef list values
    # For each key its place among those that `sent` asks for; -1 where another one gives it.
    cdef bytes places
    cdef ManyFlight sent
    cdef Py_ssize_t flights_left
    # The whole of which these reads are a part, and the part's number; None where they are the whole.
    cdef ManyReadsParts parts
    cdef Py_ssize_t part

    cdef int add(self, ManyFlight flight, list reply) except -1


cdef class ManyReadsParts:
    cdef Request request
    cdef list values
    cdef Py_ssize_t left

    cdef int add(self, Py_ssize_t part, list values) except -1
