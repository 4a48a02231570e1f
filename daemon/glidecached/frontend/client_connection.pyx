"""One client's connection (see client_connection.pyi)."""

import socket
import struct

from libc.stdint cimport int64_t

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.wire.zmtp cimport SendBuffer, Stream, frame_of

from glidecache_shared.wire.zmtp import ZmtpError, message_header
from glidecached.frontend.account cimport Account

from glidecached.frontend.budget import LEAST_LANE_PROGRESS_BYTES as _LEAST_LANE_PROGRESS_BYTES
from glidecached.frontend.budget import LEAST_PROGRESS_BYTES as _LEAST_PROGRESS_BYTES
from glidecached.peers import Peer

cdef enum:
    JOIN_BELOW_BYTES = 4_096
    # The most bytes of answers that one connection is sent in a turn of the loop; then others are served.
    BYTES_IN_TURN = 262_144
    # The memory that a message takes besides its bytes.
    PART_BYTES = 64
    # Answers this short are always accepted: an open request holds more.
    ERROR_BYTES = 512

cdef Py_ssize_t LEAST_PROGRESS_BYTES = _LEAST_PROGRESS_BYTES
cdef Py_ssize_t LEAST_LANE_PROGRESS_BYTES = _LEAST_LANE_PROGRESS_BYTES

_CREDENTIALS = struct.Struct("iII")
# Linux' number on all processors but SPARC and PA-RISC; Python has no name for it.
_SO_PEERGROUPS = 59
# Python takes no more from `getsockopt`: 256 groups.
_MOST_GROUP_BYTES = 1_024
# Asked of the kernel, which gives what it allows: large answers then need fewer wake-ups.
_SEND_BUFFER_BYTES = 256 * 1024


