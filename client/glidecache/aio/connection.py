"""The asyncio client's connections: one per process and event loop.

A deadline measures the daemon and the servers, not the caller's own event loop (contract C28): a request's clock starts
when the request leaves, and before a call times out, the loop reads what has arrived.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from contextlib import suppress

from glidecache.core.connection import DaemonConnection, reply_deadline_ns, with_deadline
from glidecache.core.transport import READABLE, WRITABLE, forks
from glidecache.core.transport_errors import DaemonLostError, NoReplyError, NotSentError, too_many
from glidecache.errors import ClosingError
from glidecache.loop_turns import Alarm, LoopTurns, seconds_until
from glidecache_shared import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from typing import Any, TypeVar

    from glidecache.core.settings import Settings
    from glidecache.core.transport import Transport

    Result = TypeVar("Result")

_MS = 1_000_000
_PROMPT_NS = _MS
"""A request sent within this time keeps its original deadline."""


class AsyncConnection(DaemonConnection):
    """One event loop's connection. For that loop's thread."""

    __slots__ = ("_inflight_requests", "_late", "_loop", "_replies", "_tether", "_together", "_turns", "_up")

    def __init__(
        self, runtime_dir: str, made_after_forks: int, loop: asyncio.AbstractEventLoop, inflight_requests: int
    ) -> None:
        super().__init__(runtime_dir, made_after_forks)
        self._loop = loop
        self._inflight_requests = inflight_requests
        self._replies: dict[int, asyncio.Future[tuple[int, Any]]] = {}
        self._together: dict[int, tuple[bytes, int, int]] = {}
        """Requests that are sent together at the end of the loop's turn, because others are already open.

        Each has its deadline, and the time at which the call was made.
        """
        self._late: dict[int, int] = {}
        """The delay between the call and the sending of each late request."""
        self._up: asyncio.Future[bool] | None = None
        self._turns = LoopTurns(loop)
        self._tether: weakref.ref[_Tether] | None = None

    @property
    def crowded(self) -> bool:
        """Return whether any call of this loop has the turn or waits for it."""
        return self._turns.crowded

    async def in_turn(
        self, deadline_ns: int, function: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any
    ) -> Result:
        """Connect or attach, in the order of the calls."""
        await self._turns.take(deadline_ns)
        try:
            return await function(*arguments)
        finally:
            self._turns.leave()

    def extended(self, deadline_ns: int) -> int:
        """Return the deadline, extended by the time for which the loop did not run since this call began to wait."""
        return deadline_ns + self._turns.lag_ns

    def shut(self) -> None:
        """Close, and fail all calls that wait for a reply or a connection. For the loop's thread."""
        if self._up is not None:
            _settle(self._up, False)
        self._fail(ClosingError("the client was closed"))
        self.drop()

    def have_shut(self) -> None:
        """Ask the loop to `shut` this connection, from any thread."""
        link = self._link
        if link is not None and not link.is_own:
            return  # the loop's descriptors are closed: waking it would write to an unrelated file
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.shut)

    async def _wait_until_up(self, link: Transport, deadline_ns: int) -> bool:
        if link.is_up:
            return True
        up: asyncio.Future[bool] = self._loop.create_future()
        self._up = up
        alarm = Alarm(
            self._loop,
            lambda: self.extended(deadline_ns),
            lambda: _settle(up, link.is_up),
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
        link, request_id, frame = self._pack(operation, instance_id, deadline_ns, body)
        now_ns = time.monotonic_ns()
        if len(self._replies) >= self._inflight_requests:
            raise too_many(self._inflight_requests)
        reply: asyncio.Future[tuple[int, Any]] | None = None
        timer: asyncio.TimerHandle | None = None
        try:
            if self._replies:
                if not self._together:
                    self._loop.call_soon(self._send_together, link)
                self._together[request_id] = frame, deadline_ns, now_ns
            else:
                self._send(link, frame)
                self.left_ns = now_ns
            reply = self._replies[request_id] = self._loop.create_future()
            until_ns = reply_deadline_ns(deadline_ns, now_ns)
            timer = self._loop.call_later(
                seconds_until(until_ns, now_ns), self._overdue, link, request_id, reply, until_ns
            )
            return await reply
        except BaseException:
            if reply is not None and reply.done() and not reply.cancelled():
                reply.exception()  # it may have arrived while the call was interrupted
            else:
                self._cancel(link, request_id)
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._replies.pop(request_id, None)
            if self._together:
                self._together.pop(request_id, None)
            if self._late:
                self._late.pop(request_id, None)

    def _overdue(
        self, link: Transport, request_id: int, reply: asyncio.Future[tuple[int, Any]], until_ns: int
    ) -> None:
        """Time a call out, unless its reply has arrived, or its clock started later than the call."""
        if reply.done():
            return
        if link is self._link:
            self._take_replies(link)
        if reply.done():
            return
        now_ns = time.monotonic_ns()
        if request_id in self._together:
            # The request leaves in this turn of the loop.
            _, deadline_ns, asked_ns = self._together[request_id]
            until_ns = reply_deadline_ns(deadline_ns + now_ns - asked_ns, now_ns)
        else:
            until_ns += self._late.pop(request_id, 0)
        if until_ns > now_ns:
            self._loop.call_later(_seconds_until(until_ns), self._overdue, link, request_id, reply, until_ns)
        else:
            reply.set_exception(NoReplyError())

    def _cancel(self, link: Transport, request_id: int) -> None:
        """Cancel a call in the daemon. Best effort: without the transport the daemon knows that the call is over."""
        if self._together.pop(request_id, None) is not None or link is not self._link or self.hello is None:
            return
        if self._loop.is_closed():
            self.drop()
            return
        self.post(protocol.CANCEL, self.hello.instance_id, (request_id,))

    def _send(self, link: Transport, frame: bytes, *frames: bytes) -> None:
        """Send now what the kernel has room for, and the rest later. Raises `NotSentError`."""
        try:
            link.send(frame, *frames)
        except NotSentError:
            self._lose(link)
            raise
        if link.unsent:
            self._loop.add_writer(link.descriptor, self._on_room, link)

    def _send_together(self, link: Transport) -> None:
        if link is not self._link or not self._together:
            return  # the transport was released meanwhile, or all requests were cancelled
        self.left_ns = now_ns = time.monotonic_ns()
        frames = []
        for request_id, (frame, deadline_ns, asked_ns) in self._together.items():
            late_ns = now_ns - asked_ns
            if late_ns > _PROMPT_NS:
                # Its clock starts now.
                self._late[request_id] = late_ns
                frames.append(with_deadline(frame, deadline_ns + late_ns))
            else:
                frames.append(frame)
        with suppress(NotSentError):  # releasing the transport has failed these calls
            self._send(link, *frames)
        self._together.clear()

    def _make_link(self) -> Transport:
        link = super()._make_link()
        tether = _Tether(link)
        self._tether = weakref.ref(tether)
        self._loop.add_reader(link.descriptor, self._on_change, link, tether)
        return link

    def _release(self, link: Transport) -> None:
        if not self._loop.is_closed():
            # Otherwise the number belongs to another file by now, and its watcher is not this one.
            if self._tether is not None and self._tether() is not None:
                self._loop.remove_reader(link.descriptor)
                self._loop.remove_writer(link.descriptor)
            _fail([self._replies[each] for each in self._together if each in self._replies], NotSentError())
        self._together.clear()
        link.close()

    def _on_room(self, link: Transport) -> None:
        """Send more of what the kernel had no room for."""
        link.flush()
        if not link.unsent:
            self.left_ns = time.monotonic_ns()
            self._loop.remove_writer(link.descriptor)

    def _take_replies(self, link: Transport) -> None:
        """Take all replies that have arrived."""
        while link is self._link and link.events() & READABLE:
            self._take_reply(link)

    def _on_change(self, link: Transport, _tether: _Tether) -> None:
        """Take what has arrived. Notice whether the connection is established or has ended."""
        while link is self._link:
            events = link.events()
            if events & READABLE:
                self._take_reply(link)
                if link.has_arrived:
                    continue
                return  # what else arrives is announced
            if self._up is not None:
                if events & WRITABLE or link.ended:
                    _settle(self._up, link.is_up)
            elif not events & WRITABLE:
                self._lose(link)
            return

    def _lose(self, link: Transport) -> None:
        """Handle the loss of the daemon: take its last replies, and fail the calls that wait."""
        self._take_replies(link)
        if link is self._link:
            self.drop()
            self._fail(DaemonLostError())

    def _take_reply(self, link: Transport) -> None:
        frame = link.receive()
        if frame is None:
            return
        try:
            request_id, status, body = self._read(frame)
        except DaemonLostError as error:
            self._fail(error)
            return
        reply = self._replies.get(request_id)
        if reply is not None and not reply.done():  # other replies come too late for their requests
            reply.set_result((status, body))

    def _fail(self, error: Exception) -> None:
        _fail(self._replies.values(), error)


class LoopConnections:
    """An asyncio client's connections (`core.connection.Channels`). Each event loop, in any thread, has one."""

    def __init__(self, settings: Settings) -> None:
        self._runtime_dir = settings.runtime_dir
        self._inflight_requests = settings.inflight_requests
        self._of_loop: dict[asyncio.AbstractEventLoop, AsyncConnection] = {}

    def current(self) -> AsyncConnection:
        """Return the running loop's connection."""
        channel = self.existing()
        if channel is None:
            loop = _running_loop()
            channel = AsyncConnection(self._runtime_dir, forks(), loop, self._inflight_requests)
            self._forget_closed_loops()
            self._of_loop[loop] = channel
        return channel

    def existing(self) -> AsyncConnection | None:
        """Return the running loop's connection, if it has been made since the last fork."""
        channel = self._of_loop.get(_running_loop())
        return channel if channel is not None and channel.forks == forks() else None

    def close(self) -> None:
        """Close the running loop's connection now, and ask the other loops to close theirs."""
        running = _running_loop()
        for loop, channel in list(self._of_loop.items()):
            if channel.forks != forks():
                continue  # the parent's: its sockets, and its loop's descriptors, must not be touched
            if loop is running:
                channel.shut()
            else:
                channel.have_shut()
        self._of_loop.clear()

    def __del__(self) -> None:
        # For a client that is dropped without `close`: its loops would keep the sockets as long as they run.
        for channel in self._of_loop.values():
            if channel.forks == forks():
                channel.have_shut()

    def _forget_closed_loops(self) -> None:
        for loop, channel in list(self._of_loop.items()):
            if loop.is_closed():
                del self._of_loop[loop]
                if channel.forks == forks():
                    channel.drop()


class _Tether:
    """An object that only the event loop holds, with the transport's reader. A closed loop so closes the transport.

    There is no other sign that a loop was closed while calls are open. The daemon then ends these calls.
    """

    __slots__ = ("__weakref__", "_link")

    def __init__(self, link: Transport) -> None:
        self._link = link

    def __del__(self) -> None:
        link = getattr(self, "_link", None)  # the constructor may have been interrupted
        if link is not None:
            link.close()


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        message = (
            "glidecache's asyncio client was called outside of a running asyncio event loop; it does not run under "
            "trio or curio: there, use glidecache.sync in a thread (trio.to_thread.run_sync)"
        )
        raise RuntimeError(message) from None


def _seconds_until(deadline_ns: int) -> float:
    return seconds_until(deadline_ns, time.monotonic_ns())


def _settle(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)


def _fail(replies: Iterable[asyncio.Future[tuple[int, Any]]], error: Exception) -> None:
    for reply in replies:
        if not reply.done():
            reply.set_exception(error)
