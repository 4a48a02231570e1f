"""One client's connection (see connection.pyi)."""

import socket
import struct

from libc.stdint cimport int64_t

from glidecache_shared.outbox cimport Outbox
from glidecache_shared.zmtp cimport Stream, frame_of

from glidecache_shared.zmtp import ZmtpError, message_header
from glidecached.front.peers import Peer

cdef enum:
    JOIN_BELOW_BYTES = 4_096

_CREDENTIALS = struct.Struct("iII")
# Linux' number on all processors but SPARC and PA-RISC; Python has no name for it.
_SO_PEERGROUPS = 59
# Python takes no more from `getsockopt`: 256 groups.
_MOST_GROUP_BYTES = 1_024
# Asked of the kernel, which gives what it allows: large answers then need fewer wake-ups.
_SEND_BUFFER_BYTES = 1024 * 1024


cdef class PeerConnection:
    def __init__(
        self, connected, bytes identity, int64_t now_ns, *, Py_ssize_t max_message_bytes, Py_ssize_t max_unsent
    ):
        connected.setblocking(False)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.socket = connected
        self.stream = Stream(b"ROUTER", max_message_bytes)
        self.max_message_bytes = max_message_bytes
        self.max_unsent = max_unsent
        self.outbox = Outbox()
        self.outbox.append(self.stream.opening)
        self.identity = identity
        self.peer = _peer_of(connected)
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
        return message

    def queue(self, *parts):
        cdef Py_ssize_t size_bytes = 0
        if self.is_full():
            return False
        for part in parts:
            size_bytes += len(<bytes?>part)
        if len(parts) == 1 and size_bytes < JOIN_BELOW_BYTES:
            self.outbox.append(frame_of(parts[0]))
            return True
        self.outbox.append(message_header(size_bytes))
        for part in parts:
            self.outbox.append(part)
        return True

    cpdef bint flush(self) except -1:
        if self.outbox.send(self.descriptor):
            # The peer has gone. What it sent before is still to be read; the end comes behind that.
            self.outbox.clear()
        return not self.outbox.parts

    def close(self):
        self.socket.close()
        self.descriptor = -1  # the number may soon be another's

    cdef inline bint is_full(self) noexcept:
        """Whether as much is queued as one peer may leave unread: by number, or by the bytes of a longest message."""
        return (
            len(self.outbox.parts) >= self.max_unsent or self.outbox.unsent_bytes >= self.max_message_bytes)


def _peer_of(connected):
    """The process that connected, by the kernel: a peer cannot pretend."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    return Peer(uid, gid, pid, _groups_of(connected))


def _groups_of(connected):
    """Its supplementary groups; None where the kernel cannot say, or has more to say than can be heard."""
    try:
        groups = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUP_BYTES)
    except OSError:
        return None
    return struct.unpack(f"{len(groups) // 4}I", groups)
