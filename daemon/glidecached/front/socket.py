"""The ROUTER socket: frames in, frames out, nothing that blocks."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOCKET_UMASK = 0o007
"""The socket is its owner's and its group's; who reaches it at all is the runtime directory's business."""

_LINGER_MS = 1_000
_MAX_QUEUED = 1_000
_COPY_BELOW_BYTES = 65_536
"""Above it, a message that is handed over without a copy is cheaper, in spite of its bookkeeping."""

# As plain integers: combining pyzmq's enumerations costs as much as sending.
_NOBLOCK = int(zmq.NOBLOCK)
_NOBLOCK_SNDMORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)


class RouterSocket:
    """A bound ZeroMQ ROUTER whose messages are single frames. For the loop's thread.

    An answer to a peer that is gone, or that does not read, is dropped: `send` says so.
    """

    def __init__(self, path: str, *, max_message_bytes: int, max_requests: int) -> None:
        """Bind to the Unix socket at `path`, which must not exist. Raises `OSError`.

        `max_requests` is how many one peer may have open: so many answers must find room, and refusals beside them.
        """
        self._path = Path(path)
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.MAXMSGSIZE, max_message_bytes),
            (zmq.RCVHWM, _MAX_QUEUED),
            (zmq.SNDHWM, 2 * max_requests + _MAX_QUEUED),
            (zmq.LINGER, _LINGER_MS),
        ):
            self._socket.setsockopt(option, value)
        self._settled = True
        previous = os.umask(_SOCKET_UMASK)
        try:
            self._socket.bind(f"ipc://{path}")
        except zmq.ZMQError as error:
            self._socket.close()
            self._context.term()
            raise OSError(error.errno, error.strerror, path) from error
        finally:
            os.umask(previous)

    @property
    def descriptor(self) -> int:
        """Readable when something may have come. Edge-triggered: it announces each arrival once."""
        return int(self._socket.getsockopt(zmq.FD))

    @property
    def settled(self) -> bool:
        """Whether everything that came was taken, and nothing was sent since: sending can swallow an announcement."""
        return self._settled

    def receive(self, max_messages: int) -> Iterator[tuple[bytes, zmq.Frame | None]]:
        """Take what came, at most `max_messages`: the sender's routing identity and its frame.

        The frame is None where the message had several, which no message of the protocol has.
        """
        self._settled = False
        receive = self._socket.recv
        for _ in range(max_messages):
            try:
                identity = receive(_NOBLOCK)
            except zmq.Again:
                self._settled = True
                return
            frame = receive(_NOBLOCK, copy=False)
            if not frame.more:
                yield identity, frame
                continue
            while frame.more:
                frame = receive(_NOBLOCK, copy=False)
            yield identity, None

    def send(self, identity: bytes, message: bytes) -> bool:
        """Queue one frame for a peer; False when the peer is gone or its queue is full."""
        self._settled = False
        send = self._socket.send
        try:
            send(identity, _NOBLOCK_SNDMORE)
            send(message, _NOBLOCK, copy=len(message) < _COPY_BELOW_BYTES)
        except zmq.ZMQError as error:
            if error.errno in (errno.EHOSTUNREACH, errno.EAGAIN):
                return False
            raise
        return True

    def hide(self) -> None:
        """Let nobody find the socket any more. Who is connected stays connected, and gets answers.

        Not ZeroMQ's own unbind: it would end the connections that came through the endpoint as well.
        """
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Send what is queued, for at most a second, and close. Idempotent."""
        self._socket.close()
        self._context.term()
        self.hide()
