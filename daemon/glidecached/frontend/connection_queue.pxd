from glidecached.frontend.client_connection cimport ClientConnection


cdef class ConnectionQueue:
    cdef readonly ClientConnection first
    cdef ClientConnection last

    cdef void add(self, ClientConnection connection) noexcept
    cdef void discard(self, ClientConnection connection) noexcept
