"""Many keys read at once (see many_reads.pyi)."""

import itertools
import logging

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.frontend.request cimport Request
from glidecached.pools.entries cimport PoolEntries
from glidecached.pools.key_hasher cimport scattered
from glidecached.sequence cimport Sequence
from glidecached.upstream.call cimport SingleCall, packed_with_ttls, pieces_with_ttls
from glidecached.upstream.sender cimport UpstreamCore

from glidecache_shared.protocol import ERROR_REQUEST, STRING, ReplyError

logger = logging.getLogger(__name__)

cdef int STRING_KIND = STRING


cdef class ManyFlights:
    def __init__(self, PoolEntries entries not None, Sequence next_sequence not None):
        self.entries = entries
        self.next_sequence = next_sequence
        self.by_key = {}

    cpdef object read(
        self, Request request, UpstreamCore upstream, long long min_flight, list keys, bytes hashes, list values,
        int lane=0, ManyReadsParts parts=None, Py_ssize_t part=0,
    ):
        cdef ManyReads reads = ManyReads.__new__(ManyReads)
        cdef ManyFlight flight
        cdef dict joined = None
        cdef Py_ssize_t count = len(keys)
        cdef Py_ssize_t room = 4
        cdef Py_ssize_t index
        cdef uint32_t slot
        cdef bytes places = PyBytes_FromStringAndSize(NULL, count * sizeof(int32_t))
        cdef bytes asked_hashes = PyBytes_FromStringAndSize(NULL, count * sizeof(uint32_t))
        cdef int32_t *place_at = <int32_t *>PyBytes_AS_STRING(places)
        cdef uint32_t *asked_hash_at = <uint32_t *>PyBytes_AS_STRING(asked_hashes)
        cdef const uint32_t *hash_at = <const uint32_t *>PyBytes_AS_STRING(hashes)
        cdef list command = [b"MGET"]
        cdef int32_t asked = 0
        cdef int32_t *slots
        self.list_latest()
        # A table of the keys asked for, by hash: each is asked for once. At most half of it is used.
        while room < 2 * count:
            room *= 2
        slots = <int32_t *>malloc(room * sizeof(int32_t))
        if slots == NULL:
            raise MemoryError
        memset(slots, 0xFF, room * sizeof(int32_t))
        try:
            for index in range(count):
                place_at[index] = -1
                if values[index] is not None:
                    continue
                key = keys[index]
                if self.by_key:
                    flight = self.by_key.get(key)
                    if (
                        flight is not None
                        and flight.number > min_flight
                        and not self.entries.forgotten.bars(<bytes>key, flight.number)
                        and flight.upstream is upstream
                        and flight.way == 0
                    ):
                        if joined is None:
                            joined = {}
                        joined[flight.number] = flight
                        continue
                slot = scattered(hash_at[index]) & <uint32_t>(room - 1)
                while slots[slot] >= 0 and (
                    asked_hash_at[slots[slot]] != hash_at[index] or command[slots[slot] + 1] != key
                ):
                    slot = (slot + 1) & <uint32_t>(room - 1)
                if slots[slot] < 0:
                    slots[slot] = asked
                    asked_hash_at[asked] = hash_at[index]
                    command.append(key)
                    asked += 1
                place_at[index] = slots[slot]
        finally:
            free(slots)
        reads.request = request
        reads.keys = keys
        reads.values = values
        reads.places = places
        reads.parts = parts
        reads.part = part
        # All flights are known before one is sent: a call that fails at once must not complete half of the reads.
        reads.flights_left = (0 if joined is None else len(joined)) + (asked > 0)
        if joined is not None:
            for flight in joined.values():
                flight.waiting.append(reads)
                flight.deadline_ns = max(flight.deadline_ns, request.deadline_ns)
        if asked:
            flight = self.new_flight(request, upstream, command, asked_hashes)
            flight.waiting.append(reads)
            flight.lane = lane
            reads.sent = flight
            upstream.sender.submit(flight)

    cdef ManyFlight new_flight(self, Request request, UpstreamCore upstream, list command, bytes hashes):
        """Return a new flight, which later requests may join."""
        cdef ManyFlight flight
        if self.entries.server_ttl:
            flight = TtlManyFlight.__new__(TtlManyFlight)
            flight.asks_ttl = True
            (<TtlManyFlight>flight).sent_ns = monotonic_ns()
        else:
            flight = ManyFlight.__new__(ManyFlight)
        flight.arguments = tuple(command)
        flight.deadline_ns = request.deadline_ns
        flight.repeatable = True
        flight.flights = self
        flight.upstream = upstream
        flight.number = self.next_sequence.take()
        flight.hashes = hashes
        flight.generation = self.entries.generation
        flight.waiting = []
        self.entries.forgotten.sent(flight.number)
        self.latest = flight
        self.count += 1
        return flight

    cdef int list_latest(self) except -1:
        """Put the latest flight among the others by its keys; younger ones take the places of older ones."""
        cdef ManyFlight latest = self.latest
        cdef Py_ssize_t index
        if latest is not None:
            self.latest = None
            latest.listed = True
            for index in range(1, len(<tuple>latest.arguments)):
                self.by_key[(<tuple>latest.arguments)[index]] = latest
        return 0


