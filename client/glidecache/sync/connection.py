"""The blocking client's connections: one per process and thread. Its coroutines never suspend (`run_blocking`)."""

from __future__ import annotations

import threading
import time

from glidecache.core.connection import DaemonConnection
from glidecache.core.transport_errors import NoDaemonError, NotSentError
from glidecache.sync.exchange import Closing, Exchange
from glidecache_shared.uninterrupted import LockedCall, run_blocking
from glidecache_shared.wire.dealer import forks

__all__ = ["BlockingConnection", "ThreadConnections", "run_blocking"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, TypeVar

    from glidecache.core.settings import Settings
    from glidecache_shared.wire.dealer import Dealer

    Result = TypeVar("Result")

_MS = 1_000_000
_LONGEST_WAIT_MS = 50
"""The longest single wait: other exceptions than a signal handler's come only between two waits."""


class BlockingConnection(DaemonConnection):
    """One thread's connection. A call inside a call, from a signal handler or a finaliser, is safe."""

    __slots__ = ("_lock", "exchange")

    def __init__(
        self, runtime_dir: str, made_after_forks: int, lock: threading.RLock, closing: Closing
    ) -> None:
        super().__init__(runtime_dir, made_after_forks)
        self._lock = lock
        self.exchange = Exchange(closing)

    def run_exclusively(
        self,
        deadline_ns: int,
        is_ready: Callable[[], bool],  # noqa: ARG002 - threads wait one by one
        function: Callable[..., Coroutine[Any, Any, Result]],
        *arguments: Any,
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
        dealer, request_id, message = self._pack(operation, instance_id, deadline_ns, body)
        try:
            return self.exchange.request(self, dealer, request_id, message, deadline_ns)
        finally:
            self.sent_ns = self.exchange.sent_ns

    def interruption_point(self) -> None:
        """Let exceptions from outside come: the interpreter looks for them when it runs a function."""

    def drop_if_current(self, dealer: Dealer) -> None:
        """Close a connection that failed, unless a call inside has replaced it already."""
        if self.dealer is dealer:
            self.drop()

    def _send(self, dealer: Dealer, frame: bytes) -> None:
        try:
            dealer.send(frame)
        except NotSentError:
            self.drop_if_current(dealer)
            raise

    def _release(self, dealer: Dealer) -> None:
        dealer.close()


class ThreadConnections:
    """A blocking client's connections (`core.connection.Connections`). Any thread may ask, also of a forked child."""

    def __init__(self, settings: Settings) -> None:
        self._runtime_dir = settings.runtime_dir
        self.of_thread = threading.local()
        self._locks: dict[int, threading.RLock] = {}
        self._closing = Closing()

    def current(self) -> BlockingConnection:
        """Return the calling thread's connection; a separate one for a call inside another that is at work on it."""
        connection = self.existing()
        if connection is not None and not connection.exchange.busy:
            return connection
        # A lock of this process: one that was held during a fork stays so in the child.
        lock = self._locks.setdefault(forks(), threading.RLock())
        new = BlockingConnection(self._runtime_dir, forks(), lock, self._closing)
        if connection is None:
            self.of_thread.connection = new
        return new

    def existing(self) -> BlockingConnection | None:
        """Return the calling thread's connection, if it has been made since the last fork."""
        connection: BlockingConnection | None = getattr(self.of_thread, "connection", None)
        return connection if connection is not None and connection.forks == forks() else None

    def close(self) -> None:
        """Close the calling thread's connection, and make calls of other threads fail.

        Their sockets close with their threads, or with the client object.
        """
        self._closing.closed = True
        connection = self.existing()
        if connection is not None:
            connection.drop()
