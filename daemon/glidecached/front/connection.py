"""One client's connection: its messages in, its answers out, nothing that blocks."""

from __future__ import annotations

import itertools
import socket
import struct
from collections import deque

from glidecache_shared.zmtp import Stream, ZmtpError, message_header
from glidecached.front.peers import Peer

_CREDENTIALS = struct.Struct("iII")
_SO_PEERGROUPS = 59
"""Linux' number on all processors but SPARC and PA-RISC; Python has no name for it."""
_MOST_GROUP_BYTES = 1_024
"""Python takes no more from `getsockopt`: 256 groups."""
_RECEIVE_BYTES = 64 * 1024
_MOST_BYTES = 256 * 1024
_SEND_BUFFER_BYTES = 1024 * 1024
"""Asked of the kernel, which gives what it allows: large answers then need fewer wake-ups."""
_JOIN_BELOW_BYTES = 4_096
_MOST_PARTS = 64


class PeerConnection:
    """A connected Unix socket whose peer is a DEALER. For the loop's thread."""

    __slots__ = (
        "_max_message_bytes",
        "_socket",
        "_stream",
        "_unsent",
        "_unsent_bytes",
        "accepted_ns",
        "descriptor",
        "ended",
        "identity",
        "max_unsent",
        "peer",
        "watches_room",
    )

    def __init__(
        self,
        connected: socket.socket,
        identity: bytes,
        now_ns: int,
        *,
        max_message_bytes: int,
        max_unsent: int,
    ) -> None:
        """Take over the socket. Raises `OSError` where the peer has gone already."""
        connected.setblocking(False)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._socket = connected
        self._stream = Stream(b"ROUTER", max_message_bytes)
        self._max_message_bytes = max_message_bytes
        self.max_unsent = max_unsent
        self._unsent: deque[bytes | memoryview] = deque()
        self._unsent_bytes = 0
        self._append(self._stream.opening)
        self.identity = identity
        self.peer = _peer_of(connected)
        self.accepted_ns = now_ns
        self.descriptor = connected.fileno()
        self.ended = False
        """Whether nothing more will come. What came before can still be taken."""
        self.watches_room = False
        """For the owner: whether it waits until the kernel has room for more."""

    @property
    def ready(self) -> bool:
        """Whether the peer has introduced itself."""
        return self._stream.ready

    def receive(self) -> None:
        """Read once from the socket, which is readable."""
        try:
            data = self._socket.recv(min(max(self._stream.missing_bytes, _RECEIVE_BYTES), _MOST_BYTES))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._stream.feed(data)
        else:
            self.ended = True

    def take(self) -> memoryview | None:
        """The next message, or None: `Stream.take`. Raises `ZmtpError`; the connection is of no use then."""
        message = self._stream.take()
        if self._stream.answers:
            if self._is_full:
                reason = "heartbeats by one who does not read the answers"
                raise ZmtpError(reason)
            self._append(*self._stream.answers)
            self._stream.answers.clear()
        return message

    @property
    def unsent(self) -> bool:
        """Whether something is queued."""
        return bool(self._unsent)

    def queue(self, *parts: bytes) -> bool:
        """Have one message sent by the next `flush`; False when the peer reads too little for that."""
        if self._is_full:
            return False
        size_bytes = sum(map(len, parts))
        header = message_header(size_bytes)
        if size_bytes < _JOIN_BELOW_BYTES:
            self._append(b"".join((header, *parts)))
        else:
            self._append(header, *parts)
        return True

    def flush(self) -> bool:
        """Send what is queued, as far as the kernel takes it; whether nothing is left to send."""
        unsent = self._unsent
        while unsent:
            try:
                sent_bytes = self._socket.sendmsg(list(itertools.islice(unsent, _MOST_PARTS)))
            except BlockingIOError:
                return False
            except OSError:
                # The peer has gone. What it sent before is still to be read; the end comes behind that.
                unsent.clear()
                self._unsent_bytes = 0
                return True
            self._unsent_bytes -= sent_bytes
            while unsent and sent_bytes >= len(unsent[0]):
                sent_bytes -= len(unsent.popleft())
            if sent_bytes:
                unsent[0] = memoryview(unsent[0])[sent_bytes:]
        return True

    @property
    def _is_full(self) -> bool:
        """Whether as much is queued as one peer may leave unread: by number, or by the bytes of a longest message."""
        return len(self._unsent) >= self.max_unsent or self._unsent_bytes >= self._max_message_bytes

    def _append(self, *parts: bytes) -> None:
        self._unsent.extend(parts)
        self._unsent_bytes += sum(map(len, parts))

    def close(self) -> None:
        """Close the socket, dropping what has not been sent."""
        self._socket.close()


def _peer_of(connected: socket.socket) -> Peer:
    """The process that connected, by the kernel: a peer cannot pretend."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    return Peer(uid, gid, pid, _groups_of(connected))


def _groups_of(connected: socket.socket) -> tuple[int, ...] | None:
    """Its supplementary groups; None where the kernel cannot say, or has more to say than can be heard."""
    try:
        groups = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUP_BYTES)
    except OSError:
        return None
    return struct.unpack(f"{len(groups) // 4}I", groups)
