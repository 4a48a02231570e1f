from glidecached.frontend.client_connection cimport ClientConnection


cdef class ConnectionSet:
    cdef public object _poller
    cdef public dict _by_identity
    cdef public dict _by_descriptor
    cdef public dict _introducing
    # The connection whose message was taken last.
    cdef ClientConnection current
    # Connections that have begun a message or read one in the lane; connections whose message has no room yet.
    cdef readonly dict unfinished
    cdef readonly dict roomless
    cdef int poller_descriptor
    cdef int interest
    cdef object defer
    # Called with the identity of each connection that has ended.
    cdef public object peer_ended
    # Connections with messages that were read and not taken, in the order of their turns.
    cdef dict backlog
    # Connections that get answers at the end of the loop's turn.
    cdef dict answered

    cpdef int _admit(self, ClientConnection connection) except -1
    cpdef int _drop(self, ClientConnection connection) except -1
    cdef int gather(self) except -1
    cdef int hold(self, ClientConnection connection) except -1
    cdef int resume(self, ClientConnection connection, int pause) except -1
    cdef int quieten(self, ClientConnection connection) except -1
    cdef int make_room(self, ClientConnection connection) except -1
    cdef object next(self, ClientConnection connection)
    cdef int flush_later(self, ClientConnection connection) except -1
    cdef int flush(self, ClientConnection connection) except -1
    cdef int watch(self, ClientConnection connection) except -1
