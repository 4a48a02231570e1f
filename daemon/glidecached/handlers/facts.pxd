from glidecached.client_session cimport ClientSession
from glidecached.pools.entries cimport PoolEntries


cdef class CommandFacts:
    cdef bytes name
    cdef str refusal
    cdef int lane
    cdef bint blocks
    cdef bint reads
    # False where what is cached of its keys stays right.
    cdef bint changes_values
    cdef object row
    # Places of keys, as in the table's row; first is 0 where there is none, or the row has to look for them.
    cdef Py_ssize_t first
    cdef Py_ssize_t last
    cdef Py_ssize_t step
    cdef bint looks_for_keys

    cdef Py_ssize_t note_written(self, list arguments, PoolEntries entries, Py_ssize_t most) except -1

cdef CommandFacts facts_of(list arguments)
cdef object note_write(ClientSession session, list command)
cpdef object note_writes(ClientSession session, list commands)
