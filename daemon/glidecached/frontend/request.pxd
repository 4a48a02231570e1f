from libc.stdint cimport int64_t

from glidecached.command_order cimport CommandOrder
from glidecached.frontend.account cimport Account


cdef class Request:
    cdef object front
    cdef readonly bytes identity
    cdef public object peer
    cdef public object session
    cdef readonly int64_t request_id
    cdef readonly int64_t deadline_ns
    cdef readonly bint finished
    cdef public set slot
    cdef public tuple expiry
    cdef public Py_ssize_t frame_bytes
    # The client's order that it belongs to while it is on its way upstream.
    cdef readonly CommandOrder order
    # The bytes of its connection's account that it holds until it is finished; or the lane instead.
    cdef Account account
    cdef Py_ssize_t cost_bytes
    cdef object lane
    # A large body, which is freed in slices.
    cdef list ballast
    # Called when it is finished: gives back the units that were counted for it.
    cdef public object on_finish

    cpdef object refusal(self, Py_ssize_t reply_bytes)
    cpdef int take_place(self, CommandOrder order) except -1
    cpdef int reply(self, object value) except -1
    cpdef int fail(self, int code, str message) except -1
    cpdef int expire(self) except -1
    cpdef int cancel(self) except -1
    cdef int leave(self) except -1
    cdef int release(self) except -1
    cpdef int finish(self, bytes message, bytes rest=*) except -1
