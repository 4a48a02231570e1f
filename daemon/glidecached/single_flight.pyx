"""Single flight (see single_flight.pyi)."""

import itertools
import logging

from libc.stdint cimport int64_t

from glidecached.frontend.request cimport Request
from glidecached.pools.entries cimport PoolEntries
from glidecached.upstream.call cimport SingleCall

cdef enum:
    DETOUR = 1  # of `upstream.detours`

from glidecache_shared.protocol import ERROR_REQUEST, HASH, KIND_COMMANDS, SET, STRING, ReplyError

logger = logging.getLogger(__name__)


cdef class Flights:
    def __init__(self, PoolEntries entries not None, next_number):
        self.entries = entries
        self.next_number = next_number
        self.running = tuple({} for _ in range(max(KIND_COMMANDS) + 1))
        self.running_many = {}

    def __len__(self):
        return sum(map(len, self.running)) + len(self.running_many)

    def read(
        self, Request request not None, upstream, int64_t floor, int kind, bytes key not None, int lane=0
    ):
        cdef dict running = self.running[kind]
        cdef Flight flight = running.get(key)
        # Only a flight on the client's own connections is certainly sent after the client's earlier commands.
        if (
            flight is not None and flight.number > floor and flight.upstream is upstream
            and (flight.way == 0 or flight.may_be_joined(request))
        ):
            flight.waiting.append(request)
            flight.deadline_ns = max(flight.deadline_ns, request.deadline_ns)
            return
        flight = self.take_off(request, upstream, kind, key)
        flight.lane = lane
        upstream.submit(flight)

    cdef Flight take_off(self, Request request, object upstream, int kind, bytes key):
        """Return a new flight, which later requests may join."""
        cdef Flight flight = Flight.__new__(Flight)
        flight.arguments = (KIND_COMMANDS[kind], key)
        flight.deadline_ns = request.deadline_ns
        flight.repeatable = True
        flight.flights = self
        flight.upstream = upstream
        flight.number = self.next_number()
        flight.kind = kind
        flight.key = key
        flight.waiting = [request]
        (<dict>self.running[kind])[key] = flight
        return flight

    def read_many(
        self, Request request not None, upstream, int64_t floor, list keys not None, dict known not None, int lane=0,
        ManyReadsParts parts=None, Py_ssize_t part=0,
    ):
        cdef ManyReads gathering = ManyReads.__new__(ManyReads)
        cdef ManyFlight flight
        cdef dict joined = {}
        cdef dict missing = {}
        cdef list flights
        for key in keys:
            if key in known:
                continue
            flight = self.running_many.get(key) if self.running_many else None
            if flight is not None and flight.number > floor and flight.upstream is upstream and flight.way == 0:
                joined[flight.number] = flight
            else:
                missing[key] = None
        flights = list(joined.values())
        if missing:
            flight = ManyFlight((b"MGET", *missing), request.deadline_ns, repeatable=True)
            flight.flights = self
            flight.upstream = upstream
            flight.number = self.next_number()
            flight.values = missing
            flight.waiting = []
            flights.append(flight)
            for key in missing:
                self.running_many[key] = flight
        gathering.request = request
        gathering.keys = keys
        gathering.values = known
        gathering.parts = parts
        gathering.part = part
        # All flights are known before one is sent: a call that fails at once must not complete half a gathering.
        gathering.flights_left = len(flights)
        for flight in flights:
            flight.waiting.append(gathering)
            flight.deadline_ns = max(flight.deadline_ns, request.deadline_ns)
        if missing:
            flight.lane = lane
            upstream.submit(flight)


