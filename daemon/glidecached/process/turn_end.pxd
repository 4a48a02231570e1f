cdef class Deferred:
    # While it waits for the end of the turn: the one behind it.
    cdef Deferred behind
    cdef bint is_waiting

    cpdef object end_turn(self)


cdef class TurnEnd:
    cdef Deferred first
    cdef Deferred last

    cpdef object add(self, Deferred task)
    cdef int carry_out(self) except -1
