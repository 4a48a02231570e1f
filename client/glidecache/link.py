"""One ZeroMQ connection to one daemon process, and to no other after it (architecture, failure model).

A socket that reconnected by itself could hand what was meant for one daemon to the next. So a link connects once
(`ZMQ_RECONNECT_IVL` -1), takes nothing before the connection stands (`ZMQ_IMMEDIATE`) and drops what is queued when it
is closed (`ZMQ_LINGER` 0). That it can be written to is then the sign that the daemon's process is there.

`zmq.backend` instead of `zmq`: its objects close in silence when they are collected, and know themselves after a fork.
"""

from __future__ import annotations

import os
import select

import zmq
from zmq.backend import Context, Socket

from glidecache.outcomes import NotSentError

READABLE = int(zmq.POLLIN)
WRITABLE = int(zmq.POLLOUT)

# Plain ints: as enum members they would be looked up again with each use.
_DEALER = int(zmq.DEALER)
_EVENTS = int(zmq.EVENTS)
_FD = int(zmq.FD)
_NOBLOCK = int(zmq.NOBLOCK)
_OPTIONS = (
    (int(zmq.LINGER), 0),
    (int(zmq.IMMEDIATE), 1),
    (int(zmq.RECONNECT_IVL), -1),
    # No marks: what is queued is bounded by the number of open requests, and a full queue would look like a lost link.
    (int(zmq.SNDHWM), 0),
    (int(zmq.RCVHWM), 0),
)


class _Process:
    """What belongs to this process alone: ZeroMQ's threads do not survive a fork."""

    context: Context | None = None
    forks = 0


def _forget_after_fork() -> None:
    _Process.context = None
    _Process.forks += 1


os.register_at_fork(after_in_child=_forget_after_fork)


def forks() -> int:
    """How many forks lie between the process that imported this module and the present one."""
    return _Process.forks


class Link:
    """A DEALER socket, connecting from the moment it is made. For one thread; useless after a fork."""

    __slots__ = ("_socket", "closed", "descriptor")

    def __init__(self, endpoint: str) -> None:
        if _Process.context is None:
            _Process.context = Context(1)
        self._socket = Socket(_Process.context, _DEALER)
        for option, value in _OPTIONS:
            self._socket.set(option, value)
        self._socket.connect(endpoint)
        self.descriptor = int(self._socket.get(_FD))
        """Readable when something has changed since `events`, `receive` or `send` were called last, and only then."""
        self.closed = False

    @property
    def is_up(self) -> bool:
        """Whether the connection stands."""
        return bool(self.events() & WRITABLE)

    def events(self) -> int:
        """`READABLE` when a message has come, `WRITABLE` while the connection stands."""
        return 0 if self.closed else int(self._socket.get(_EVENTS))

    def send(self, frame: bytes) -> None:
        """Hand a message over. Raises `NotSentError` when the connection does not stand."""
        try:
            self._socket.send(frame, _NOBLOCK)
        except zmq.Again:
            raise NotSentError from None

    def receive(self) -> bytes | None:
        """The next message, or None."""
        try:
            return self._socket.recv(_NOBLOCK)
        except zmq.Again:
            return None

    def wait(self, milliseconds: float) -> bool:
        """Block until the descriptor is readable; False when the time is over."""
        # One object per wait: a signal handler may wait for this link too, and a poll object serves one at a time.
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def close(self) -> None:
        """Close, dropping what has not been sent. Idempotent."""
        self.closed = True
        self._socket.close(0)
