from libc.stdint cimport int64_t, uint8_t


cdef class Packer:
    cdef object value
    cdef int64_t request_id
    # The iterators of the open containers; for a set, also the place of its length.
    cdef list iterators
    cdef list open_sets
    cdef list set_bytes
    cdef Py_ssize_t sets_put
    cdef readonly Py_ssize_t size_bytes
    cdef bytes packed
    cdef uint8_t *at
    cdef bint measured

    cpdef object measure(self, Py_ssize_t most)
    cpdef object write(self, Py_ssize_t most)