cdef class Flight(SingleCall):
    """One GET, HGETALL or SMEMBERS and the requests that wait for it.

    Requests have deadlines of their own. Requests join the flight until it has landed: a slow server is asked once.
    """

    cpdef object succeed(self, object reply):
        cdef Request request
        self.land()
        if reply is not None and not isinstance(reply, ReplyError):
            try:
                reply = as_kind(self.kind, reply)
                if self.upstream.fills_cache:
                    self.flights.entries.insert(self.key, self.kind, reply, self.number)
            except (TypeError, ValueError) as error:
                # No server answers this, but a proxy before it might. The caller gets the reply; the pool does not.
                logger.warning("a reply to %s is not stored: %s", self.arguments[0].decode(), error)
        for request in self.waiting:
            request.reply(reply)

    cpdef object fail(self, int code, str message):
        cdef Request request
        self.land()
        for request in self.waiting:
            request.fail(code, message)

    cpdef object abandon(self):
        cdef Request request
        self.land()
        for request in self.waiting:
            request.expire()

    cpdef list clients(self):
        cdef Request request
        return [request.order for request in self.waiting if request.order is not None]

    cpdef object divide(self, object pinned):
        cdef Request request
        cdef Flight other
        cdef list free = [request for request in self.waiting if request.order not in pinned]
        if not free or len(free) == len(self.waiting):
            return None
        self.waiting = [request for request in self.waiting if request.order in pinned]
        other = self.flights.take_off(free[0], self.upstream, self.kind, self.key)
        other.waiting = free
        other.deadline_ns = self.deadline_ns
        return other

    cdef bint may_be_joined(self, Request request) except -1:
        """Return whether the request may join, by its client's order while a lane is held (see `upstream.detours`).

        A flight on a detour may overtake what the client has open elsewhere. A pinned one waits for another client.
        """
        if self.way == DETOUR:
            return request.order is None or request.order.open <= 1
        return request.order in self.clients()

    cdef int land(self) except -1:
        """End the flight; a younger one for the same key may have taken its place already."""
        cdef dict running = self.flights.running[self.kind]
        if running.get(self.key) is self:
            del running[self.key]
        return 0


cdef class ManyFlight(SingleCall):
    """One MGET and the gatherings that wait for some of its keys."""

    cpdef object succeed(self, object reply):
        cdef ManyReads gathering
        if isinstance(reply, ReplyError):
            self.fail(ERROR_REQUEST, str(reply))
            return
        if type(reply) is not list or len(reply) != len(self.values):
            self.fail(ERROR_REQUEST, f"MGET of {len(self.values)} keys was answered by {reply!r:.60}")
            return
        self.land()
        values = self.values
        for key, value in zip(list(values), reply, strict=True):
            values[key] = value
        try:
            if self.upstream.fills_cache:
                self.flights.entries.insert_many(values, STRING, self.number)
        except (TypeError, ValueError) as error:
            logger.warning("a reply to MGET is not stored: %s", error)
        for gathering in self.waiting:
            gathering.take(values)

    cpdef object fail(self, int code, str message):
        cdef ManyReads gathering
        self.land()
        for gathering in self.waiting:
            gathering.request.fail(code, message)

    cpdef object abandon(self):
        cdef ManyReads gathering
        self.land()
        for gathering in self.waiting:
            gathering.request.expire()

    cpdef list clients(self):
        cdef ManyReads gathering
        return [gathering.request.order for gathering in self.waiting if gathering.request.order is not None]

    cdef int land(self) except -1:
        cdef dict running = self.flights.running_many
        for key in self.values:
            if running.get(key) is self:
                del running[key]
        return 0


cdef class ManyReads:
    """A GET_MANY that is answered when the last of its flights has landed."""

    cdef int take(self, dict values) except -1:
        """Take the values of a flight that has landed; some may belong to other gatherings."""
        # The pool's value and the flight's are both younger than the client's last write: either is right.
        self.values = {**values, **self.values} if self.values else values
        self.flights_left -= 1
        if not self.flights_left:
            values_in_order = [self.values[key] for key in self.keys]
            if self.parts is None:
                self.request.reply(values_in_order)
            else:
                self.parts.take(self.part, values_in_order)
        return 0


cdef class ManyReadsParts:
    """A GET_MANY of very many keys, answered when the last of its parts has arrived."""

    def __init__(self, Request request not None, Py_ssize_t count):
        self.request = request
        self.values = [None] * count
        self.left = count

    cdef int take(self, Py_ssize_t part, list values) except -1:
        self.values[part] = values
        self.left -= 1
        if not self.left:
            self.request.reply(list(itertools.chain.from_iterable(self.values)))
        return 0


def as_kind(int kind, reply):
    if kind == HASH and isinstance(reply, list):
        return dict(zip(reply[::2], reply[1::2], strict=True))
    if kind == SET and isinstance(reply, list):
        return set(reply)
    return reply
