cdef class SendBuffer:
    # The data to be sent, the first part from `sent_of_first` on.
    cdef list parts
    cdef Py_ssize_t sent_of_first
    cdef readonly Py_ssize_t unsent_bytes

    cdef int append(self, bytes part) except -1
    cdef void clear(self)
    cdef int send(self, int descriptor, Py_ssize_t most_bytes) except -1
