"""The asyncio client's connections: one per process and event loop."""

from __future__ import annotations

import asyncio
import sys
import time
import weakref
from contextlib import suppress

from glidecache.aio.loop_exchange import LoopExchange
from glidecache.aio.loop_lock import Alarm, LoopLock
from glidecache.core.connection import DaemonConnection
from glidecache.core.transport_errors import DaemonLostError, NotSentError
from glidecache.errors import ClosingError
from glidecache_shared import protocol
from glidecache_shared.wire.dealer import READABLE, WRITABLE, forks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, TypeVar

    from glidecache.core.settings import Settings
    from glidecache_shared.wire.dealer import Dealer

    Result = TypeVar("Result")


class AsyncConnection(DaemonConnection):
    """One event loop's connection. For that loop's thread."""

    __slots__ = ("__weakref__", "_loop", "_tether", "_up", "exchange", "lock")

    def __init__(
        self, runtime_dir: str, made_after_forks: int, loop: asyncio.AbstractEventLoop, inflight_requests: int
    ) -> None:
        super().__init__(runtime_dir, made_after_forks)
        self._loop = loop
        self.exchange = LoopExchange(self, loop, inflight_requests)
        self._up: asyncio.Future[bool] | None = None
        self.lock = LoopLock(loop)
        self._tether: weakref.ref[_Tether] | None = None

    @property
    def has_waiters(self) -> bool:
        """Return whether any call of this loop holds the lock or waits for it."""
        return self.lock.has_waiters

    async def run_exclusively(
        self,
        deadline_ns: int,
        is_ready: Callable[[], bool],
        function: Callable[..., Coroutine[Any, Any, Result]],
        *arguments: Any,
    ) -> Result:
        """Connect or attach, in the order of the calls."""
        await self.lock.acquire(deadline_ns, is_ready)
        try:
            return await function(*arguments)
        finally:
            self.lock.release()

    def extended(self, deadline_ns: int) -> int:
        """Return the deadline, extended by the time for which the loop has worked since this call began to wait."""
        return deadline_ns + self.lock.lag_ns

    def shut(self) -> None:
        """Close, and fail all calls that wait for a reply or a connection. For the loop's thread."""
        if self._up is not None:
            _resolve(self._up, False)
        self.exchange.fail(ClosingError("the client was closed"))
        self.drop()

    def have_shut(self) -> None:
        """Ask the loop to `shut` this connection, from any thread."""
        dealer = self.dealer
        if dealer is not None and not dealer.file.is_own():
            return  # the loop's descriptors are closed: waking it would write to an unrelated file
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.shut)

    async def _wait_until_up(self, dealer: Dealer, deadline_ns: int) -> bool:
        if dealer.is_up:
            return True
        up: asyncio.Future[bool] = self._loop.create_future()
        self._up = up
        alarm = Alarm(
            self._loop,
            lambda: self.extended(deadline_ns),
            lambda: _resolve(up, dealer.is_up),
        )
        try:
            return await up
        finally:
            alarm.cancel()
            self._up = None

    async def _pause(self, nanoseconds: int) -> None:
        await asyncio.sleep(nanoseconds / 1e9)

    async def request(
        self, operation: int, instance_id: int, deadline_ns: int, body: Sequence[Any]
    ) -> tuple[int, Any]:
        """Send one request and wait for its reply."""
        dealer, request_id, message = self._pack(operation, instance_id, deadline_ns, body)
        return await self.exchange.request(self, dealer, request_id, message, deadline_ns)

    def cancel(self, dealer: Dealer, request_id: int) -> None:
        """Cancel a call in the daemon. Best effort: without the connection the daemon knows that the call is over."""
        if dealer is not self.dealer or self.hello is None:
            return
        if self._loop.is_closed():
            self.drop()
            return
        self.post(protocol.CANCEL, self.hello.instance_id, (request_id,))

    def send_all(self, dealer: Dealer, messages: Sequence[bytes]) -> None:
        """Send messages as far as the kernel has room for them, and the rest later. Raises `NotSentError`."""
        self._send(dealer, *messages)

    def _send(self, dealer: Dealer, frame: bytes, *frames: bytes) -> None:
        """Send now what the kernel has room for, and the rest later. Raises `NotSentError`."""
        try:
            dealer.send(frame, *frames)
        except NotSentError:
            self._lose(dealer)
            raise
        if dealer.has_unsent():
            self._loop.add_writer(dealer.descriptor, self._on_room, dealer)

    def _open_dealer(self) -> Dealer:
        dealer = super()._open_dealer()
        tether = _Tether(dealer)
        self._tether = weakref.ref(tether)
        self._loop.add_reader(dealer.descriptor, self._on_change, dealer, tether)
        return dealer

    def _release(self, dealer: Dealer) -> None:
        if not self._loop.is_closed():
            # Otherwise the number belongs to another file by now, and its watcher is not this one.
            if self._tether is not None and self._tether() is not None:
                self._loop.remove_reader(dealer.descriptor)
                self._loop.remove_writer(dealer.descriptor)
            self.exchange.fail_queued(NotSentError())
        self.exchange.forget_queued()
        dealer.close()

    def _on_room(self, dealer: Dealer) -> None:
        """Send more of what the kernel had no room for."""
        dealer.flush()
        if not dealer.has_unsent():
            self.sent_ns = time.monotonic_ns()
            self._loop.remove_writer(dealer.descriptor)

    def _on_change(self, dealer: Dealer, _tether: _Tether) -> None:
        """Read what has arrived. Notice whether the connection is established or has ended."""
        if dealer is not self.dealer:
            return
        events = self.exchange.read_next(self, dealer)
        if events & READABLE or dealer is not self.dealer:
            return
        if self._up is not None:
            if events & WRITABLE or dealer.ended:
                _resolve(self._up, dealer.is_up)
        elif not events & WRITABLE:
            self._lose(dealer)

    def _lose(self, dealer: Dealer) -> None:
        """Handle the loss of the daemon: read its last replies, and fail the calls that wait."""
        self.exchange.read_all(self, dealer)
        if dealer is self.dealer:
            self.drop()
            self.exchange.fail(DaemonLostError())


