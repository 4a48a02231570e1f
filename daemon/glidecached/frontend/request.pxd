from glidecached.budget cimport Account
from glidecached.command_order cimport CommandOrder
from glidecached.frontend.caller cimport Caller
from glidecached.process.deadlines cimport Deadlines, Expiring

cdef bint is_plain(object value) noexcept


cdef class Answering:
    cpdef object answer(self, Caller caller, bytes message, bytes rest)
    cpdef object answer_framed(self, Caller caller, bytes frame)
    cpdef object finished(self, Request request)
    cpdef object why_full(self, Caller caller, Py_ssize_t size_bytes)
    cpdef object pack_later(self, Request request, object value)
    cpdef object free_later(self, list values)


cdef class Request(Expiring):
    cdef Answering dispatcher
    cdef public Caller caller
    cdef public object session
    cdef readonly long long request_id
    cdef readonly bint finished
    cdef public tuple expiry
    # The request behind it among those that wait for one flight.
    cdef Request behind
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
    cdef bint charge(self, Account account, Py_ssize_t size) except -1
    cdef int assume(self, Account account, Py_ssize_t size) except -1
    cpdef object take_place(self, CommandOrder order)
    cpdef object reply(self, object value)
    cpdef object fail(self, int code, str message)
    cpdef object cancel(self)
    cpdef object finish(self, bytes message, bytes rest=*)
    cdef int finish_framed(self, bytes frame) except -1
    cdef int end(self) except -1
    cdef int release(self) except -1


cdef class Cancellations:
    cdef Deadlines deadlines
    # The identities of connections that have ended; request ids by connection; detached sessions, with the requests that detached them.
    cdef set peers
    cdef dict named
    cdef list sessions
    cdef bint planned
    cdef readonly Py_ssize_t cancelled

    cdef int plan(self) except -1
    cdef bint is_cancelled(self, Request request) except -1
    cdef bint is_closed_with_session(self, Request request) except -1
