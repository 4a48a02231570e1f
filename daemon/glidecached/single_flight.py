# cython: boundscheck=True, wraparound=False
"""Single flight: concurrent misses of one pool make one request upstream (contract C22, C7a).

Every command that goes upstream has a number, in the order of sending. A flight may answer a client only if it was sent
after that client's last command that is not a known read (its session's `min_flight`): so a client that wrote and then
misses sees its own write. The number goes into the pool with the reply. So a reply never replaces the reply of a later
flight, and a later lookup can decide whether an entry is young enough for the client.

A FORGET has a number, too: flights below it neither store its keys nor are joined for them (contract C25).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns
from cython.cimports.glidecached.pools.key_hasher import scattered
from cython.cimports.glidecached.upstream.call import pack_key_command, packed_with_ttls, pieces_with_ttls
from cython.cimports.libc.stdint import uint32_t

from glidecache_shared.protocol import HASH, KIND_COMMANDS, SET, ReplyError
from glidecached.many_reads import ManyFlights
from glidecached.upstream.call import SingleCall

if TYPE_CHECKING:
    from collections.abc import Container

    from glidecached.command_order import CommandOrder
    from glidecached.frontend.request import Request
    from glidecached.pools.entries import PoolEntries
    from glidecached.sequence import Sequence
    from glidecached.upstream.sender import UpstreamCore

logger = logging.getLogger(__name__)

FEWEST_CHAINS = cython.declare(cython.Py_ssize_t, 64)
MOST_IDLE_CHAINS = cython.declare(cython.Py_ssize_t, 4_096)
# By kind.
COMMANDS = cython.declare(tuple, tuple(KIND_COMMANDS.get(kind) for kind in range(max(KIND_COMMANDS) + 1)))

TTL_REPLIES = cython.declare(cython.Py_ssize_t, 2)
DETOUR = cython.declare(cython.int, 1)  # of `upstream.detours`


class Flights:
    """The running flights of one pool: their replies become its entries. For the loop's thread."""

    def __init__(self, entries: PoolEntries, next_sequence: Sequence) -> None:
        self.entries = entries
        self.next_sequence = next_sequence
        self.running = FlightTable()
        self.many = ManyFlights(entries, next_sequence)
        """Those of several keys. They are apart: for a value of another type an MGET answers None, a GET an error."""

    def __len__(self) -> int:
        return int(self.running.count) + self.many.count

    def read(
        self,
        request: Request,
        upstream: UpstreamCore,
        min_flight: cython.longlong,
        kind: cython.int,
        key: bytes,
        key_hash: uint32_t,
        lane: cython.int = 0,
    ) -> None:
        """Answer the request by a running flight, or by a new one. `key_hash` is the pool's hash."""
        flight: Flight | None = self.running.find(kind, key, key_hash)
        # Only a flight on the client's own connections is certainly sent after the client's earlier commands.
        if (
            flight is not None
            and flight.number > min_flight
            and not self.entries.forgotten.bars(key, flight.number)
            and flight.upstream is upstream
            and (flight.way == 0 or flight.may_be_joined(request))
        ):
            flight.join(request)
            flight.deadline_ns = max(flight.deadline_ns, request.deadline_ns)
            return
        if flight is not None:
            self.running.discard(flight)
        flight = self.new_flight(request, upstream, kind, key, key_hash)
        flight.lane = lane
        upstream.sender.submit(flight)

    def new_flight(
        self,
        request: Request,
        upstream: UpstreamCore,
        kind: cython.int,
        key: bytes,
        key_hash: uint32_t,
    ) -> Flight:
        """Return a new flight, which later requests may join. The table has no other one for the key."""
        flight: Flight = self.new_ttl_flight() if self.entries.server_ttl else Flight.__new__(Flight)
        flight.arguments = (COMMANDS[kind], key)  # type: ignore[misc]
        flight.deadline_ns = request.deadline_ns
        flight.repeatable = True
        flight.flights = self
        flight.upstream = upstream
        flight.number = self.next_sequence.take()
        flight.kind = kind
        flight.key = key
        flight.hash = key_hash
        flight.generation = self.entries.generation
        flight.first = flight.last = request
        flight.flying = True
        self.entries.forgotten.sent(flight.number)
        self.running.add(flight)
        return flight

    def new_ttl_flight(self) -> TtlFlight:
        """Return a flight that is sent now, for `new_flight` to fill in."""
        flight: TtlFlight = TtlFlight.__new__(TtlFlight)
        flight.asks_ttl = True
        flight.sent_ns = monotonic_ns()
        return flight


