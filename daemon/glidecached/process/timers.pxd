cdef class TimedTask:
    cpdef object run_timer(self)


cdef class Timer:
    # A task that is called in its place, without a look-up; or None.
    cdef TimedTask task
    cdef object callback
    cdef tuple arguments
    cdef bint cancelled
    cdef long long when_ns
    # The order of asking, for timers of the same time.
    cdef long long number

    cdef bint is_before(self, Timer other) noexcept


cdef class Timers:
    # A heap, the next timer first.
    cdef list heap
    cdef long long numbers

    cdef Timer add(self, long long when_ns, object callback, tuple arguments)
    cdef Timer add_task(self, long long when_ns, TimedTask task)
    cdef Timer first(self)
    cdef Timer take_first(self)
    cdef int rise(self, Py_ssize_t place) except -1
    cdef int sink(self) except -1
