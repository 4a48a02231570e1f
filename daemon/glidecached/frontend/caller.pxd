cdef class Caller:
    cdef readonly bytes identity
    cdef readonly object peer
    # As in `peer`.
    cdef readonly long long uid
    cdef readonly long long pid
    cdef readonly Py_ssize_t open_requests
    # The number of the session that its last request named.
    cdef long long session_id
