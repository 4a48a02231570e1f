"""The blocking client's connections: one per process and thread. Its coroutines never suspend (`run_blocking`)."""

from __future__ import annotations

import sys
import threading
import time

from glidecache.core.connection import DaemonConnection, reply_deadline_ns
from glidecache.core.transport_errors import DaemonLostError, NoDaemonError, NoReplyError, NotSentError
from glidecache.errors import ClosingError
from glidecache_shared.uninterrupted import LockedCall, run_blocking
from glidecache_shared.wire.dealer import READABLE, WRITABLE, forks

__all__ = ["BlockingConnection", "ThreadConnections", "run_blocking"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, TypeVar

    from glidecache.core.settings import Settings
    from glidecache_shared.wire.dealer import Dealer

    Result = TypeVar("Result")

_MS = 1_000_000
_TRANSPORT_ERRORS = (NotSentError, DaemonLostError, NoReplyError)
_LONGEST_WAIT_MS = 50
"""The longest single wait. A signal handler's call may take the awaited reply and the sign of it: check again."""


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
        """True while a call uses the dealer, which a call inside it must leave alone."""

    @property
    def is_at_work(self) -> bool:
        """Return whether a call uses the dealer just now: the caller's own, further up its stack.

        An exception from outside may have kept a call from finishing. Then the dealer is dropped, with its open
        requests.
        """
        if self.busy and not self._is_in_a_call():
            self.drop()
            self.busy = False
        return self.busy

    def run_exclusively(
        self, deadline_ns: int, function: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any
    ) -> LockedCall[Result]:
        """Connect or attach while no other thread of the client does. A signal handler's call may do so inside."""
        late = NoDaemonError("glidecached does not answer: another thread's call is still waiting for it")
        return LockedCall(self._lock, deadline_ns, late, function, *arguments)

    async def _wait_until_up(self, dealer: Dealer, deadline_ns: int) -> bool:
        while not dealer.is_up:
            if dealer.ended:
                return False
            remaining_ns = deadline_ns - time.monotonic_ns()
            if remaining_ns <= 0:
                return False
            dealer.wait(min(remaining_ns / _MS, _LONGEST_WAIT_MS))
        return True

    async def _pause(self, nanoseconds: int) -> None:
        time.sleep(nanoseconds / 1e9)  # noqa: ASYNC251 - blocking is the purpose of this connection

    async def request(
        self, operation: int, instance_id: int, deadline_ns: int, body: Sequence[Any]
    ) -> tuple[int, Any]:
        """Send one request and wait for its reply."""
        dealer, request_id, frame = self._pack(operation, instance_id, deadline_ns, body)
        try:
            # Before it is sent: from then on a call in a signal handler may take the reply at any moment.
            self._open_ids.add(request_id)
            self.busy = True
            self._send(dealer, frame)
            self.sent_ns = time.monotonic_ns()
            until_ns = reply_deadline_ns(deadline_ns, self.sent_ns)
            while request_id not in self._replies:
                if not dealer.has_arrived and not dealer.ended:
                    self._wait(dealer, until_ns)
                if request_id not in self._replies:
                    self._process_events(dealer)
            return self._replies.pop(request_id)
        except _TRANSPORT_ERRORS:
            raise
        except BaseException:
            # Interrupted, between any two steps: what was half sent or half read must not become part of a message.
            # The daemon ends what is open on a connection that closes, so there is nothing to cancel (isolation, I1).
            self._drop_if_current(dealer)
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

    def _send(self, dealer: Dealer, frame: bytes) -> None:
        try:
            dealer.send(frame)
        except NotSentError:
            self._drop_if_current(dealer)
            raise

    def _wait(self, dealer: Dealer, until_ns: int) -> None:
        """Wait for a while; calls inside this one may use the dealer. Raises `NoReplyError` when the time is over.

        A reply that has arrived by then counts, however late the system ran this thread (contract C28).
        """
        remaining_ns = until_ns - time.monotonic_ns()
        if self._closing.closed:
            message = "the client was closed"
            raise ClosingError(message)
        self.busy = False
        if not dealer.wait(max(0.0, min(remaining_ns / _MS, _LONGEST_WAIT_MS))) and remaining_ns <= 0:
            raise NoReplyError
        self.busy = True
        if dealer.unsent:
            dealer.flush()

    def _process_events(self, dealer: Dealer) -> None:
        events = dealer.events()
        if events & READABLE:
            frame = dealer.receive()
            if frame is not None:
                request_id, status, body = self._read(frame)
                if request_id in self._open_ids:  # other replies come too late for their requests
                    self._replies[request_id] = (status, body)
        elif not events & WRITABLE:
            self._drop_if_current(dealer)
            raise DaemonLostError

    def _drop_if_current(self, dealer: Dealer) -> None:
        # An inner call may have replaced the dealer already.
        if self._dealer is dealer:
            self.drop()

    def _release(self, dealer: Dealer) -> None:
        dealer.close()


class ThreadConnections:
    """A blocking client's connections (`core.connection.Connections`). Any thread may ask, also of a forked child."""

    def __init__(self, settings: Settings) -> None:
        self._runtime_dir = settings.runtime_dir
        self._of_thread = threading.local()
        self._locks: dict[int, threading.RLock] = {}
        self._closing = _Closing()

    def current(self) -> BlockingConnection:
        """Return the calling thread's connection; a separate one for a call inside another that is at work on it."""
        connection = self.existing()
        if connection is not None and not connection.is_at_work:
            return connection
        # A lock of this process: one that was held during a fork stays so in the child.
        lock = self._locks.setdefault(forks(), threading.RLock())
        new = BlockingConnection(self._runtime_dir, forks(), lock, self._closing)
        if connection is None:
            self._of_thread.connection = new
        return new

    def existing(self) -> BlockingConnection | None:
        """Return the calling thread's connection, if it has been made since the last fork."""
        connection: BlockingConnection | None = getattr(self._of_thread, "connection", None)
        return connection if connection is not None and connection.forks == forks() else None

    def close(self) -> None:
        """Close the calling thread's connection, and make calls of other threads fail.

        Their sockets close with their threads, or with the client object.
        """
        self._closing.closed = True
        connection = self.existing()
        if connection is not None:
            connection.drop()
