"""The blocking client's connections: one per process and thread. Its coroutines never suspend (`run_blocking`)."""

from __future__ import annotations

import sys
import threading
import time

from glidecache.core.connection import DaemonConnection, reply_deadline_ns
from glidecache.core.transport import READABLE, WRITABLE, forks
from glidecache.core.transport_errors import DaemonLostError, NoDaemonError, NoReplyError, NotSentError
from glidecache.errors import ClosingError
from glidecache_shared.uninterrupted import InTurn, run_blocking

__all__ = ["BlockingConnection", "ThreadConnections", "run_blocking"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, TypeVar

    from glidecache.core.settings import Settings
    from glidecache.core.transport import Transport

    Result = TypeVar("Result")

_MS = 1_000_000
_OUTCOMES = (NotSentError, DaemonLostError, NoReplyError)
_LONGEST_WAIT_MS = 50
"""The longest single wait. A signal handler's call may take the awaited reply and the sign of it: look again."""


class _Closing:
    """A flag that a client was closed: other threads check it while they wait."""

    __slots__ = ("closed",)

    def __init__(self) -> None:
        self.closed = False


class BlockingConnection(DaemonConnection):
    """One thread's connection. A call inside a call, from a signal handler or a finaliser, is safe."""

    __slots__ = ("_closing", "_lock", "_open_ids", "_replies", "busy")

    def __init__(
        self, runtime_dir: str, made_after_forks: int, lock: threading.RLock, closing: _Closing
    ) -> None:
        super().__init__(runtime_dir, made_after_forks)
        self._lock = lock
        self._closing = closing
        self._open_ids: set[int] = set()
        self._replies: dict[int, tuple[int, Any]] = {}
        self.busy = False
        """True while a call uses the transport, which a call inside it must leave alone."""

    @property
    def is_at_work(self) -> bool:
        """Return whether a call uses the transport just now: the caller's own, further up its stack.

        An exception from outside may have kept a call from finishing. Then the transport is dropped, with its open
        requests.
        """
        if self.busy and not self._is_in_a_call():
            self.drop()
            self.busy = False
        return self.busy

    def in_turn(
        self, deadline_ns: int, function: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any
    ) -> InTurn[Result]:
        """Connect or attach while no other thread of the client does. A signal handler's call may do so inside."""
        late = NoDaemonError("glidecached does not answer: another thread's call is still waiting for it")
        return InTurn(self._lock, deadline_ns, late, function, *arguments)

    async def _wait_until_up(self, link: Transport, deadline_ns: int) -> bool:
        while not link.is_up:
            if link.ended:
                return False
            remaining_ns = deadline_ns - time.monotonic_ns()
            if remaining_ns <= 0:
                return False
            link.wait(min(remaining_ns / _MS, _LONGEST_WAIT_MS))
        return True

    async def _pause(self, nanoseconds: int) -> None:
        time.sleep(nanoseconds / 1e9)  # noqa: ASYNC251 - blocking is the purpose of this connection

    async def request(
        self, operation: int, instance_id: int, deadline_ns: int, body: Sequence[Any]
    ) -> tuple[int, Any]:
        """Send one request and wait for its reply."""
        link, request_id, frame = self._pack(operation, instance_id, deadline_ns, body)
        try:
            # Before it is sent: from then on a call in a signal handler may take the reply at any moment.
            self._open_ids.add(request_id)
            self.busy = True
            self._send(link, frame)
            self.left_ns = time.monotonic_ns()
            until_ns = reply_deadline_ns(deadline_ns, self.left_ns)
            while request_id not in self._replies:
                if not link.has_arrived and not link.ended:
                    self._wait(link, until_ns)
                if request_id not in self._replies:
                    self._take_what_came(link)
            return self._replies.pop(request_id)
        except _OUTCOMES:
            raise
        except BaseException:
            # Interrupted, between any two steps: what was half sent or half read must not become part of a message.
            # The daemon ends what is open on a connection that closes, so there is nothing to cancel (isolation, I1).
            self._let_go(link)
            raise
        finally:
            self.busy = False
            self._open_ids.discard(request_id)
            self._replies.pop(request_id, None)

    def _is_in_a_call(self) -> bool:
        """Return whether a request of this connection is on the caller's stack."""
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code is BlockingConnection.request.__code__ and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back  # type: ignore[assignment]
        return False

    def _send(self, link: Transport, frame: bytes) -> None:
        try:
            link.send(frame)
        except NotSentError:
            self._let_go(link)
            raise

    def _wait(self, link: Transport, until_ns: int) -> None:
        """Wait for a while; calls inside this one may use the transport. Raises `NoReplyError` when the time is over.

        A reply that has arrived by then counts, however late the system ran this thread (contract C28).
        """
        remaining_ns = until_ns - time.monotonic_ns()
        if self._closing.closed:
            message = "the client was closed"
            raise ClosingError(message)
        self.busy = False
        if not link.wait(max(0.0, min(remaining_ns / _MS, _LONGEST_WAIT_MS))) and remaining_ns <= 0:
            raise NoReplyError
        self.busy = True
        if link.unsent:
            link.flush()

    def _take_what_came(self, link: Transport) -> None:
        events = link.events()
        if events & READABLE:
            frame = link.receive()
            if frame is not None:
                request_id, status, body = self._read(frame)
                if request_id in self._open_ids:  # other replies come too late for their requests
                    self._replies[request_id] = (status, body)
        elif not events & WRITABLE:
            self._let_go(link)
            raise DaemonLostError

    def _let_go(self, link: Transport) -> None:
        # An inner call may have replaced the transport already.
        if self._link is link:
            self.drop()

    def _release(self, link: Transport) -> None:
        link.close()


class ThreadConnections:
    """A blocking client's connections (`core.connection.Channels`). Any thread may ask, also of a forked child."""

    def __init__(self, settings: Settings) -> None:
        self._runtime_dir = settings.runtime_dir
        self._of_thread = threading.local()
        self._locks: dict[int, threading.RLock] = {}
        self._closing = _Closing()

    def current(self) -> BlockingConnection:
        """Return the calling thread's connection; a separate one for a call inside another that is at work on it."""
        channel = self.existing()
        if channel is not None and not channel.is_at_work:
            return channel
        # A lock of this process: one that was held during a fork stays so in the child.
        lock = self._locks.setdefault(forks(), threading.RLock())
        new = BlockingConnection(self._runtime_dir, forks(), lock, self._closing)
        if channel is None:
            self._of_thread.channel = new
        return new

    def existing(self) -> BlockingConnection | None:
        """Return the calling thread's connection, if it has been made since the last fork."""
        channel: BlockingConnection | None = getattr(self._of_thread, "channel", None)
        return channel if channel is not None and channel.forks == forks() else None

    def close(self) -> None:
        """Close the calling thread's connection, and make calls of other threads fail.

        Their sockets close with their threads, or with the client object.
        """
        self._closing.closed = True
        channel = self.existing()
        if channel is not None:
            channel.drop()
