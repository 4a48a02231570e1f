"""Room for long replies while they arrive: counted against the budget of clients' memory (isolation I8).

A connection to a server reads a long reply only as far as there is room for it. Without room it stops reading until
there is some. One reply at a time is received beside the budget, by a lane. It must make progress while others wait for
the lane. Replies that are not long are bounded by the number of open requests, and are not counted.

All long replies together hold what one process may. Of that, each server's replies have a share.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from glidecached.budget import OversizeLane
from glidecached.shares import Shares, megabytes

if TYPE_CHECKING:
    from collections.abc import Callable

_MB = 1_048_576
_DEFAULT_MB = 256
_LEAST_PROGRESS_BYTES = 16 * _MB
_PATIENCE_NS = 10_000_000_000


class _Holder(NamedTuple):
    """The holder of the shares for one server's replies, or for all: a process with a number that no process has."""

    uid: int
    pid: int


class ReadingConnection(Protocol):
    """The part of a connection to a server that is needed here."""

    def close(self) -> None:
        """Close it, without informing its owner."""


class ReadingOwner(Protocol):
    """The object that made the connection."""

    def connection_lost(self, reason: str) -> None:
        """Handle the end of the connection."""


class _Arriving:
    """The memory held by one connection's reply."""

    __slots__ = ("granted_bytes", "holder", "owner", "seen_bytes", "seen_ns", "size_bytes")

    def __init__(self, owner: ReadingOwner, holder: _Holder) -> None:
        self.owner = owner
        self.holder = holder
        self.granted_bytes = self.size_bytes = self.seen_bytes = 0
        self.seen_ns = 0


class ReplyRoom:
    """The memory held by long replies, by connection. For the loop's thread."""

    def __init__(self, memory: Shares, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.lane = OversizeLane()
        self._clock = clock
        self._uid = os.geteuid()
        self._all = _Holder(self._uid, -1)
        self._arriving: dict[ReadingConnection, _Arriving] = {}
        self._servers: dict[str, tuple[_Holder, int]] = {}
        self._numbers = itertools.count(2)
        self.use(memory)

    def use(self, memory: Shares) -> None:
        """Count against these shares from now on; at a daemon's start, while no reply arrives."""
        self._memory = memory
        self._of_servers = Shares(memory.share, "room for long replies", show=megabytes)

    @property
    def held_bytes(self) -> int:
        """Return how much of the budget replies hold."""
        return sum(each.granted_bytes for each in self._arriving.values())

    def take(self, connection: ReadingConnection, owner: ReadingOwner, server: str, size_bytes: int) -> bool:
        """Get room for a reply of this size so far, and a bit more. Return False to stop reading and ask again."""
        arriving = self._arriving.get(connection)
        if arriving is None:
            holder, count = self._servers.get(server) or (_Holder(self._uid, -next(self._numbers)), 0)
            self._servers[server] = (holder, count + 1)
            arriving = self._arriving[connection] = _Arriving(owner, holder)
        arriving.size_bytes = size_bytes
        if self.lane.holder is connection:
            if size_bytes - arriving.seen_bytes >= _LEAST_PROGRESS_BYTES:
                arriving.seen_bytes, arriving.seen_ns = size_bytes, self._clock()
            return True
        wanted = size_bytes + _MB - arriving.granted_bytes
        if wanted <= 0 or self._enter(arriving.holder, wanted):
            arriving.granted_bytes += max(0, wanted)
            return True
        if self.lane.enter(connection):
            arriving.seen_bytes, arriving.seen_ns = size_bytes, self._clock()
            return True
        self._hurry()
        return False

    def leave(self, connection: ReadingConnection, server: str) -> None:
        """Give back what the connection's reply held: it is passed on, or given up. Idempotent."""
        arriving = self._arriving.pop(connection, None)
        if arriving is None:
            return
        self.lane.leave(connection)
        if arriving.granted_bytes:
            self._memory.leave(self._all, arriving.granted_bytes)
            self._of_servers.leave(arriving.holder, arriving.granted_bytes)
        holder, count = self._servers.pop(server)
        if count > 1:
            self._servers[server] = (holder, count - 1)

    def _enter(self, server: _Holder, size_bytes: int) -> bool:
        self._of_servers.total = self._memory.share
        if self._of_servers.enter(server, size_bytes) is not None:
            return False
        # A refusal here must not reduce what clients may have.
        if self._memory.would_refuse(self._all, size_bytes) is not None:
            self._of_servers.leave(server, size_bytes)
            return False
        self._memory.add(self._all, size_bytes)
        return True

    def _hurry(self) -> None:
        """End the connection in the lane if its reply makes no progress: others wait for the lane."""
        connection = self.lane.holder
        arriving = self._arriving.get(connection)  # type: ignore[call-overload]
        if arriving is None or self._clock() - arriving.seen_ns < _PATIENCE_NS:
            return
        connection.close()  # type: ignore[attr-defined]
        arriving.owner.connection_lost(
            f"a reply of over {megabytes(arriving.size_bytes)} made no progress for {_PATIENCE_NS / 1e9:.0f} s, "
            "and others wait to arrive"
        )


ROOM = ReplyRoom(
    Shares(_DEFAULT_MB * _MB, "buffers for clients", "[daemon] max_client_memory_mb", show=megabytes)
)
"""The daemon's one room: all connections to servers count here."""
