from libc.stdint cimport uint8_t

from cpython.object cimport PyObject

cdef Py_ssize_t frame_header_bytes(Py_ssize_t body_bytes) noexcept nogil
cdef uint8_t *put_frame_header(uint8_t *at, Py_ssize_t body_bytes) noexcept nogil
cdef bytes frame_of(bytes message)
cdef bytes message_in(bytes frame)


cdef class SendBuffer:
    # The data to be sent, the first part from `sent_of_first` on.
    cdef list parts
    cdef Py_ssize_t sent_of_first
    cdef readonly Py_ssize_t unsent_bytes

    cdef int append(self, bytes part) except -1
    cdef void clear(self)
    cdef void drop_last(self) noexcept
    cdef int send(self, int descriptor, Py_ssize_t most_bytes) except -1


cdef class Stream:
    cdef readonly bytes opening
    cdef readonly bint ready
    cdef readonly list answers
    # All received bytes.
    cdef Py_ssize_t received
    cdef bytes partner
    cdef Py_ssize_t max_message_bytes
    cdef bint greeted
    cdef bint in_message
    # Data that has come and has not been taken is [start, end) of the buffer; NULL while there is nothing.
    cdef uint8_t *buffer
    cdef Py_ssize_t start
    cdef Py_ssize_t end
    cdef Py_ssize_t capacity
    # The body of a long frame, of which the header has been read: what comes next comes here. NULL while there is none.
    cdef PyObject *long_body
    cdef Py_ssize_t long_held
    cdef Py_ssize_t long_bytes
    cdef uint8_t long_flags
    # Whether such a body found no memory: what comes now belongs to nothing.
    cdef bint spoilt
    # How much has to come before it is worth looking; not positive when it may be.
    cdef Py_ssize_t missing

    cpdef Py_ssize_t receive(self, int descriptor) except -2
    cpdef object next_message(self)
    cdef Py_ssize_t make_room(self, Py_ssize_t size) except -1
    cdef bint fills_long_body(self) noexcept
    cdef void *place(self) noexcept
    cdef void filled(self, Py_ssize_t size) noexcept
    cdef int begin_long_body(self, Py_ssize_t size) except -1
    cdef bytes end_long_body(self)
    cdef void give_back_room(self) noexcept
    cdef bint has(self, Py_ssize_t size) noexcept
    cdef int check_greeting(self) except -1
    cdef bytes next_frame(self, uint8_t *flags)
    cdef int process_command(self, bytes body) except -1
