cdef class CommandFacts:
    cdef bytes name
    cdef str refusal
    cdef int lane
    cdef bint blocks
    cdef bint reads

cdef CommandFacts facts_of(list arguments)
