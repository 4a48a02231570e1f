"""One client's connection: its messages in, its answers out. Nothing blocks."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns
from cython.cimports.glidecache_shared.wire.zmtp import SendBuffer, Stream, frame_of

from glidecache_shared.wire.zmtp import ZmtpError, message_header
from glidecached.access import Peer
from glidecached.budget import LEAST_LANE_PROGRESS_BYTES, LEAST_PROGRESS_BYTES, Account
from glidecached.frontend.caller import Caller

if TYPE_CHECKING:
    from glidecached.budget import Budget
    from glidecached.frontend.request import Request

JOIN_BELOW_BYTES = cython.declare(cython.Py_ssize_t, 4_096)
# The most bytes of answers that one connection is sent in a turn of the loop; then others are served.
BYTES_IN_TURN = cython.declare(cython.Py_ssize_t, 262_144)
# The memory that a message takes besides its bytes.
PART_BYTES = cython.declare(cython.Py_ssize_t, 64)
# Answers this short are always accepted: an open request holds more.
ERROR_BYTES = cython.declare(cython.Py_ssize_t, 512)

_CREDENTIALS = struct.Struct("iII")
_SO_PEERGROUPS = 59
"""Linux' number on all processors but SPARC and PA-RISC; Python has no name for it."""

_MOST_GROUP_BYTES = 1_024
"""Python takes no more from `getsockopt`: 256 groups."""

_SEND_BUFFER_BYTES = 256 * 1024
"""Asked of the kernel, which gives what it allows: large answers then need fewer wake-ups."""


