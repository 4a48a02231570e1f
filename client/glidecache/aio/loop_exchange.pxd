from libc.stdint cimport int64_t

from glidecache_shared.wire.dealer cimport Dealer


cdef class OpenCall:
    cdef object future
    cdef object number
    cdef Dealer dealer
    # The message, while it waits for the end of the loop's turn.
    cdef bytes queued
    # The deadline in the message, and the time at which the call was made.
    cdef int64_t deadline_ns
    cdef int64_t asked_ns
    # How long to wait for the reply.
    cdef int64_t until_ns
    # By how much the message left later than the call was made, if that was not at once.
    cdef int64_t late_ns


cdef class LoopExchange:
    cdef readonly dict open_calls
    cdef list queue
    cdef object connection_of
    cdef object loop
    cdef object create_future
    cdef Py_ssize_t inflight_requests
    cdef object timer
    cdef int64_t timer_ns

    cdef OpenCall begin(self, object connection, Dealer dealer, int64_t request_id, bytes message, int64_t deadline_ns)
    cdef int end(self, object connection, OpenCall call, bint answered) except -1
    cdef int watch(self, int64_t until_ns) except -1
    cdef int take(self, object connection, Dealer dealer) except -1
