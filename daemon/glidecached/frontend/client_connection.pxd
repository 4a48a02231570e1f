from glidecache_shared.wire.zmtp cimport SendBuffer, Stream
from glidecached.budget cimport Account
from glidecached.frontend.caller cimport Caller
from glidecached.frontend.request cimport Request


cdef class ClientConnection(Caller):
    cdef object socket
    cdef Stream stream
    cdef SendBuffer send_buffer
    cdef object budget
    cdef readonly Account account
    # Accounts: for the message that has begun to arrive, and for answers.
    cdef Py_ssize_t frame_charge
    cdef Py_ssize_t answer_charge
    # True while the arriving message, or an answer that is being sent, has the lane.
    cdef bint frame_in_lane
    cdef readonly bint answer_in_lane
    cdef public Py_ssize_t max_unsent
    cdef readonly long long accepted_ns
    cdef readonly int descriptor
    cdef readonly bint ended
    cdef public bint watches_room
    # Reasons not to read from it: see `is_paused`.
    cdef public int works
    cdef public bint lacks_room
    cdef public bint must_read
    cdef public str refusal
    cdef readonly Py_ssize_t messages
    # Its place among the connections with messages that were read and not taken (`ConnectionQueue`).
    cdef bint queued
    cdef ClientConnection queue_before
    cdef ClientConnection queue_behind
    # Whether it gets answers at the end of this turn; then the next one of these connections.
    cdef bint answered
    cdef ClientConnection next_answered
    # For judging progress: the position at the last check, and its time.
    cdef Py_ssize_t seen_messages
    cdef Py_ssize_t seen_bytes
    cdef long long seen_ns

    cdef bint is_paused(self) noexcept
    cdef Py_ssize_t receive(self) except -1
    cdef object next_message(self)
    cdef object queue(self, bytes message, bytes rest)
    cdef object queue_framed(self, bytes frame)
    cdef object charge_answer(self, Py_ssize_t size_bytes)
    cpdef bint flush(self) except -1
    cpdef object close(self)
    cdef bint is_full(self) noexcept
    cdef bint find_room(self) except -1
    cdef bint charge_request(self, Request request, Py_ssize_t length, Py_ssize_t more) except -1
    cdef object release_frame(self)
    cdef int leave_lane(self) except -1
    cdef int mark_progress(self) except -1
    cdef Py_ssize_t progress(self) noexcept
    cdef bint has_unfinished(self) noexcept
    cdef bint is_stuck(self, long long now_ns) except -1
