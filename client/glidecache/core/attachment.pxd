cdef class Hello:
    cdef readonly long long instance_id
    cdef readonly long long max_message_bytes
    cdef readonly object daemon_uid
    cdef readonly dict about


cdef class Attachment:
    cdef readonly long long instance_id
    cdef readonly long long session_id
    cdef readonly long long request_timeout_ms
    cdef readonly long long forks
    cdef readonly object lease
    cdef readonly object reader

    cdef bint is_stale(self) except -1


cdef class SessionState:
    cdef public Attachment attachment
    cdef public Attachment unknown
    cdef public bint outage
    cdef public str close_message
    cdef public long long next_stale_ns

    cpdef Attachment usable(self, Hello hello)


cdef class FirstAttempt:
    cdef readonly object connection
    cdef readonly Attachment attachment
    cdef readonly long long asked_ns
    cdef object outcome
