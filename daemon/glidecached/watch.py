"""Watched keys: a connection of its own for one thread or event loop of a client, from WATCH to EXEC.

The server forgets what a connection watches when it executes, unwatches, or ends. So whatever ends a watch ends or
cleans its connection, and a transaction that names a watch which is no longer there is not run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from glidecached.loop import READABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.loop import Loop, Timer
    from glidecached.upstream.base import Upstream
    from glidecached.upstream.blocking import Reserved
    from glidecached.upstream.call import Call

IDLE_MS = 60_000
"""How long a watch stands without a request of its own. Others may be waiting for its connection."""


class Watcher(Protocol):
    """The part of a session that its watches need."""

    watches: dict[int, Watch]

    @property
    def upstream(self) -> Upstream:
        """Whose servers are asked."""


class Watch:
    """One session's watch, by the number that the client chose. Belongs to the loop's thread.

    Ends with its transaction, its `unwatch`, its session, its connection, its client's process, or for want of use.
    """

    def __init__(self, loop: Loop, session: Watcher, number: int, pid: int) -> None:
        """`pid`: the process that watches, as the kernel told; 0 or one that cannot be seen does no harm."""
        self._loop = loop
        self._session = session
        self._number = number
        self._reserved: Reserved | None = None
        self._timer: Timer | None = None
        self._process = _open_process(pid)
        if self._process is not None:
            loop.watch(self._process, READABLE, lambda _events: self.end())
        self.released: Callable[[], object] | None = None
        """Called once at the end: gives back what was counted for the watch."""
        session.watches[number] = self

    def begin(self, keys: list[bytes]) -> str | None:
        """Reserve the connection; why that was not possible, in which case the watch has ended."""
        reserved = self._session.upstream.reserve(keys, self)
        if isinstance(reserved, str):
            self.end()
            return reserved
        self._reserved = reserved
        return None

    def submit(self, call: Call) -> None:
        """Send a WATCH. To be used between `begin` and the end."""
        self._renew()
        if self._reserved is not None:
            self._reserved.submit(call)

    def submit_last(self, call: Call) -> None:
        """Send what ends the watch. It is found no more; its connection becomes another's once the call is done."""
        reserved, self._reserved = self._reserved, None
        self.end()
        if reserved is not None:
            reserved.submit(call, last=True)

    def end_soon(self) -> None:
        """End, once what is being done on its connection is done."""
        self._loop.defer(self.end)

    def end(self) -> None:
        """Forget the keys, and close the connection. Idempotent."""
        if self._session.watches.get(self._number) is self:
            del self._session.watches[self._number]
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None:
            self._loop.forget(self._process)
            os.close(self._process)
            self._process = None
        released, self.released = self.released, None
        if released is not None:
            released()
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            reserved.close()

    def connection_ended(self) -> None:
        """`blocking.Holder`: the server watches nothing any more."""
        self.end()

    def _renew(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(IDLE_MS, self.end)


def _open_process(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where it cannot be seen from here."""
    try:
        return os.pidfd_open(pid) if pid > 0 else None
    except OSError:
        return None
