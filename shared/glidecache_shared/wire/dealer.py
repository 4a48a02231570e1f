"""A client's connection to one daemon process, and to no later one: messages out, messages in.

A DEALER's side of ZeroMQ's protocol, on a plain Unix socket: no thread, no wake-up in between, and no state that a fork
breaks (docs/design/0011-zmtp-on-plain-sockets.md).
"""

from __future__ import annotations

import os
import select
import weakref

import cython
from cython.cimports.glidecache_shared.wire.zmtp import SendBuffer, Stream, frame_of

from glidecache_shared.owned_descriptor import OwnedDescriptor
from glidecache_shared.wire.zmtp import SEVERAL_FRAMES, ZmtpError, message_header

READABLE = 1
WRITABLE = 2

_IN = cython.declare(cython.int, 1)
_OUT = cython.declare(cython.int, 2)
_JOIN_BELOW_BYTES = cython.declare(cython.Py_ssize_t, 16_384)
_NO_LIMIT = cython.declare(cython.Py_ssize_t, 1 << 62)
"""The daemon is trusted with a client's memory as it is with its data."""


class NotSentError(Exception):
    """The connection was gone before the request was handed over: connect, and send it then."""


_forks = 0
_dealers: weakref.WeakSet[Dealer] = weakref.WeakSet()


def forks() -> int:
    """Return the number of forks between the process that imported this module and the present one."""
    return _forks


def _after_fork() -> None:
    """Close the child's copies of the parent's connections, which would keep them open at the daemon."""
    global _forks  # noqa: PLW0603 - of this process alone
    _forks += 1
    for dealer in list(_dealers):
        dealer.close()
    _dealers.clear()


os.register_at_fork(after_in_child=_after_fork)


class Dealer:
    """The messages over one connected socket. For one thread; closed after a fork, in the child.

    It is up when the other side has greeted, not when the kernel has connected: a process that hangs takes nothing.
    The socket closes with the object, unless its number belongs to another file by then (isolation, I16).
    """

    def __cinit__(self, file: OwnedDescriptor) -> None:
        self.file = file
        self.descriptor: cython.int = file.number
        self.ended: cython.bint = False
        self.writable: cython.bint = True
        self.arrived: object = None
        self.stream = Stream(b"DEALER", _NO_LIMIT)
        self.unsent_parts = SendBuffer()

    def __init__(self, file: OwnedDescriptor) -> None:
        """Take over a connected socket, and greet the daemon."""
        del file
        _dealers.add(self)  # as early as possible: another thread may fork
        self.unsent_parts.append(self.stream.opening)
        self.flush()

    @staticmethod
    def connect(path: str) -> Dealer:
        """Begin to connect to the socket at `path`.

        Raises `OSError` when no process listens there, `BlockingIOError` when too many connections wait there already.
        """
        return Dealer(OwnedDescriptor.connect(path))

    @property
    def is_up(self) -> bool:
        """Return whether the connection is established, as far as known without waiting."""
        return bool(self.events() & _OUT)

    def has_arrived(self) -> cython.bint:
        """Return whether received data is left for `events`, which must look at it before any wait."""
        return self.arrived is not None or self.stream.missing <= 0

    def has_unsent(self) -> cython.bint:
        """Return whether the kernel has not taken everything yet: `flush` when the socket is writable."""
        return len(self.unsent_parts.parts) > 0

    def events(self) -> cython.int:
        """Return `READABLE` when a message has arrived, `WRITABLE` while the connection is established."""
        size: cython.Py_ssize_t
        while self.arrived is None:
            self.arrived = self.next()
            if self.arrived is not None or self.ended:
                break
            size = self.stream.receive(self.descriptor)
            if size < 0:
                self.ended = True
            if size <= 0:
                break
        return (_IN if self.arrived is not None else 0) | (
            _OUT if self.stream.ready and self.writable and not self.ended else 0
        )

    def wait(self, milliseconds: cython.double) -> bool:
        """Block until something has changed, which `events` and `flush` then handle; False when the time is over."""
        # Python's own poll, which gevent and its like replace. One object per wait: a signal handler may wait for this
        # connection too, and a poll object serves one at a time.
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN | select.POLLOUT if self.has_unsent() else select.POLLIN)
        return bool(poll.poll(milliseconds))

    def send(self, *frames: bytes) -> None:
        """Hand messages over, together. Raises `NotSentError` when there is no connection: none was taken.

        A break behind the first byte shows only when the caller waits for the replies.
        """
        frame: bytes
        waits: cython.bint = self.has_unsent()
        self.need_writable()
        for frame in frames:
            self.append(frame)
        if not waits and not self.hand_over() and not self.writable:
            raise NotSentError

    def send_one(self, frame: bytes) -> cython.int:
        """Hand one message over, as `send` does."""
        waits: cython.bint = self.has_unsent()
        self.need_writable()
        self.append(frame)
        if not waits and not self.hand_over() and not self.writable:
            raise NotSentError
        return 0

    def need_writable(self) -> cython.int:
        """Raise `NotSentError` when there is no connection."""
        if not self.file.is_own():
            # The application closed it: its number now belongs to another file.
            self.ended = True
        if self.ended or not self.writable or not self.stream.ready:
            raise NotSentError
        return 0

    def append(self, frame: bytes) -> cython.int:
        """Put a message behind what is to be sent."""
        if len(frame) < _JOIN_BELOW_BYTES:
            self.unsent_parts.append(frame_of(frame))
        else:
            self.unsent_parts.append(message_header(len(frame)))
            self.unsent_parts.append(frame)
        return 0

    def receive(self) -> bytes | None:
        """Return the next message, or None."""
        if self.arrived is None:
            self.events()
        message, self.arrived = self.arrived, None
        return message  # type: ignore[return-value]

    def flush(self) -> None:
        """Give the kernel the bytes that it has not taken yet, or a part of them."""
        self.hand_over()

    def hand_over(self) -> cython.Py_ssize_t:
        """Return how many bytes the kernel took."""
        size_bytes: cython.Py_ssize_t = self.unsent_parts.unsent_bytes
        fault: cython.int = self.unsent_parts.send(self.descriptor, _NO_LIMIT)
        size_bytes -= self.unsent_parts.unsent_bytes
        if fault:
            # Only writing has ended: what the other side sent before can still be read, to its last byte.
            self.writable = False
            self.unsent_parts.clear()
        return size_bytes

    def close(self) -> None:
        """Close, and drop what has not been sent. Idempotent."""
        self.ended = True
        self.unsent_parts.clear()
        self.file.close()

    def next(self) -> object:
        """Return the next message, or None. A peer that breaks the protocol is not listened to any more."""
        try:
            message = self.stream.next_message()
        except ZmtpError:
            message = SEVERAL_FRAMES
        if message is SEVERAL_FRAMES:
            self.ended = True
            return None
        # Behind the end, the descriptor's number may be another file's.
        if self.stream.answers and not self.ended:
            for answer in self.stream.answers:
                self.unsent_parts.append(answer)
            self.stream.answers.clear()
            self.hand_over()
        return message