class ClientConnection(Caller):
    """A connected Unix socket whose peer is a DEALER. For the loop's thread."""

    queued: bool
    """True while it is in the queue of connections with messages that were read and not taken."""
    queue_before: ClientConnection | None
    queue_behind: ClientConnection | None
    answered: bool
    """True while it waits for the end of the turn, to be sent its answers."""
    next_answered: ClientConnection | None

    def __init__(
        self,
        connected: socket.socket,
        identity: bytes,
        now_ns: cython.longlong,
        *,
        max_message_bytes: cython.Py_ssize_t,
        max_unsent: cython.Py_ssize_t,
        budget: Budget,
    ) -> None:
        """Take over the socket. Raises `OSError` if the peer has disconnected already."""
        connected.setblocking(False)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.socket = connected
        self.stream = Stream(b"ROUTER", max_message_bytes)
        self.max_unsent = max_unsent
        """The limit of parts of answers that wait until the peer reads them."""
        self.send_buffer = SendBuffer()
        self.send_buffer.append(self.stream.opening)
        Caller.__init__(self, identity, _peer_of(connected))
        self.budget = budget
        self.account = Account(budget.memory, self.peer)
        """The account of the bytes that the daemon holds for it."""
        self.accepted_ns = now_ns
        self.descriptor = connected.fileno()
        self.frame_charge: int = 0
        self.answer_charge: int = 0
        self.frame_in_lane = False
        self.answer_in_lane = False
        self.ended = False
        """True once nothing more will arrive. Earlier messages can still be taken."""
        self.watches_room = False
        """For the owner: True while it waits until the kernel has room for more."""
        self.works = 0
        """The number of its messages that are being worked on in slices; later ones wait."""
        self.lacks_room = False
        """True while there is no room for the message that has begun."""
        self.must_read = False
        """True after answers were refused because there is no room: the peer has to read first."""
        self.refusal: str | None = None
        """The reason to refuse all its requests and to close it then; None for an admitted connection."""
        self.messages: int = 0
        """The number of messages that were taken."""
        self.seen_messages = 0
        self.seen_bytes = 0
        self.seen_ns = 0

    @property
    def ready(self) -> bool:
        """Return whether the peer has introduced itself."""
        return bool(self.stream.ready)

    @property
    def unsent(self) -> bool:
        """Return whether something is queued."""
        return len(self.send_buffer.parts) > 0

    def is_paused(self) -> cython.bint:
        """Return whether there is a reason not to read from it."""
        return self.works > 0 or self.lacks_room or self.must_read

    def receive(self) -> cython.Py_ssize_t:
        """Read once from the socket, which is readable. Return the number of bytes."""
        before: cython.Py_ssize_t = self.stream.received
        if self.stream.receive(self.descriptor) < 0:
            self.ended = True
        return self.stream.received - before

    def next_message(self) -> bytes | memoryview | None:
        """Return the next message, or None. Raises `ZmtpError`; the connection is unusable then."""
        message: Any = self.stream.next_message()
        if self.stream.answers:
            if self.is_full():
                error = "heartbeats by one who does not read the answers"
                raise ZmtpError(error)
            for answer in self.stream.answers:
                self.send_buffer.append(answer)
            self.stream.answers.clear()
        if message is not None:
            self.messages += 1
        return message  # type: ignore[no-any-return]

    def queue(self, message: bytes, rest: bytes | None) -> bool | str:
        """Queue one message, in one part or two, for the next `flush`. Return False at too many unread answers.

        Return a text when there is no room for it: it names what is full, and for which process or user.
        """
        size_bytes: cython.Py_ssize_t = len(message)
        if self.is_full():
            return False
        if rest is not None:
            size_bytes += len(rest)
        full = self.charge_answer(size_bytes)
        if full is not None:
            return full
        if rest is None and size_bytes < JOIN_BELOW_BYTES:
            self.send_buffer.append(frame_of(message))
            return True
        self.send_buffer.append(message_header(size_bytes))
        self.send_buffer.append(message)
        if rest is not None:
            self.send_buffer.append(rest)
        return True

    def queue_framed(self, frame: bytes) -> bool | str:
        """Do what `queue` does, with a message that is in its frame."""
        if self.is_full():
            return False
        full = self.charge_answer(len(frame))
        if full is not None:
            return full
        self.send_buffer.append(frame)
        return True

    def charge_answer(self, size_bytes: cython.Py_ssize_t) -> str | None:
        """Charge for an answer of this length, or take the lane for it. Return what is full, or None."""
        if self.account.charge(size_bytes + PART_BYTES):
            self.answer_charge += size_bytes + PART_BYTES
        elif size_bytes <= ERROR_BYTES:
            # The bytes just given back for the request are more than these.
            self.account.force(size_bytes + PART_BYTES)
            self.answer_charge += size_bytes + PART_BYTES
            if self.send_buffer.parts:
                self.must_read = True
        elif size_bytes <= self.budget.memory.share:
            if self.send_buffer.parts:
                self.must_read = True
            return self.account.full
        elif not self.answer_in_lane and not self.frame_in_lane and self.budget.lane.enter_now(self):
            # One at a time, also for one connection: it may already have the lane for another message.
            self.answer_in_lane = True
            self.mark_progress()
        else:
            share_bytes = self.budget.memory.share
            return (
                f"the lane for messages over {share_bytes} bytes is in use, and the answer has {size_bytes}"
            )
        return None

    def flush(self) -> cython.bint:
        """Send queued answers, as far as the kernel accepts them. Return whether nothing is left to send."""
        charge: cython.Py_ssize_t
        if self.send_buffer.send(self.descriptor, BYTES_IN_TURN):
            # The peer has disconnected. Its earlier messages are still to be read, before the end.
            self.send_buffer.clear()
        if not self.send_buffer.parts:
            if self.answer_charge:
                self.account.credit(self.answer_charge)
                self.answer_charge = 0
            if self.answer_in_lane:
                self.answer_in_lane = False
                self.leave_lane()
            return True
        if not self.answer_in_lane:
            charge = self.send_buffer.unsent_bytes + PART_BYTES * len(self.send_buffer.parts)
            if charge < self.answer_charge:
                self.account.credit(self.answer_charge - charge)
                self.answer_charge = charge
        return False

    def close(self) -> None:
        """Close the socket, and drop unsent answers."""
        self.socket.close()
        self.descriptor = -1  # another file may soon get this number
        self.send_buffer.clear()
        self.answer_in_lane = self.frame_in_lane = False
        self.budget.lane.leave(self)
        self.account.credit(self.frame_charge + self.answer_charge)
        self.frame_charge = self.answer_charge = 0
        self.account.close()

    def is_full(self) -> cython.bint:
        """Return whether as many answers are queued as one peer may leave unread."""
        return len(self.send_buffer.parts) >= self.max_unsent

    def find_room(self) -> cython.bint:
        """Return whether there is room for the message that has begun to arrive: in the budget, or by the lane.

        It needs twice the announced length: while it is decoded, both forms exist.
        """
        needed: cython.Py_ssize_t
        if self.stream.long_body == cython.NULL:
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
        if not self.account.charge(needed - self.frame_charge):
            return False
        self.frame_charge = needed
        return True

    def charge_request(
        self, request: Request, length: cython.Py_ssize_t, more: cython.Py_ssize_t
    ) -> cython.bint:
        """Charge a request with the message of this length and its decoded form. Return False without room now."""
        if self.frame_in_lane:
            self.frame_in_lane = False
            self.budget.lane.leave(self)
            self.budget.lane.enter_now(request)
            request.lane = self.budget.lane
            return True
        # Room for twice the length was found when the message began; its header came before it.
        if self.frame_charge >= 2 * length:
            self.frame_charge -= length
            request.assume(self.account, length)
        else:
            more += length
        if request.charge(self.account, more):
            return True
        if length + more > self.budget.memory.share and self.budget.lane.enter_now(request):
            request.lane = self.budget.lane
            return True
        return False

    def release_frame(self) -> None:
        """Hold nothing for the message any more, or account for it elsewhere."""
        self.account.credit(self.frame_charge)
        self.frame_charge = 0
        if self.frame_in_lane:
            self.frame_in_lane = False
            self.leave_lane()

    def leave_lane(self) -> None:
        """Give the lane back unless a message or an answer still has it."""
        if not self.answer_in_lane and not self.frame_in_lane:
            self.budget.lane.leave(self)

    def has_unfinished(self) -> cython.bint:
        """Return whether a message has begun to arrive."""
        return self.stream.end != self.stream.start or self.stream.long_body != cython.NULL

    def mark_progress(self) -> None:
        """Record how far it is, and when."""
        self.seen_messages = self.messages
        self.seen_bytes = self.progress()
        self.seen_ns = monotonic_ns()

    def progress(self) -> cython.Py_ssize_t:
        """Return a number that grows with the bytes of the answer in the lane, or of the arriving message."""
        return -self.send_buffer.unsent_bytes if self.answer_in_lane else self.stream.received

    def is_stuck(self, now_ns: cython.longlong) -> cython.bint:
        """Return whether its unfinished message, or its answer in the lane, makes too little progress."""
        expected: cython.Py_ssize_t = LEAST_PROGRESS_BYTES
        if self.frame_in_lane or self.answer_in_lane:
            expected = LEAST_LANE_PROGRESS_BYTES
        waits: cython.bint = (self.works > 0 or self.lacks_room) and not self.answer_in_lane
        if waits or self.messages != self.seen_messages or self.progress() - self.seen_bytes >= expected:
            self.mark_progress()
            return False
        return now_ns - self.seen_ns >= self.budget.unfinished_ns


def _peer_of(connected: socket.socket) -> Peer:
    """Return the process that connected, as the kernel reports it: a peer cannot pretend."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    return Peer(uid, gid, pid, _groups_of(connected))


def _groups_of(connected: socket.socket) -> tuple[int, ...] | None:
    """Return its supplementary groups; None where the kernel does not report them, or there are too many."""
    try:
        groups = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUP_BYTES)
    except OSError:
        return None
    return struct.unpack(f"{len(groups) // 4}I", groups)