cdef class ClientConnection:
    def __init__(
        self, connected, bytes identity, int64_t now_ns, *, Py_ssize_t max_message_bytes, Py_ssize_t max_unsent, budget
    ):
        connected.setblocking(False)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.socket = connected
        self.stream = Stream(b"ROUTER", max_message_bytes)
        self.max_unsent = max_unsent
        self.outbox = SendBuffer()
        self.outbox.append(self.stream.opening)
        self.identity = identity
        self.peer = _peer_of(connected)
        self.budget = budget
        self.account = Account(budget.memory, self.peer)
        self.accepted_ns = now_ns
        self.descriptor = connected.fileno()

    @property
    def ready(self) -> bool:
        return self.stream.ready

    @property
    def unsent(self) -> bool:
        return len(self.outbox.parts) > 0

    cpdef int receive(self) except -1:
        if self.stream.receive(self.descriptor) < 0:
            self.ended = True
        return 0

    cpdef object take(self):
        message = self.stream.take()
        if self.stream.answers:
            if self.is_full():
                raise ZmtpError("heartbeats by one who does not read the answers")
            for answer in self.stream.answers:
                self.outbox.append(answer)
            self.stream.answers.clear()
        if message is not None:
            self.messages += 1
        return message

    def queue(self, *parts):
        return self.queue_parts(parts)

    cdef object queue_parts(self, tuple parts):
        cdef Py_ssize_t size_bytes = 0
        if self.is_full():
            return False
        for part in parts:
            size_bytes += len(<bytes?>part)
        if self.account.take(size_bytes + PART_BYTES):
            self.answer_charge += size_bytes + PART_BYTES
        elif size_bytes <= ERROR_BYTES:
            # The bytes just given back for the request are more than these.
            self.account.force(size_bytes + PART_BYTES)
            self.answer_charge += size_bytes + PART_BYTES
            if self.outbox.parts:
                self.pauses |= UNREAD_ANSWERS
        elif size_bytes <= self.budget.memory.share:
            if self.outbox.parts:
                self.pauses |= UNREAD_ANSWERS
            return self.account.full
        elif not self.answer_in_lane and not self.frame_in_lane and self.budget.lane.enter_now(self):
            # One at a time, also for one connection: it may already have the lane for another message.
            self.answer_in_lane = True
            self.mark_progress()
        else:
            return (
                f"the lane for messages over {self.budget.memory.share} bytes is in use, and the answer has "
                f"{size_bytes}")
        if len(parts) == 1 and size_bytes < JOIN_BELOW_BYTES:
            self.outbox.append(frame_of(parts[0]))
            return True
        self.outbox.append(message_header(size_bytes))
        for part in parts:
            self.outbox.append(part)
        return True

    cpdef bint flush(self) except -1:
        cdef Py_ssize_t charge
        if self.outbox.send(self.descriptor, BYTES_IN_TURN):
            # The peer has disconnected. Its earlier messages are still to be read, before the end.
            self.outbox.clear()
        if not self.outbox.parts:
            if self.answer_charge:
                self.account.give(self.answer_charge)
                self.answer_charge = 0
            if self.answer_in_lane:
                self.answer_in_lane = False
                self.leave_lane()
            return True
        if not self.answer_in_lane:
            charge = self.outbox.unsent_bytes + PART_BYTES * len(self.outbox.parts)
            if charge < self.answer_charge:
                self.account.give(self.answer_charge - charge)
                self.answer_charge = charge
        return False

    def close(self):
        self.socket.close()
        self.descriptor = -1  # another file may soon get this number
        self.outbox.clear()
        self.answer_in_lane = self.frame_in_lane = False
        self.budget.lane.leave(self)
        self.account.give(self.frame_charge + self.answer_charge)
        self.frame_charge = self.answer_charge = 0
        self.account.close()

    cdef inline bint is_full(self) noexcept:
        """Return whether as many answers are queued as one peer may leave unread."""
        return len(self.outbox.parts) >= self.max_unsent

    cdef bint find_room(self) except -1:
        """Return whether there is room for the message that has begun to arrive: in the budget, or by the lane.

        It needs twice the announced length: while it is decoded, both forms exist.
        """
        cdef Py_ssize_t needed
        if self.stream.long_body == NULL:
            needed = self.stream.capacity
        elif self.frame_in_lane:
            return True
        else:
            needed = 2 * self.stream.long_bytes
            if needed > self.budget.memory.share:
                if self.answer_in_lane or not self.budget.lane.enter(self):
                    return False
                self.frame_in_lane = True
                self.mark_progress()
                return True
        if needed <= self.frame_charge:
            return True
        if not self.account.take(needed - self.frame_charge):
            return False
        self.frame_charge = needed
        return True

    cdef int release_frame(self) except -1:
        """Hold nothing for the message any more, or account for it elsewhere."""
        self.account.give(self.frame_charge)
        self.frame_charge = 0
        if self.frame_in_lane:
            self.frame_in_lane = False
            self.leave_lane()
        return 0

    cdef int leave_lane(self) except -1:
        if not self.answer_in_lane and not self.frame_in_lane:
            self.budget.lane.leave(self)
        return 0

    cdef inline bint has_unfinished(self) noexcept:
        """Return whether a message has begun to arrive."""
        return self.stream.end != self.stream.start or self.stream.long_body != NULL

    cdef int mark_progress(self) except -1:
        self.seen_messages = self.messages
        self.seen_bytes = self.progress()
        self.seen_ns = monotonic_ns()
        return 0

    cdef Py_ssize_t progress(self) noexcept:
        return -self.outbox.unsent_bytes if self.answer_in_lane else self.stream.received

    cdef bint goes_on(self, int64_t now_ns) except -1:
        """Return whether its unfinished message, or its answer in the lane, makes progress fast enough."""
        cdef Py_ssize_t expected = LEAST_LANE_PROGRESS_BYTES if (
            self.frame_in_lane or self.answer_in_lane) else LEAST_PROGRESS_BYTES
        if self.pauses & (IN_WORK | NO_ROOM) and not self.answer_in_lane:
            return self.mark_progress() == 0
        if self.messages != self.seen_messages or self.progress() - self.seen_bytes >= expected:
            return self.mark_progress() == 0
        return now_ns - self.seen_ns < <int64_t>self.budget.unfinished_ns


def _peer_of(connected):
    """Return the process that connected, as the kernel reports it: a peer cannot pretend."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    return Peer(uid, gid, pid, _groups_of(connected))


def _groups_of(connected):
    """Return its supplementary groups; None where the kernel does not report them, or there are too many."""
    try:
        groups = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUP_BYTES)
    except OSError:
        return None
    return struct.unpack(f"{len(groups) // 4}I", groups)
