from glidecached.frontend.client_connection cimport ClientConnection
from glidecached.frontend.connection_queue cimport ConnectionQueue
from glidecached.process.epoll cimport EventPoll
from glidecached.process.turn_end cimport Deferred, TurnEnd


cdef class ConnectionSet(Deferred):
    cdef object handler
    cdef TurnEnd turn_end
    cdef EventPoll poll
    cdef int interest
    cdef readonly dict by_identity
    # None for descriptors that belong to none of the connections.
    cdef list by_descriptor
    cdef readonly dict introducing
    cdef readonly dict unfinished
    cdef readonly dict roomless
    # Connections with messages that were read and not taken, in the order of their turns.
    cdef ConnectionQueue backlog
    # Connections that get answers at the end of the loop's turn.
    cdef ClientConnection first_answered
    cdef ClientConnection last_answered
    cdef readonly ClientConnection current
    # The number of messages that `current` may still pass on in its turn.
    cdef Py_ssize_t turn_left

    cpdef object read(self)
    cpdef object next_message(self)
    cpdef object why_full(self, ClientConnection connection, Py_ssize_t size_bytes)
    cpdef object send(self, ClientConnection connection, bytes message, bytes rest=*)
    cdef object send_framed(self, ClientConnection connection, bytes frame)
    cdef object queued(self, ClientConnection connection, bint must_read, object outcome)
    cpdef object admit(self, ClientConnection connection)
    cpdef object drop(self, ClientConnection connection)
    cdef object begin_work(self, ClientConnection connection)
    cdef object end_work(self, ClientConnection connection)
    cdef object parse(self, ClientConnection connection)
    cdef ClientConnection at_descriptor(self, int descriptor)
    cdef int resume(self, ClientConnection connection) except -1
    cdef int quieten(self, ClientConnection connection) except -1
    cdef int make_room(self, ClientConnection connection) except -1
    cdef object flush_later(self, ClientConnection connection)
    cdef int flush(self, ClientConnection connection) except -1
    cdef int watch(self, ClientConnection connection) except -1
