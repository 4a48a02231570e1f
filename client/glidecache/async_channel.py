"""The asyncio client's channels: one per process and event loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from glidecache.channel import Channel, reply_deadline_ns
from glidecache.errors import ClosingError
from glidecache.link import READABLE, WRITABLE, forks
from glidecache.outcomes import DaemonLostError, NoDaemonError, NoReplyError, NotSentError, too_many

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.link import Link
    from glidecache.settings import Settings

_LONGEST_WAIT_SECONDS = 86_400.0


class AsyncChannel(Channel):
    """One event loop's channel. For that loop's thread."""

    __slots__ = ("_inflight_requests", "_loop", "_replies", "_together", "_turns", "_up")

    def __init__(
        self, runtime_dir: str, made_after_forks: int, loop: asyncio.AbstractEventLoop, inflight_requests: int
    ) -> None:
        super().__init__(runtime_dir, made_after_forks)
        self._loop = loop
        self._inflight_requests = inflight_requests
        self._replies: dict[int, asyncio.Future[tuple[int, Any]]] = {}
        self._together: dict[int, bytes] = {}
        """Requests that leave together at the end of the loop's turn, because others are open already."""
        self._up: asyncio.Future[bool] | None = None
        self._turns = _Turns()

    @property
    def crowded(self) -> bool:
        """Whether calls of this loop have the turn or wait for it."""
        return self._turns.waiting > 0

    def turn(self, deadline_ns: int) -> _LoopTurn:
        """The right to connect and attach, in the order of asking."""
        return _LoopTurn(self._turns, deadline_ns)

    def shut(self) -> None:
        """Close, and fail what still waits for a reply or a connection. For the loop's thread."""
        if self._up is not None:
            _settle(self._up, False)
        self._fail(ClosingError("the client was closed"))
        self.drop()

    async def _wait_until_up(self, link: Link, deadline_ns: int) -> bool:
        if link.is_up:
            return True
        self._up = self._loop.create_future()
        timer = self._loop.call_later(_seconds_until(deadline_ns), _settle, self._up, False)
        try:
            return await self._up
        finally:
            timer.cancel()
            self._up = None

    async def _pause(self, nanoseconds: int) -> None:
        await asyncio.sleep(nanoseconds / 1e9)

    async def _exchange(self, link: Link, request_id: int, frame: bytes, deadline_ns: int) -> tuple[int, Any]:
        if len(self._replies) >= self._inflight_requests:
            raise too_many(self._inflight_requests)
        if self._replies:
            if not self._together:
                self._loop.call_soon(self._send_together, link)
            self._together[request_id] = frame
        else:
            self._send(link, frame)
        reply: asyncio.Future[tuple[int, Any]] = self._loop.create_future()
        self._replies[request_id] = reply
        timer = self._loop.call_later(_seconds_until(reply_deadline_ns(deadline_ns)), _give_up, reply)
        try:
            return await reply
        finally:
            timer.cancel()
            del self._replies[request_id]
            self._together.pop(request_id, None)

    def _send(self, link: Link, *frames: bytes) -> None:
        """Hand over; what the kernel has no room for goes when it has. Raises `NotSentError`."""
        try:
            link.send(*frames)
        except NotSentError:
            self._lose(link)
            raise
        if link.unsent:
            self._loop.add_writer(link.descriptor, self._on_room, link)

    def _send_together(self, link: Link) -> None:
        if link is not self._link or not self._together:
            return  # it was released meanwhile, or all of them were cancelled
        with suppress(NotSentError):  # releasing the link has told them
            self._send(link, *self._together.values())
        self._together.clear()

    def _make_link(self) -> Link:
        link = super()._make_link()
        self._loop.add_reader(link.descriptor, self._on_change, link)
        return link

    def _release(self, link: Link) -> None:
        if not self._loop.is_closed():
            self._loop.remove_reader(link.descriptor)
            self._loop.remove_writer(link.descriptor)
            _fail([self._replies[request_id] for request_id in self._together], NotSentError())
        self._together.clear()
        link.close()

    def _on_room(self, link: Link) -> None:
        """Hand over more of what the kernel had no room for."""
        link.flush()
        if not link.unsent:
            self._loop.remove_writer(link.descriptor)

    def _on_change(self, link: Link) -> None:
        """Take what came; notice whether the connection has come up or gone."""
        while link is self._link:
            events = link.events()
            if events & READABLE:
                self._take_reply(link)
                if link.has_arrived:
                    continue
                return  # what else comes is announced
            if self._up is not None:
                if events & WRITABLE or link.ended:
                    _settle(self._up, link.is_up)
            elif not events & WRITABLE:
                self._lose(link)
            return

    def _lose(self, link: Link) -> None:
        """The daemon is gone: take what it still said, and tell the calls that wait."""
        while link is self._link and link.events() & READABLE:
            self._take_reply(link)
        if link is self._link:
            self.drop()
            self._fail(DaemonLostError())

    def _take_reply(self, link: Link) -> None:
        frame = link.receive()
        if frame is None:
            return
        try:
            request_id, status, body = self._read(frame)
        except DaemonLostError as error:
            self._fail(error)
            return
        reply = self._replies.get(request_id)
        if reply is not None and not reply.done():  # others come too late for their request
            reply.set_result((status, body))

    def _fail(self, error: Exception) -> None:
        _fail(self._replies.values(), error)


