from libc.stdint cimport int64_t


cdef class Timer:
    cdef object callback
    cdef tuple arguments
    cdef bint cancelled


cdef class Loop:
    cdef object poller
    cdef int descriptor
    cdef dict handlers
    # A heap of (when, number, Timer).
    cdef list timers
    cdef int64_t timer_number
    cdef list deferred
    cdef object from_threads
    # Work for turns in which nothing else happens, and the time of the last such work.
    cdef object idle
    cdef int64_t idled_ns
    cdef object intake
    cdef bint intake_announced
    cdef bint running
    cdef int wake_reader
    cdef int wake_writer

    cpdef object defer(self, object callback)
    cpdef object when_idle(self, object callback)
    cdef int handle_events(self) except -1
    cdef int run_idle(self, int events) except -1
    cdef int run_timers(self) except -1
    cdef int wait_ms(self) except -1
