from libc.stdint cimport int64_t

from glidecache_shared.outbox cimport Outbox
from glidecache_shared.zmtp cimport Stream
from glidecached.front.account cimport Account

# Why a connection is not read from.
cdef enum:
    IN_WORK = 1         # a message of it is being worked on in slices, and the next ones come behind that
    NO_ROOM = 2         # the message that has begun has no room yet
    UNREAD_ANSWERS = 4  # its answers were refused for want of room, and it has to read first


cdef class PeerConnection:
    cdef object socket
    cdef Stream stream
    cdef Outbox outbox
    cdef object budget
    cdef readonly Account account
    # Of the account: for the message that has begun to come, and for answers.
    cdef Py_ssize_t frame_charge
    cdef Py_ssize_t answer_charge
    # Whether the message that comes, or an answer that leaves, has the lane.
    cdef bint frame_in_lane
    cdef bint answer_in_lane
    cdef public Py_ssize_t max_unsent
    cdef readonly bytes identity
    cdef readonly object peer
    cdef readonly int64_t accepted_ns
    cdef readonly int descriptor
    cdef readonly bint ended
    cdef public bint watches_room
    cdef readonly int pauses
    # How many pieces of work it waits for.
    cdef int works
    # Why all its requests are refused, and it is closed then; None for a connection that was admitted.
    cdef public str refused
    # For the judgement whether it goes on: how far it was, and when.
    cdef Py_ssize_t messages
    cdef Py_ssize_t seen_messages
    cdef Py_ssize_t seen_bytes
    cdef int64_t seen_ns

    cpdef int receive(self) except -1
    cpdef object take(self)
    cdef object queue_parts(self, tuple parts)
    cpdef bint flush(self) except -1
    cdef bint is_full(self) noexcept
    cdef bint find_room(self) except -1
    cdef int release_frame(self) except -1
    cdef int leave_lane(self) except -1
    cdef int mark_progress(self) except -1
    cdef Py_ssize_t progress(self) noexcept
    cdef bint has_unfinished(self) noexcept
    cdef bint goes_on(self, int64_t now_ns) except -1