class LoopConnections:
    """An asyncio client's connections (`core.connection.Connections`). Each event loop, in any thread, has one."""

    def __init__(self, settings: Settings) -> None:
        self._runtime_dir = settings.runtime_dir
        self._inflight_requests = settings.inflight_requests
        self.of_loop: dict[asyncio.AbstractEventLoop, AsyncConnection] = {}

    def current(self) -> AsyncConnection:
        """Return the running loop's connection."""
        connection = self.existing()
        if connection is None:
            loop = _running_loop()
            connection = AsyncConnection(self._runtime_dir, forks(), loop, self._inflight_requests)
            self._forget_closed_loops()
            self.of_loop[loop] = connection
        return connection

    def existing(self) -> AsyncConnection | None:
        """Return the running loop's connection, if it has been made since the last fork."""
        connection = self.of_loop.get(_running_loop())
        return connection if connection is not None and connection.forks == forks() else None

    def close(self) -> None:
        """Close the running loop's connection now, and ask the other loops to close theirs."""
        running = _running_loop()
        for loop, connection in list(self.of_loop.items()):
            if connection.forks != forks():
                continue  # the parent's: its sockets, and its loop's descriptors, must not be touched
            if loop is running:
                connection.shut()
            else:
                connection.have_shut()
        self.of_loop.clear()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # For a client that is dropped without `close`: its loops would keep the sockets as long as they run.
        if is_finalizing():
            return  # the loops run no more, and this module has lost its names
        for connection in self.of_loop.values():
            if connection.forks == forks():
                connection.have_shut()

    def _forget_closed_loops(self) -> None:
        for loop, connection in list(self.of_loop.items()):
            if loop.is_closed():
                del self.of_loop[loop]
                if connection.forks == forks():
                    connection.drop()


class _Tether:
    """An object that only the event loop holds, with the dealer's reader. A closed loop so closes the dealer.

    There is no other sign that a loop was closed while calls are open. The daemon then ends these calls.
    """

    __slots__ = ("__weakref__", "_dealer")

    def __init__(self, dealer: Dealer) -> None:
        self._dealer = dealer

    def __del__(self) -> None:
        dealer = getattr(self, "_dealer", None)  # the constructor may have been interrupted
        if dealer is not None:
            dealer.close()


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        message = (
            "glidecache's asyncio client was called outside of a running asyncio event loop; it does not run under "
            "trio or curio: there, use glidecache.sync in a thread (trio.to_thread.run_sync)"
        )
        raise RuntimeError(message) from None


def _resolve(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)