class FlightTable:
    """The flights that later requests may join, by kind and key. A chain links flights whose hashes end alike.

    The hashes are the pool's, scattered by what clients do not know. A pool's next generation has other hashes: flights
    that began before are not joined any more.
    """

    def __init__(self) -> None:
        self.chains: list[Flight | None] = [None] * FEWEST_CHAINS
        self.count: cython.Py_ssize_t = 0

    def find(self, kind: cython.int, key: bytes, key_hash: uint32_t) -> Flight | None:
        """Return the flight for that key, or None."""
        flight: Flight | None = self.chains[scattered(key_hash) & (len(self.chains) - 1)]
        while flight is not None:
            if flight.hash == key_hash and flight.kind == kind and flight.key == key:
                return flight
            flight = flight.next_in_chain
        return None

    def add(self, flight: Flight) -> None:
        """Add a flight; there must be no other one of its kind and key."""
        place: cython.Py_ssize_t
        if self.count >= len(self.chains):
            self.resize(2 * len(self.chains))
        place = scattered(flight.hash) & (len(self.chains) - 1)
        flight.next_in_chain = self.chains[place]
        flight.listed = True
        self.chains[place] = flight
        self.count += 1

    def discard(self, flight: Flight) -> None:
        """Remove a flight, if it is there."""
        place: cython.Py_ssize_t = scattered(flight.hash) & (len(self.chains) - 1)
        before: Flight | None
        if not flight.listed:
            return
        before = self.chains[place]
        if before is flight:
            self.chains[place] = flight.next_in_chain
        else:
            while before is not None and before.next_in_chain is not flight:
                before = before.next_in_chain
            if before is not None:
                before.next_in_chain = flight.next_in_chain
        flight.listed = False
        flight.next_in_chain = None
        self.count -= 1
        if self.count == 0 and len(self.chains) > MOST_IDLE_CHAINS:
            self.resize(FEWEST_CHAINS)

    def resize(self, room: cython.Py_ssize_t) -> None:
        """Make as many chains, a power of two, and put the flights into them."""
        flight: Flight | None
        following: Flight | None
        place: cython.Py_ssize_t
        before = self.chains
        self.chains = [None] * room
        for first in before:
            flight = first
            while flight is not None:
                following = flight.next_in_chain
                place = scattered(flight.hash) & (room - 1)
                flight.next_in_chain = self.chains[place]
                self.chains[place] = flight
                flight = following


