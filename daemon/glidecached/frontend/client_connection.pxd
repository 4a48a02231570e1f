from libc.stdint cimport int64_t

from glidecache_shared.wire.zmtp cimport SendBuffer, Stream
from glidecached.frontend.account cimport Account

# Reasons not to read from a connection.
cdef enum:
    IN_WORK = 1         # one of its messages is being worked on in slices; later ones wait
    NO_ROOM = 2         # there is no room yet for the message that has begun
    UNREAD_ANSWERS = 4  # answers were refused because there is no room; the peer has to read first


cdef class ClientConnection:
    cdef object socket
    cdef Stream stream
    cdef SendBuffer outbox
    cdef object budget
    cdef readonly Account account
    # Accounts: for the message that has begun to arrive, and for answers.
    cdef Py_ssize_t frame_charge
    cdef Py_ssize_t answer_charge
    # True while the arriving message, or an answer that is being sent, has the lane.
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
    # The number of pieces of work that it waits for.
    cdef int works
    # The reason to refuse all its requests and to close it then; None for an admitted connection.
    cdef public str refused
    # For judging progress: the position at the last check, and its time.
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
