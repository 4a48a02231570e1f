cdef class CommandOrder:
    cdef object loop
    # Requests on their way upstream, and the lane on which they travel.
    cdef readonly Py_ssize_t open
    cdef int lane
    # Whether one of them may write.
    cdef public bint writes
    # Requests that wait for these, as (lane, request, start); None while there are none.
    cdef object waiting

    cdef bint may_go(self, int lane) noexcept
    cdef int enter(self) except -1
    cdef int leave(self) except -1
    cpdef bint has_written(self) noexcept
    cpdef int wait_alone(self, object request, object start) except -1
    cdef int wait(self, int lane, object request, object start) except -1