class Flight(SingleCall):
    """One GET, HGETALL or SMEMBERS and the requests that wait for it.

    Requests have deadlines of their own. Requests join the flight until it has landed: a slow server is asked once.
    """

    flights: Flights
    upstream: UpstreamCore
    number: int
    kind: int
    key: bytes
    hash: int
    generation: int
    flying: bool
    listed: bool
    next_in_chain: Flight | None
    first: Request | None
    last: Request | None
    expires_ns: int

    @property
    def waiting(self) -> list[Request]:
        """Return the requests that wait for it."""
        found: list[Request] = []
        request: Request | None = self.first
        while request is not None:
            found.append(request)
            request = request.behind
        return found

    def join(self, request: Request) -> None:
        """Let a request wait for it, behind the others."""
        if self.last is None:
            self.first = request
        else:
            self.last.behind = request
        self.last = request

    def pack(self) -> bytes:
        """Implement `Call`."""
        packed: bytes = pack_key_command(COMMANDS[self.kind], self.key)
        return packed

    def succeed(self, reply: Any) -> None:
        """Store the reply, and answer the requests."""
        request: Request | None = self.first
        following: Request | None
        # Asked before it lands: what was forgotten is remembered for the flights that are under way.
        is_stored: cython.bint = self.flying and not self.flights.entries.forgotten.bars(
            self.key, self.number
        )
        self.land()
        if reply is not None and (type(reply) is bytes or not isinstance(reply, ReplyError)):
            try:
                if type(reply) is not bytes:
                    reply = as_kind(self.kind, reply)
                if is_stored and self.upstream.fills_cache:
                    self.flights.entries.put(
                        self.key, self.hash, self.generation, self.kind, reply, self.number, self.expires_ns
                    )
            except (TypeError, ValueError) as error:
                # No server answers this, but a proxy before it might. The caller gets the reply; the pool does not.
                _log_unstored(self.arguments[0].decode(), error)
        while request is not None:
            following = request.behind
            request.behind = None
            request.reply(reply)
            request = following

    def fail(self, code: cython.int, message: str) -> None:
        """Answer the requests with an error."""
        request: Request
        waiting: list[Request] = self.waiting
        self.land()
        for request in waiting:
            request.behind = None
            request.fail(code, message)

    def abandon(self) -> None:
        """Let the requests expire."""
        request: Request
        waiting: list[Request] = self.waiting
        self.land()
        for request in waiting:
            request.behind = None
            request.expire()

    def clients(self) -> list[CommandOrder]:
        """Return the orders of the sessions whose requests wait."""
        return [request.order for request in self.waiting if request.order is not None]

    def divide(self, pinned: Container[CommandOrder]) -> Flight | None:
        """Split off and return a flight for the requests of sessions not in `pinned`, or return None."""
        other: Flight
        request: Request
        waiting: list[Request] = self.waiting
        free: list[Request] = [request for request in waiting if request.order not in pinned]
        if not free or len(free) == len(waiting):
            return None
        younger: Flight | None = self.flights.running.find(self.kind, self.key, self.hash)
        if younger is not None:
            self.flights.running.discard(younger)
        self.first = self.last = None
        other = self.flights.new_flight(free[0], self.upstream, self.kind, self.key, self.hash)
        other.first = other.last = None
        for request in waiting:
            request.behind = None
            if request.order in pinned:
                self.join(request)
            else:
                other.join(request)
        other.deadline_ns = self.deadline_ns
        return other

    def may_be_joined(self, request: Request) -> cython.bint:
        """Return whether the request may join, by its client's order while a lane is held (see `upstream.detours`).

        A flight on a detour may overtake what the client has open elsewhere. A pinned one waits for another client.
        """
        if self.way == DETOUR:
            return request.order is None or request.order.open <= 1
        return request.order in self.clients()

    def land(self) -> None:
        """End the flight; a younger one for the same key may have taken its place already."""
        self.flights.running.discard(self)
        self.first = self.last = None
        if self.flying:
            self.flying = False
            self.flights.entries.forgotten.landed(self.number)


class TtlFlight(Flight):
    """A flight that also asks what its key has left on the server (contract C29), on the same connection."""

    sent_ns: int
    replies: list[Any] | None

    def pack(self) -> bytes:
        """Implement `Call`: both commands in one write."""
        self.replies = []
        packed: bytes = packed_with_ttls(self.arguments, False)
        return packed

    def pack_pieces(self) -> list[bytes]:
        """Implement `Call`."""
        self.replies = []
        pieces: list[bytes] = pieces_with_ttls(self.arguments, False)
        return pieces

    def receive(self, reply: Any) -> cython.bint:
        """Implement `Call`: the value, then the answer to PTTL."""
        replies: list[Any] = cython.cast(list, self.replies)
        replies.append(reply)
        if len(replies) < TTL_REPLIES:
            return False
        self.succeed(replies)
        return True

    def replies_left(self) -> cython.Py_ssize_t:
        """Implement `Call`."""
        return TTL_REPLIES - (0 if self.replies is None else len(self.replies))

    def restart(self) -> None:
        """Implement `Call`: a value and a life of two moments do not go together."""
        self.replies = []

    def succeed(self, reply: Any) -> None:
        """Store the value for as long as its key has left, and answer the requests."""
        if type(reply) is list:
            value, left_ms = reply
            if value is not None and type(value) is not ReplyError:
                self.expires_ns = self.flights.entries.expiry(self.sent_ns, left_ms)
            reply = value
        else:
            self.expires_ns = 1  # without a life it is not stored
        Flight.succeed(self, reply)


def as_kind(kind: int, reply: Any) -> Any:
    """Return the reply as the kind's own type: a RESP2 server sends hashes and sets as lists."""
    if kind == HASH and isinstance(reply, list):
        return dict(zip(reply[::2], reply[1::2], strict=True))
    if kind == SET and isinstance(reply, list):
        return set(reply)
    return reply


def _log_unstored(command: str, error: Exception) -> None:
    logger.warning("a reply was not stored", extra={"command": command, "reason": str(error)})
