"""The limits on what one client can make the daemon hold: open requests, bytes, and dedicated connections.

`Shares` divide each of these resources between processes and users (isolation I8, I9).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import cython

from glidecached.shares import Shares, megabytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.access import Peer
    from glidecached.frontend.caller import Caller
    from glidecached.upstream.interface import Upstream

DEFAULT_CLIENT_MEMORY_MB = 256
UNFINISHED_NS = 10_000_000_000
"""The time in which a peer must send the next part of a message, or read some of a message in the lane."""

LEAST_PROGRESS_BYTES = 65_536
LEAST_LANE_PROGRESS_BYTES = 16_777_216
"""The progress that a message in the lane must make in that time; or all of it, if less is left."""

_MB = 1_048_576
_DEFAULT_DEDICATED = 64

# An account is granted bytes in steps, and keeps some unused: small messages need no call of the shares.
STEP_BYTES = cython.declare(cython.Py_ssize_t, 16_384)
SLACK_BYTES = cython.declare(cython.Py_ssize_t, 49_152)


class OpenRequests:
    """The open requests of each connection, up to a limit (architecture, failure model: "a client floods")."""

    def __init__(self, max_per_peer: cython.Py_ssize_t) -> None:
        self.max_per_peer = max_per_peer
        self.total: int = 0
        """The number of open requests of all connections together."""
        self.peers: int = 0
        """The number of connections with open requests."""

    def enter(self, caller: Caller) -> cython.bint:
        """Count one more. Return False, and count nothing, when there are too many."""
        if caller.open_requests >= self.max_per_peer:
            return False
        self.peers += caller.open_requests == 0
        caller.open_requests += 1
        self.total += 1
        return True

    def leave(self, caller: Caller) -> None:
        """Count one less: a request was answered."""
        caller.open_requests -= 1
        self.peers -= caller.open_requests == 0
        self.total -= 1


class Account:
    """The bytes that the daemon holds for one connection. It outlives the connection while requests of it are open."""

    def __init__(self, shares: Shares, peer: Peer) -> None:
        self.shares = shares
        self.peer = peer
        self.held: int = 0
        """The number of bytes held."""
        self.granted: int = 0
        """The number of bytes of the budget that this connection has been granted."""
        self.full = ""
        """The reason of the last refusal."""
        self.closed = False

    def charge(self, size: cython.Py_ssize_t) -> cython.bint:
        """Hold this many bytes more. Return False, with the reason in `full`, when they are not granted."""
        if self.held + size <= self.granted:
            self.held += size
            return True
        return self.charge_more(size)

    def charge_more(self, size: cython.Py_ssize_t) -> cython.bint:
        """Hold bytes for which the shares have to grant some: a whole step if they allow it."""
        needed: cython.Py_ssize_t = self.held + size - self.granted
        rounded: cython.Py_ssize_t = (needed + STEP_BYTES - 1) // STEP_BYTES * STEP_BYTES
        if self.shares.would_refuse(self.peer, rounded) is None:
            needed = rounded
        full = self.shares.enter(self.peer, needed)
        if full is not None:
            self.full = full
            return False
        self.granted += needed
        self.held += size
        return True

    def why_not(self, size: cython.Py_ssize_t) -> str | None:
        """Return why this many bytes more would not be granted now, or None."""
        needed: cython.Py_ssize_t = self.held + size - self.granted
        return None if needed <= 0 else self.shares.would_refuse(self.peer, needed)

    def force(self, size: cython.Py_ssize_t) -> None:
        """Hold this many bytes more, even beyond the shares."""
        if self.held + size > self.granted:
            self.shares.add(self.peer, self.held + size - self.granted)
            self.granted = self.held + size
        self.held += size

    def credit(self, size: cython.Py_ssize_t) -> None:
        """Hold this many bytes less."""
        self.held -= size
        if self.closed:
            self.trim(self.held)
        elif self.granted - self.held > SLACK_BYTES:
            self.trim((self.held + STEP_BYTES) // STEP_BYTES * STEP_BYTES)

    def trim(self, keep: cython.Py_ssize_t) -> None:
        """Return what was granted beyond `keep` to the shares."""
        if self.granted > keep:
            self.shares.leave(self.peer, self.granted - keep)
            self.granted = keep

    def close(self) -> None:
        """Keep no bytes in advance: the connection has ended. What is still held is credited later."""
        self.closed = True
        self.trim(self.held)


class OversizeLane:
    """Room beside a budget for one message at a time that is larger than a process's share of it.

    It has a holder, and those that wait for it, in the order of asking. For the loop's thread.
    """

    def __init__(self) -> None:
        self.holder: object | None = None
        self._waiting: dict[object, None] = {}

    def enter(self, holder: object) -> bool:
        """Take the lane, or join the queue for it: ask again later. One that waits no longer must `leave`."""
        if self.holder is holder:
            return True
        if self.holder is None and (not self._waiting or next(iter(self._waiting)) is holder):
            self._waiting.pop(holder, None)
            self.holder = holder
            return True
        self._waiting[holder] = None
        return False

    def enter_now(self, holder: object) -> bool:
        """Take the lane if it is free, ahead of those that wait."""
        if self.holder is None:
            self._waiting.pop(holder, None)
            self.holder = holder
        return self.holder is holder

    def leave(self, holder: object) -> None:
        """Give the lane back, or leave the queue for it. Idempotent."""
        self._waiting.pop(holder, None)
        if self.holder is holder:
            self.holder = None


class Budget:
    """The budget for all bytes that the daemon holds for its peers, and the time limit of an unfinished message.

    It counts the bytes of incomplete frames, of queued and open requests, and of answers that their peers have not
    read. `memory` are its shares, `lane` is the room beside them. For the loop's thread.
    """

    def __init__(self, memory_mb: int = DEFAULT_CLIENT_MEMORY_MB) -> None:
        self.memory = Shares(
            memory_mb * _MB, "buffers for clients", "[daemon] max_client_memory_mb", show=megabytes
        )
        self.lane = OversizeLane()
        self.unfinished_ns = UNFINISHED_NS

    def limit(self, memory_mb: int) -> None:
        """Set a new total; what is held stays."""
        self.memory.total = memory_mb * _MB


class DedicatedHolder(Protocol):
    """A request that has a dedicated connection for itself (`frontend.request.Request`)."""

    on_finish: Callable[[], object] | None
    """Called once it is finished."""

    @property
    def peer(self) -> Peer:
        """Return the process that sent it."""


class DedicatedShares:
    """The shares of each upstream's dedicated connections, by process and by user. For the loop's thread."""

    def __init__(self) -> None:
        self._by_upstream: WeakKeyDictionary[Upstream, Shares] = WeakKeyDictionary()

    def of(self, upstream: Upstream) -> Shares:
        """Return the shares of that upstream's connections; for a cluster, of those to all nodes together."""
        shares = self._by_upstream.get(upstream)
        total = int(getattr(upstream, "max_dedicated", _DEFAULT_DEDICATED))
        if shares is None:
            shares = self._by_upstream[upstream] = Shares(
                total, "connections for blocking commands and watches", "max_blocking_connections"
            )
        shares.total = total
        return shares

    def enter(self, request: DedicatedHolder, upstream: Upstream) -> str | None:
        """Count one for the request, until it is finished. If none is left for it, return the text that says why."""
        shares = self.of(upstream)
        full = shares.enter(request.peer)
        if full is None:
            request.on_finish = functools.partial(shares.leave, request.peer)
        return full

    def keep(self, request: DedicatedHolder, upstream: Upstream) -> Callable[[], object] | str:
        """Count one until the returned function is called. If none is left, return the text that says why."""
        shares = self.of(upstream)
        full = shares.enter(request.peer)
        return functools.partial(shares.leave, request.peer) if full is None else full
