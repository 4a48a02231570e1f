"""Reads from replicas, for clients that ask for them: round robin, and never behind the client's own writes.

A replica must have taken over what the client wrote last, or what there was when its session first read (contract C23).
The daemon finds that out by replication offsets. It asks the primary for its own behind the client's commands, on the
same connection. A replica whose offset has come that far has them all. Until one has, and where servers do not report
offsets, the primary answers.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from glidecache_shared.command_table import row_of
from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION, ReplyError
from glidecached.upstream.call import SingleCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glidecached.upstream.target import Address

_SILENT_MS = 200
"""A replica that has owed a reply for so long is asked nothing more until it speaks."""

_PROBE_INTERVAL_NS = 20_000_000
_UNKNOWN_INTERVAL_NS = 10_000_000_000
_PATIENCE_NS = 1_000_000_000

# Replies that say: this replica cannot answer now.
_UNABLE = ("LOADING", "MASTERDOWN")


def any_server_may_answer(arguments: Sequence[bytes]) -> bool:
    """Return whether a known read is about the data, which replicas have as well, and not about the server."""
    return not row_of(arguments).about_server


class Freshness(NamedTuple):
    """The data a replica must have to answer a read: all that was sent up to `floor`.

    `primary_too`: the replicas and the primary take turns.
    """

    floor: int
    primary_too: bool


class ReplicaLink(Protocol):
    """A server's multiplexed connection, as `standalone.StandaloneUpstream`."""

    sessions: int

    @property
    def address(self) -> Address:
        """Return the address of the server."""

    @property
    def connections_made(self) -> int:
        """Return how often the connection was made."""

    @property
    def connected(self) -> bool:
        """Return whether there is a connection."""

    @property
    def busy(self) -> bool:
        """Return whether any call is open."""

    @property
    def silent_ms(self) -> float:
        """Return for how long a reply has been owed, in milliseconds."""

    def submit(self, call: SingleCall) -> None:
        """Send one command."""

    def close(self, reason: str) -> None:
        """Close it."""


class ReplicaReads:
    """The replicas among one target's addresses: those that are not the primary now. Belongs to the loop's thread.

    Nothing waits for a replica's connection: until it is made, and whenever it fails, reads go to the primary.
    """

    def __init__(self, primary: ReplicaLink, links: Sequence[ReplicaLink]) -> None:
        """Hold `links`, one for each address of the target."""
        self._primary = primary
        self._replicas = [_Replica(link) for link in links]
        self._turn = 0
        self._stream = primary.connections_made
        self._wanted = 0
        self._probing = False
        self._next_probe_ns = 0

    def submit(self, call: SingleCall, floor: int, *, primary_too: bool) -> None:
        """Send a read that must not be behind what has the number `floor`. `primary_too`: the primary takes turns."""
        replica = self._choose(floor, primary_too=primary_too)
        if replica is None:
            self._primary.submit(call)
        else:
            replica.link.submit(_ReplicaRead(call, self._primary))

    def close(self, reason: str) -> None:
        """Close the replicas' connections; calls that wait on them go to the primary."""
        for replica in self._replicas:
            replica.link.close(reason)

    def stats(self) -> list[dict[str, Any]]:
        """Return numbers for the operator."""
        return [
            {"address": str(replica.link.address), "connected": replica.link.connected}
            for replica in self._others()
        ]

    def _others(self) -> list[_Replica]:
        return [replica for replica in self._replicas if replica.link.address != self._primary.address]

    def _choose(self, floor: int, *, primary_too: bool) -> _Replica | None:
        """Choose the next replica that may answer; None: the primary."""
        if self._stream != self._primary.connections_made:
            # Perhaps another primary: its offsets say nothing of what was found out before.
            self._stream = self._primary.connections_made
            for replica in self._replicas:
                replica.covered = 0
        able = [replica for replica in self._others() if replica.is_able()]
        covering = [replica for replica in able if replica.covers(floor)]
        if len(covering) < len(able):
            self._probe(floor)
        self._turn += 1
        number = self._turn % (len(covering) + primary_too) if covering else 0
        return covering[number] if number < len(covering) else None

    def _probe(self, floor: int) -> None:
        """Find out which replicas have everything that was sent to the primary up to `floor`."""
        self._wanted = max(self._wanted, floor)
        now_ns = time.monotonic_ns()
        if self._probing or now_ns < self._next_probe_ns:
            return
        self._probing = True
        self._next_probe_ns = now_ns + _PROBE_INTERVAL_NS
        self._primary.submit(RoleCall(functools.partial(self._primary_answered, self._wanted)))

    def _primary_answered(self, floor: int, role: Any) -> None:
        self._probing = False
        offset = _offset(role, b"master", 1)
        if offset is None:
            self._next_probe_ns = time.monotonic_ns() + _UNKNOWN_INTERVAL_NS
            return
        for replica in self._others():
            if replica.is_able():
                replica.link.submit(RoleCall(functools.partial(replica.answered, floor, offset)))


