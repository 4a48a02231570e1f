"""One connection to one daemon process, and to no other after it (architecture, failure model).

A DEALER's side of ZeroMQ's protocol, on a plain Unix socket: no thread, no wake-up in between, nothing that a fork
breaks (docs/design/0011-zmtp-on-plain-sockets.md). The link is up when the daemon has greeted, not when the kernel has
connected: a daemon that hangs takes nothing.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import weakref
from collections import deque

from glidecache.outcomes import NotSentError
from glidecache_shared.zmtp import SEVERAL_FRAMES, Stream, ZmtpError, message_header

READABLE = 1
WRITABLE = 2

_NO_LIMIT = 1 << 62
"""The daemon is trusted with a client's memory as it is with its data."""
_RECEIVE_BYTES = 32 * 1024
_MOST_BYTES = 256 * 1024
_JOIN_BELOW_BYTES = 16 * 1024
_CREDENTIALS = struct.Struct("iII")
"""`struct ucred`: pid, uid, gid."""


class _Process:
    """What belongs to this process alone."""

    __slots__ = ("forks", "links")

    def __init__(self) -> None:
        self.forks = 0
        self.links: weakref.WeakSet[Link] = weakref.WeakSet()

    def after_fork(self) -> None:
        """The parent goes on with its connections; the child's copies would keep them open at the daemon."""
        self.forks += 1
        for link in list(self.links):
            link.close()
        self.links.clear()


_process = _Process()
os.register_at_fork(after_in_child=_process.after_fork)


def forks() -> int:
    """How many forks lie between the process that imported this module and the present one."""
    return _process.forks


class Link:
    """A connection that is being made from the start. For one thread; closed after a fork, in the child.

    Raises `OSError` when nobody listens at `path`, `BlockingIOError` when too many wait there already.
    """

    __slots__ = (
        "__weakref__",
        "_arrived",
        "_ended",
        "_socket",
        "_stream",
        "_taken_bytes",
        "_unsent",
        "_writable",
        "descriptor",
        "listener_uid",
    )

    def __init__(self, path: str) -> None:
        self._stream = Stream(b"DEALER", _NO_LIMIT)
        self._unsent: deque[memoryview] = deque()
        self._taken_bytes = 0
        self._arrived: memoryview | None = None
        self._writable = True
        self._ended = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        _, self.listener_uid, _ = _CREDENTIALS.unpack(
            self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        """Whose process listens, as the kernel saw it when it began to."""
        self.descriptor = self._socket.fileno()
        """To be watched for reading; and for writing, while `unsent`."""
        _process.links.add(self)
        self._send(self._stream.opening)

    def __del__(self) -> None:
        self._socket.close()

    @property
    def is_up(self) -> bool:
        """Whether the connection stands, as far as could be seen without waiting."""
        return bool(self.events() & WRITABLE)

    @property
    def ended(self) -> bool:
        """Whether it has been closed, by whichever side: nothing comes any more, and nothing can be sent."""
        return self._ended

    @property
    def has_arrived(self) -> bool:
        """Whether something has been received that `events` has to look at before anybody waits."""
        return self._arrived is not None or self._stream.missing_bytes <= 0

    @property
    def unsent(self) -> bool:
        """Whether the kernel has not taken everything that was handed over: `flush` when it can be written to."""
        return bool(self._unsent)

    def events(self) -> int:
        """`READABLE` when a message has come, `WRITABLE` while the connection stands."""
        if self._arrived is None:
            self._arrived = self._take()
            while self._arrived is None and not self._ended and self._receive():
                self._arrived = self._take()
        readable = READABLE if self._arrived is not None else 0
        up = self._stream.ready and self._writable and not self._ended
        return readable | (WRITABLE if up else 0)

    def send(self, *frames: bytes) -> None:
        """Hand messages over, together. Raises `NotSentError` when the connection does not stand: none was taken.

        When it breaks behind the first byte, nobody knows: that is found out by whoever waits for the replies.
        """
        if self._ended or not self._writable or not self._stream.ready:
            raise NotSentError
        parts: list[bytes] = []
        small: list[bytes] = []
        for frame in frames:
            small.append(message_header(len(frame)))
            if len(frame) < _JOIN_BELOW_BYTES:
                small.append(frame)
            else:
                parts += (b"".join(small), frame)
                small = []
        if small:
            parts.append(b"".join(small))
        taken_bytes = self._taken_bytes
        self._send(*parts)
        if not self._writable and self._taken_bytes == taken_bytes:
            raise NotSentError

    def receive(self) -> memoryview | None:
        """The next message, or None."""
        if self._arrived is None:
            self.events()
        message, self._arrived = self._arrived, None
        return message

    def flush(self) -> None:
        """Have the kernel take what it has not taken yet, or a part of it."""
        unsent = self._unsent
        try:
            while unsent:
                part = unsent[0]
                sent_bytes = self._socket.send(part)
                self._taken_bytes += sent_bytes
                if sent_bytes < len(part):
                    unsent[0] = part[sent_bytes:]
                    return
                unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:
            # Only writing has come to an end: what the daemon has said can still be read, up to its last byte.
            self._writable = False
            unsent.clear()

    def wait(self, milliseconds: float) -> bool:
        """Block until something has changed, which `events` and `flush` then look at; False when the time is over."""
        # One object per wait: a signal handler may wait for this link too, and a poll object serves one at a time.
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN | select.POLLOUT if self._unsent else select.POLLIN)
        return bool(poll.poll(milliseconds))

    def close(self) -> None:
        """Close, dropping what has not been sent. Idempotent."""
        self._ended = True
        self._unsent.clear()
        self._socket.close()

    def _send(self, *parts: bytes) -> None:
        waits = bool(self._unsent)
        self._unsent.extend(map(memoryview, parts))
        if not waits:
            self.flush()

    def _receive(self) -> bool:
        """Read once; whether anything came."""
        try:
            data = self._socket.recv(min(max(self._stream.missing_bytes, _RECEIVE_BYTES), _MOST_BYTES))
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._stream.feed(data)
        else:
            self._ended = True
        return bool(data)

    def _take(self) -> memoryview | None:
        try:
            message = self._stream.take()
        except ZmtpError:
            self._ended = True
            return None
        if self._stream.answers and not self._ended:
            answers, self._stream.answers = self._stream.answers, []
            self._send(*answers)
        if message is SEVERAL_FRAMES:
            self._ended = True
            return None
        return message