class LoopChannels:
    """An asyncio client's channels (`channel.Channels`). Each event loop, in whichever thread, has one."""

    def __init__(self, settings: Settings) -> None:
        self._runtime_dir = settings.runtime_dir
        self._inflight_requests = settings.inflight_requests
        self._of_loop: dict[asyncio.AbstractEventLoop, AsyncChannel] = {}

    def current(self) -> AsyncChannel:
        """The running loop's channel."""
        channel = self.existing()
        if channel is None:
            loop = asyncio.get_running_loop()
            channel = AsyncChannel(self._runtime_dir, forks(), loop, self._inflight_requests)
            self._forget_closed_loops()
            self._of_loop[loop] = channel
        return channel

    def existing(self) -> AsyncChannel | None:
        """The running loop's channel, if it has been made since the last fork."""
        channel = self._of_loop.get(asyncio.get_running_loop())
        return channel if channel is not None and channel.forks == forks() else None

    def close(self) -> None:
        """Close the running loop's channel now, and have the other loops close theirs."""
        running = asyncio.get_running_loop()
        for loop, channel in list(self._of_loop.items()):
            if channel.forks != forks():
                continue  # the parent's: its sockets, and its loop's descriptors, are not ours to touch
            if loop is running:
                channel.shut()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(channel.shut)
        self._of_loop.clear()

    def __del__(self) -> None:
        # A client that is dropped unclosed: its loops would keep the sockets as long as they run.
        for loop, channel in self._of_loop.items():
            if channel.forks == forks():
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(channel.shut)

    def _forget_closed_loops(self) -> None:
        for loop, channel in list(self._of_loop.items()):
            if loop.is_closed():
                del self._of_loop[loop]
                if channel.forks == forks():
                    channel.drop()


class _Turns:
    """A lock, and how many calls have it or wait for it: a later call must not go before them (contract C23)."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class _LoopTurn:
    """A lock with a deadline. Who leaves goes on at once, before whoever comes next."""

    __slots__ = ("_deadline_ns", "_turns")

    def __init__(self, turns: _Turns, deadline_ns: int) -> None:
        self._turns = turns
        self._deadline_ns = deadline_ns

    async def __aenter__(self) -> None:
        turns = self._turns
        turns.waiting += 1
        try:
            async with asyncio.timeout(_seconds_until(self._deadline_ns)):
                await turns.lock.acquire()
        except TimeoutError:
            turns.waiting -= 1
            message = "glidecached does not answer: another call is still waiting for it"
            raise NoDaemonError(message) from None
        except BaseException:
            turns.waiting -= 1
            raise

    async def __aexit__(self, *_exception: object) -> None:
        self._turns.waiting -= 1
        self._turns.lock.release()


def _seconds_until(deadline_ns: int) -> float:
    return min(max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9), _LONGEST_WAIT_SECONDS)


def _settle(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)


def _fail(replies: Iterable[asyncio.Future[tuple[int, Any]]], error: Exception) -> None:
    for reply in replies:
        if not reply.done():
            reply.set_exception(error)


def _give_up(reply: asyncio.Future[tuple[int, Any]]) -> None:
    if not reply.done():
        reply.set_exception(NoReplyError())