class _Replica:
    """One server, and how far it is known to have come."""

    def __init__(self, link: ReplicaLink) -> None:
        self.link = link
        self.covered = 0
        """It has everything that was sent to the primary up to this number."""
        self._covered_on = 0

    def is_able(self) -> bool:
        """Return whether the replica may be asked now. Connect to it, for later, if it is not connected."""
        link = self.link
        if link.connected:
            return link.silent_ms < _SILENT_MS
        if not link.busy:
            link.sessions = 1
            link.submit(RoleCall(lambda _role: None))
        return False

    def covers(self, floor: int) -> bool:
        """Return whether it has everything up to that number. A new connection may be to a restarted server."""
        if self._covered_on != self.link.connections_made:
            self._covered_on = self.link.connections_made
            self.covered = 0
        return floor <= self.covered

    def answered(self, floor: int, primary_offset: int, role: Any) -> None:
        """Handle its reply to ROLE, which was asked after the primary's."""
        offset = _offset(role, b"slave", 4)
        if offset is not None and offset >= primary_offset and self._covered_on == self.link.connections_made:
            self.covered = max(self.covered, floor)


class _ReplicaRead(SingleCall):
    """A read on its way to a replica; the primary gets it where the replica fails."""

    __slots__ = ("_call", "_primary")

    def __init__(self, call: SingleCall, primary: ReplicaLink) -> None:
        super().__init__(call.arguments, call.deadline_ns, repeatable=False)
        self._call = call
        self._primary = primary

    def is_wanted(self, now_ns: int) -> bool:
        return self._call.is_wanted(now_ns)

    def abandon(self) -> None:
        self._call.abandon()

    def succeed(self, reply: Any) -> None:
        if isinstance(reply, ReplyError) and str(reply).startswith(_UNABLE):
            self._primary.submit(self._call)
        else:
            self._call.succeed(reply)

    def fail(self, code: int, message: str) -> None:
        if code in (ERROR_CONNECTION, ERROR_BUSY):
            self._primary.submit(self._call)
        else:
            self._call.fail(code, message)


class RoleCall(SingleCall):
    """A ROLE command for the daemon itself; `answered` gets the reply, or None."""

    __slots__ = ("_answered",)

    def __init__(self, answered: Callable[[Any], object]) -> None:
        super().__init__((b"ROLE",), time.monotonic_ns() + _PATIENCE_NS, repeatable=False)
        self._answered = answered

    def abandon(self) -> None:
        """Implement `Call`: nothing was found out."""
        self._answered(None)

    def succeed(self, reply: Any) -> None:
        """Implement `Call`: the server reported its role, or refused to."""
        self._answered(reply)

    def fail(self, code: int, message: str) -> None:
        """Implement `Call`: nothing was found out."""
        del code, message
        self._answered(None)


def is_replica(role: Any) -> bool:
    """Return whether ROLE's reply reports a replica. A server that does not report its role counts as the primary."""
    return isinstance(role, list) and bool(role) and role[0] == b"slave"


def _offset(role: Any, kind: bytes, place: int) -> int | None:
    """Return the offset in ROLE's reply, or None.

    It is None where the server is of another kind, is not synchronised, or does not report it.
    """
    if not isinstance(role, list) or len(role) <= place or role[0] != kind or type(role[place]) is not int:
        return None
    if kind == b"slave" and role[3] != b"connected":
        return None
    offset: int = role[place]
    return offset