cdef class ManyFlight(SingleCall):
    cpdef object succeed(self, object reply):
        self.succeed_with(reply, None)

    cdef object succeed_with(self, object reply, list lives):
        """Take the reply; `lives` are the answers to PTTL, None where they were not asked for."""
        cdef ManyReads reads
        cdef Py_ssize_t count = len(<tuple>self.arguments) - 1
        if isinstance(reply, ReplyError):
            self.fail(ERROR_REQUEST, str(reply))
            return
        if type(reply) is not list or len(<list>reply) != count:
            self.fail(ERROR_REQUEST, f"MGET of {count} keys was answered by {reply!r:.60}")
            return
        # Before it lands: what was forgotten is remembered for the flights that are under way.
        if self.upstream.fills_cache and not self.landed:
            self.store(reply, lives)
        self.land()
        for reads in self.waiting:
            reads.add(self, reply)
        self.waiting = None  # they refer to the flight

    cpdef object fail(self, int code, str message):
        cdef ManyReads reads
        self.land()
        for reads in self.waiting:
            reads.request.fail(code, message)
        self.waiting = None

    cpdef object abandon(self):
        cdef ManyReads reads
        self.land()
        for reads in self.waiting:
            reads.request.expire()
        self.waiting = None

    cpdef list clients(self):
        cdef ManyReads reads
        orders = []
        for reads in self.waiting or ():
            if reads.request.order is not None:
                orders.append(reads.request.order)
        return orders

    cdef int land(self) except -1:
        """End the flight; younger ones for its keys may have taken its place already."""
        cdef ManyFlights flights = self.flights
        cdef tuple command = self.arguments
        cdef Py_ssize_t index
        if self.landed:
            return 0
        self.landed = True
        flights.entries.forgotten.landed(self.number)
        flights.count -= 1
        if flights.latest is self:
            flights.latest = None
        elif self.listed:
            for index in range(1, len(command)):
                if flights.by_key.get(command[index]) is self:
                    del flights.by_key[command[index]]
        return 0

    cdef uint64_t expiry(self, object left_ms):
        """Return when a value ends, by the answer to PTTL."""
        raise NotImplementedError

    cdef int store(self, list reply, list lives) except -1:
        """Make entries of the values that there are, but for keys that were forgotten since it was sent."""
        cdef PoolEntries entries = self.flights.entries
        cdef bytes key
        cdef const uint32_t *hash_at = <const uint32_t *>PyBytes_AS_STRING(self.hashes)
        cdef Py_ssize_t index
        try:
            for index in range(len(reply)):
                key = (<tuple>self.arguments)[index + 1]
                if reply[index] is not None and not entries.forgotten.bars(key, self.number):
                    entries.put(
                        key, hash_at[index], self.generation, STRING_KIND,
                        reply[index], self.number, 0 if lives is None else self.expiry(lives[index]))
        except (TypeError, ValueError) as error:
            logger.warning("a reply was not stored", extra={"command": "MGET", "reason": str(error)})
        return 0

    cdef dict values_by_key(self, list reply):
        """Return the values by key."""
        if self.by_key is None:
            self.by_key = dict(zip((<tuple>self.arguments)[1:], reply))
        return self.by_key


cdef class TtlManyFlight(ManyFlight):
    cpdef bytes pack(self):
        self.replies = []
        return packed_with_ttls(self.arguments, False)

    cpdef list pack_pieces(self):
        self.replies = []
        return pieces_with_ttls(self.arguments, False)

    cpdef bint receive(self, object reply) except -1:
        self.replies.append(reply)
        if len(self.replies) < len(<tuple>self.arguments):
            return False
        self.succeed(self.replies)
        return True

    cpdef Py_ssize_t replies_left(self) except -1:
        return len(<tuple>self.arguments) - (0 if self.replies is None else len(self.replies))

    cpdef object restart(self):
        self.replies = []

    cpdef object succeed(self, object reply):
        if type(reply) is list and len(<list>reply) == len(<tuple>self.arguments):
            self.succeed_with((<list>reply)[0], (<list>reply)[1:])
        else:
            # Without lives nothing is stored: an error is passed on, and anything else fails.
            self.succeed_with(reply if isinstance(reply, ReplyError) else None, None)

    cdef uint64_t expiry(self, object left_ms):
        return self.flights.entries.expiry(self.sent_ns, left_ms)


cdef class ManyReads:
    cdef int add(self, ManyFlight flight, list reply) except -1:
        """Take the values of a flight that has landed; some may belong to other reads."""
        cdef const int32_t *place_at = <const int32_t *>PyBytes_AS_STRING(self.places)
        cdef list values = self.values
        cdef dict by_key
        cdef Py_ssize_t index
        if flight is self.sent:
            for index in range(len(values)):
                if place_at[index] >= 0:
                    values[index] = reply[place_at[index]]
        else:
            by_key = flight.values_by_key(reply)
            for index in range(len(values)):
                if values[index] is None and place_at[index] < 0:
                    values[index] = by_key.get(self.keys[index])
        self.flights_left -= 1
        if not self.flights_left:
            if self.parts is None:
                self.request.reply(values)
            else:
                self.parts.add(self.part, values)
        return 0


cdef class ManyReadsParts:
    def __init__(self, Request request not None, Py_ssize_t count):
        self.request = request
        self.values = [[]] * count
        self.left = count

    cdef int add(self, Py_ssize_t part, list values) except -1:
        """Take the values of one part."""
        self.values[part] = values
        self.left -= 1
        if not self.left:
            self.request.reply(list(itertools.chain.from_iterable(self.values)))
        return 0
