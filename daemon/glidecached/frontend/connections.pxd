from glidecached.frontend.client_connection cimport ClientConnection
from glidecached.process.epoll cimport EventPoll


cdef class ConnectionSet:
    cdef object handler
    cdef object defer
    cdef EventPoll poll
    cdef int interest
    cdef dict by_identity
    cdef dict by_descriptor
    cdef readonly dict introducing
    cdef readonly dict unfinished
    cdef readonly dict roomless
    # Connections with messages that were read and not taken, in the order of their turns.
    cdef dict backlog
    # Connections that get answers at the end of the loop's turn.
    cdef dict answered
    cdef readonly ClientConnection current
    # The number of messages that `current` may still pass on in its turn.
    cdef Py_ssize_t turn_left

    cpdef object read(self)
    cpdef object next_message(self)
    cpdef object why_full(self, bytes identity, Py_ssize_t size_bytes)
    cpdef object send(self, bytes identity, tuple parts)
    cpdef object admit(self, ClientConnection connection)
    cpdef object drop(self, ClientConnection connection)
    cdef object begin_work(self, ClientConnection connection)
    cdef object end_work(self, ClientConnection connection)
    cdef object parse(self, ClientConnection connection)
    cdef int resume(self, ClientConnection connection) except -1
    cdef int quieten(self, ClientConnection connection) except -1
    cdef int make_room(self, ClientConnection connection) except -1
    cdef int flush_later(self, ClientConnection connection) except -1
    cdef int flush(self, ClientConnection connection) except -1
    cdef int watch(self, ClientConnection connection) except -1
