"""Watched keys: a connection for one thread or event loop of a client, from WATCH to EXEC.

The server forgets what a connection watches when it executes, unwatches, or ends. So the end of a watch closes or
cleans its connection, and a transaction that names an ended watch is not run. A watch ends with the client's connection
that named it last: a process or thread that has ended leaves none behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop
    from glidecached.process.timers import Timer
    from glidecached.upstream.call import Call
    from glidecached.upstream.interface import Reservation, Upstream

IDLE_MS = 60_000
"""The time after which an unused watch ends. Other clients may be waiting for its connection."""


class KeyWatcher(Protocol):
    """The part of a session that its watches need."""

    watches: dict[int, Watch]

    @property
    def upstream(self) -> Upstream:
        """Return the upstream of the watched keys."""


class Watch:
    """One session's watch, by the number that the client chose. Belongs to the loop's thread.

    It ends with its transaction, its `unwatch`, its session, its connection, its client's connection, or after disuse.
    """

    def __init__(
        self, loop: Loop, session: KeyWatcher, number: int, ended: Callable[[Watch], object] | None = None
    ) -> None:
        """Hold a watch's connection. `ended` is called once, when the watch ends."""
        self._loop = loop
        self._session = session
        self._number = number
        self._reserved: Reservation | None = None
        self._timer: Timer | None = None
        self._ended = ended
        self.identity = b""
        """The client's connection that named it last."""
        self.released: Callable[[], object] | None = None
        """Called once at the end: gives back what was counted for the watch."""
        session.watches[number] = self

    def begin(self, keys: list[bytes]) -> str | None:
        """Reserve the connection. If that is not possible, end the watch, and return the reason; else None."""
        reserved = self._session.upstream.reserve(keys, self)
        if isinstance(reserved, str):
            self.end()
            return reserved
        self._reserved = reserved
        return None

    def submit(self, call: Call) -> None:
        """Send a WATCH. Only between `begin` and the end."""
        self._renew()
        if self._reserved is not None:
            self._reserved.submit(call)

    def submit_last(self, call: Call) -> None:
        """Send the call that ends the watch. The session no longer has it; its connection is free after the call."""
        reserved, self._reserved = self._reserved, None
        self.end()
        if reserved is not None:
            reserved.submit(call, last=True)

    def end_soon(self) -> None:
        """End the watch after the work in progress on its connection."""
        self._loop.defer(self.end)

    def end(self) -> None:
        """Forget the keys, and close the connection. Idempotent."""
        if self._session.watches.get(self._number) is self:
            del self._session.watches[self._number]
        if self._timer is not None:
            self._timer.cancel()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self)
        released, self.released = self.released, None
        if released is not None:
            released()
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            reserved.close()

    def connection_ended(self) -> None:
        """End the watch: the server watches nothing any more (`blocking.Holder`)."""
        self.end()

    def _renew(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(IDLE_MS, self.end)
