from libc.stdint cimport int64_t

from glidecached.front.account cimport Account


cdef class Request:
    cdef object front
    cdef readonly bytes identity
    cdef public object peer
    cdef readonly int64_t request_id
    cdef readonly int64_t deadline_ns
    cdef readonly bint finished
    cdef public set slot
    cdef public tuple expiry
    # What it holds of its connection's account until it is finished; the lane, if it has that instead.
    cdef Account account
    cdef Py_ssize_t cost_bytes
    cdef object lane
    # A large body, which is freed in slices.
    cdef list ballast
    # Called when it is finished: gives back what was counted for it.
    cdef public object on_finish

    cpdef int reply(self, object value) except -1
    cpdef int fail(self, int code, str message) except -1
    cpdef int expire(self) except -1
    cdef int release(self) except -1
    cpdef int finish(self, bytes message, bytes rest=*) except -1
