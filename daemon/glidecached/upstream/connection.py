"""One connection to a server, multiplexed and pipelined: many calls out in one write, their replies back in order."""

from __future__ import annotations

import logging
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import libvalkey

from glidecache_shared.protocol import ERROR_REQUEST, ReplyError
from glidecached.loop import READABLE, WRITABLE
from glidecached.upstream.leaking_sets import AGGREGATES, SETS_LEAK, release

if TYPE_CHECKING:
    from glidecached.loop import Loop
    from glidecached.upstream.call import Call
    from glidecached.upstream.connector import Channel
    from glidecached.upstream.tally import Tally

logger = logging.getLogger(__name__)

_READ_BYTES = 256 * 1024
_read_buffer = bytearray(
    _READ_BYTES
)  # one for all connections: it is only used within one call, in one thread
_WRITE_BYTES = 1024 * 1024
"""How much is packed ahead: what has not been packed yet can still be dropped when it is overdue."""

_NOT_YET = object()


class Owner(Protocol):
    """Whoever made the connection."""

    def connection_drained(self) -> None:
        """Everything packed so far is written; there is room for more."""

    def connection_lost(self, reason: str) -> None:
        """The connection ended by itself. The calls in `waiting` are the owner's, to send again or to fail."""


class Connection:
    """A channel and the calls that were sent on it and wait for their replies. Belongs to the loop's thread.

    `tally` hears how long replies took, where there is one.
    """

    __slots__ = (
        "_channel",
        "_events",
        "_loop",
        "_owner",
        "_reader",
        "_socket",
        "_tally",
        "_unwritten",
        "last_received_ns",
        "waiting",
    )

    def __init__(self, loop: Loop, channel: Channel, owner: Owner, tally: Tally | None = None) -> None:
        self._loop = loop
        self._channel: Channel | None = channel
        self._socket = channel.socket
        self._owner = owner
        self._tally = tally
        self._reader = libvalkey.Reader(replyError=ReplyError, notEnoughData=_NOT_YET)
        self._unwritten: memoryview | None = None
        self._events = READABLE
        self.waiting: deque[Call] = deque()
        self.last_received_ns = time.monotonic_ns()
        loop.watch(self._socket.fileno(), READABLE, self._ready)

    @property
    def closed(self) -> bool:
        """Whether it was closed or lost."""
        return self._channel is None

    def send(self, calls: deque[Call]) -> None:
        """Take calls from the left and write them, as far as the socket takes it; what nobody wants is dropped."""
        if self._channel is None or self._unwritten is not None:
            return
        while calls:
            now_ns = time.monotonic_ns()
            if not self.waiting:
                self.last_received_ns = now_ns
            packed = []
            size_bytes = 0
            while calls and size_bytes < _WRITE_BYTES:
                call = calls.popleft()
                if not call.is_wanted(now_ns):
                    call.abandon()
                    continue
                call.attempts += 1
                data = call.pack()
                size_bytes += len(data)
                packed.append(data)
                self.waiting.append(call)
            if not packed:
                return
            if not self._write(memoryview(packed[0] if len(packed) == 1 else b"".join(packed))):
                return

    def close(self) -> None:
        """Close the socket; the owner is not told. Idempotent."""
        channel, self._channel = self._channel, None
        if channel is not None:
            self._loop.forget(self._socket.fileno())
            channel.close()

    def _ready(self, events: int) -> None:
        if self._unwritten is not None and events & WRITABLE:
            unwritten, self._unwritten = self._unwritten, None
            if self._write(unwritten):
                self._owner.connection_drained()
        if events & ~WRITABLE:
            self._read()

    def _write(self, data: memoryview) -> bool:
        """Write as much as the socket takes; whether that was everything."""
        try:
            while data:
                data = data[self._socket.send(data) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._unwritten = data
        except OSError as error:
            self._lose(f"{error}")
            return False
        self._watch(READABLE if self._unwritten is None else READABLE | WRITABLE)
        return self._unwritten is None

    def _watch(self, events: int) -> None:
        if events != self._events:
            self._events = events
            self._loop.change(self._socket.fileno(), events)

    def _read(self) -> None:
        while self._channel is not None:
            try:
                size_bytes = self._socket.recv_into(_read_buffer)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._lose(f"{error}")
                return
            if size_bytes == 0:
                self._lose("closed by the server")
                return
            self.last_received_ns = time.monotonic_ns()
            self._reader.feed(_read_buffer, 0, size_bytes)  # type: ignore[arg-type] # any buffer will do
            self._settle()
            # TLS may have more decrypted already than the socket will announce.
            if size_bytes < _READ_BYTES and not isinstance(self._socket, ssl.SSLSocket):
                return

    def _settle(self) -> None:
        waiting = self.waiting
        take = self._reader.gets
        tally = self._tally
        # A call may close the connection: what comes behind its reply is nobody's then.
        while self._channel is not None:
            try:
                reply: Any = take()
            except (libvalkey.ProtocolError, TypeError) as error:
                # TypeError: a set or a map whose members are themselves collections. The parser cannot go on.
                self._spoil(str(error))
                return
            if reply is _NOT_YET:
                return
            if SETS_LEAK and type(reply) in AGGREGATES:
                release(reply)
            if not waiting:
                self._lose("the server sent a reply that nobody asked for")
                return
            call = waiting.popleft()
            submitted_ns = call.submitted_ns  # a redirected call is submitted anew by what it receives
            try:
                if not call.receive(reply):
                    waiting.appendleft(call)
                elif tally is not None and submitted_ns:
                    tally.replied(self.last_received_ns - submitted_ns)
            except Exception:
                logger.exception("a reply could not be handed on")

    def _spoil(self, reason: str) -> None:
        message = f"the server's reply cannot be read: {reason}"
        if self.waiting:
            self.waiting.popleft().fail(ERROR_REQUEST, message)
        self._lose(message)

    def _lose(self, reason: str) -> None:
        if self._channel is not None:
            self.close()
            self._owner.connection_lost(reason)
