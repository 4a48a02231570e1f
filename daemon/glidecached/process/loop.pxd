from glidecached.process.epoll cimport EventPoll


cdef class Timer:
    cdef object callback
    cdef tuple arguments
    cdef bint cancelled


cdef class Loop:
    cdef EventPoll poll
    cdef dict handlers
    # A heap of (when, number, Timer).
    cdef list timers
    cdef long long timer_number
    cdef list deferred
    cdef object from_threads
    # Work for turns in which nothing else happens, and the time of the last such work.
    cdef object idle
    cdef long long idled_ns
    cdef object intake
    cdef bint intake_announced
    cdef bint running
    cdef int wake_reader
    cdef int wake_writer

    cpdef object defer(self, object callback)
    cpdef object when_idle(self, object callback)
    cdef int handle_events(self) except -1
    cdef object run_idle(self, int events)
    cdef object run_timers(self)
    cdef int wait_ms(self) except -1

cdef int call_back(object callback, tuple arguments) except -1
