"""Single flight: concurrent misses of one pool make one request upstream (contract C22, C7a).

Every command that goes upstream has a number, in the order of sending. A flight may answer a client only if it was sent
after that client's last command that is not a known read (its session's `floor`): so a client that wrote and then
misses sees its own write. The number goes into the pool with the reply, so that a reply never replaces what a later
flight brought, and a later lookup can tell whether an entry is young enough for the client that asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from glidecache_shared.kinds import COMMANDS, HASH, SET, STRING
from glidecache_shared.protocol import ERROR_REQUEST, ReplyError
from glidecached.upstream.call import SingleCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.front.request import Request
    from glidecached.upstream.base import Upstream


class Storage(Protocol):
    """The part of a pool that flights need."""

    def store(self, key: bytes, kind: int, value: Any, flight: int) -> None:
        """Keep a reply (contract C4, C22)."""

    def store_many(self, values: dict[bytes, Any], kind: int, flight: int) -> None:
        """Keep those that are not None."""


class Flights:
    """The running flights of one pool. For the loop's thread."""

    def __init__(self, storage: Storage, next_number: Callable[[], int]) -> None:
        self._storage = storage
        self._next_number = next_number
        self._running: dict[tuple[int, bytes], _Flight] = {}
        # Apart from those: for a value of another type an MGET answers None, a GET with an error.
        self._running_many: dict[bytes, _ManyFlight] = {}

    def __len__(self) -> int:
        return len(self._running) + len(self._running_many)

    def read(self, request: Request, upstream: Upstream, floor: int, kind: int, key: bytes) -> None:
        """Answer the request by a running flight, or by a new one."""
        flight = self._running.get((kind, key))
        if flight is not None and _is_joinable(flight, upstream, floor):
            flight.waiting.append(request)
            flight.deadline_ns = max(flight.deadline_ns, request.deadline_ns)
            return
        flight = _Flight(self, upstream, self._next_number(), kind, key, request)
        self._running[kind, key] = flight
        upstream.submit(flight)

    def read_many(
        self, request: Request, upstream: Upstream, floor: int, keys: list[bytes], known: dict[bytes, bytes]
    ) -> None:
        """Answer `keys` in order, from `known`, from running flights, and for the rest by one MGET (contract C17)."""
        gathering = _Gathering(request, keys, known)
        running = self._running_many
        missing = list(dict.fromkeys([key for key in keys if key not in known] if known else keys))
        joined: dict[int, _ManyFlight] = {}
        if running:
            wanted, missing = missing, []
            for key in wanted:
                flight = running.get(key)
                if flight is not None and _is_joinable(flight, upstream, floor):
                    joined[flight.number] = flight
                else:
                    missing.append(key)
        flights = list(joined.values())
        if missing:
            flights.append(_ManyFlight(self, upstream, self._next_number(), missing, request.deadline_ns))
        # All flights are known before one is sent: a call that fails at once must not complete half a gathering.
        gathering.flights_left = len(flights)
        for flight in flights:
            flight.waiting.append(gathering)
            flight.deadline_ns = max(flight.deadline_ns, request.deadline_ns)
        if missing:
            running.update(dict.fromkeys(missing, flights[-1]))
            upstream.submit(flights[-1])

    def landed(self, flight: _Flight) -> None:
        """The flight is over; a younger one for the same key may have taken its place already."""
        place = (flight.kind, flight.key)
        if self._running.get(place) is flight:
            del self._running[place]

    def landed_many(self, flight: _ManyFlight) -> None:
        """The same for all of its keys."""
        running = self._running_many
        for key in flight.keys:
            if running.get(key) is flight:
                del running[key]

    def store(self, key: bytes, kind: int, value: Any, flight: int) -> None:
        """Hand a reply to the pool."""
        self._storage.store(key, kind, value, flight)

    def store_many(self, values: dict[bytes, Any], flight: int) -> None:
        """Hand the strings of a reply to the pool."""
        self._storage.store_many(values, STRING, flight)


def _is_joinable(flight: _Flight | _ManyFlight, upstream: Upstream, floor: int) -> bool:
    """Only a flight on the client's own connections is certainly sent after what the client sent before."""
    return flight.number > floor and flight.upstream is upstream


class _Flight(SingleCall):
    """One GET, HGETALL or SMEMBERS and the requests that wait for it.

    Requests have deadlines of their own; the flight is joined as long as it is in the air: a slow server is asked once.
    """

    __slots__ = ("_flights", "key", "kind", "number", "upstream", "waiting")

    def __init__(
        self, flights: Flights, upstream: Upstream, number: int, kind: int, key: bytes, request: Request
    ) -> None:
        super().__init__((COMMANDS[kind], key), request.deadline_ns, repeatable=True)
        self._flights = flights
        self.upstream = upstream
        self.number = number
        self.kind = kind
        self.key = key
        self.waiting = [request]

    def succeed(self, reply: Any) -> None:
        self._flights.landed(self)
        if reply is not None and not isinstance(reply, ReplyError):
            reply = as_kind(self.kind, reply)
            self._flights.store(self.key, self.kind, reply, self.number)
        for request in self.waiting:
            request.reply(reply)

    def fail(self, code: int, message: str) -> None:
        self._flights.landed(self)
        for request in self.waiting:
            request.fail(code, message)

    def abandon(self) -> None:
        self._flights.landed(self)
        for request in self.waiting:
            request.expire()


class _ManyFlight(SingleCall):
    """One MGET and the gatherings that wait for some of its keys."""

    __slots__ = ("_flights", "keys", "number", "upstream", "waiting")

    def __init__(
        self, flights: Flights, upstream: Upstream, number: int, keys: list[bytes], deadline_ns: int
    ) -> None:
        super().__init__((b"MGET", *keys), deadline_ns, repeatable=True)
        self._flights = flights
        self.upstream = upstream
        self.number = number
        self.keys = keys
        self.waiting: list[_Gathering] = []

    def succeed(self, reply: Any) -> None:
        if isinstance(reply, ReplyError):
            self.fail(ERROR_REQUEST, str(reply))
            return
        self._land()
        values = dict(zip(self.keys, reply, strict=True))
        self._flights.store_many(values, self.number)
        for gathering in self.waiting:
            gathering.take(values)

    def fail(self, code: int, message: str) -> None:
        self._land()
        for gathering in self.waiting:
            gathering.request.fail(code, message)

    def abandon(self) -> None:
        self._land()
        for gathering in self.waiting:
            gathering.request.expire()

    def _land(self) -> None:
        self._flights.landed_many(self)


class _Gathering:
    """A GET_MANY that is answered when the last of its flights has landed."""

    __slots__ = ("_keys", "_values", "flights_left", "request")

    def __init__(self, request: Request, keys: list[bytes], known: dict[bytes, bytes]) -> None:
        self.request = request
        self._keys = keys
        self._values: dict[bytes, bytes | None] = dict(known)
        self.flights_left = 0

    def take(self, values: dict[bytes, bytes | None]) -> None:
        """One flight has landed, with these values; some may be other gatherings'."""
        # What was found in the pool is younger than the client's last write, as the flight is: either is right.
        self._values = values | self._values
        self.flights_left -= 1
        if not self.flights_left:
            self.request.reply([self._values[key] for key in self._keys])


def as_kind(kind: int, reply: Any) -> Any:
    """The reply as the kind's own type: a RESP2 server sends hashes and sets as lists."""
    if kind == HASH and isinstance(reply, list):
        return dict(zip(reply[::2], reply[1::2], strict=True))
    if kind == SET and isinstance(reply, list):
        return set(reply)
    return reply
