from libc.stdint cimport int64_t

from glidecached.process.loop cimport Loop
from glidecached.process.turn_end cimport Deferred
from glidecached.upstream.call cimport Call
from glidecached.upstream.call_queue cimport CallQueue
from glidecached.upstream.connection cimport Connection
from glidecached.upstream.latency_histogram cimport LatencyHistogram


cdef class Pipeline(Deferred):
    cdef readonly Connection connection
    cdef readonly CallQueue queue
    cdef readonly object reconnector
    cdef readonly object address
    cdef readonly object last_error
    cdef readonly object server_version
    cdef readonly Py_ssize_t connections_made
    cdef public bint on_demand
    cdef public double round_trip_ms
    cdef Loop _loop
    cdef object _handler
    cdef LatencyHistogram _latencies
    cdef object _closed_reason
    cdef Py_ssize_t _max_waiting
    cdef Py_ssize_t _stall_ms
    # The number of calls that are under way at once; 0 where it is not limited.
    cdef Py_ssize_t _window
    cdef Py_ssize_t _submitted
    cdef Py_ssize_t _failed
    cdef bint _unproved
    cdef object _watch
    cdef int64_t _used_ns

    cpdef object submit(self, Call call)
    cdef bint is_closed(self) noexcept
    cdef bint is_busy(self) noexcept
    cdef object _refuse(self, Call call, int code, str message)
