"""COMMAND, READ, GET_MANY and BATCH: the clients' operations on their data."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.glidecached.handlers.facts import facts_of, note_write, note_writes
from cython.cimports.libc.stdint import uint32_t

from glidecache_shared.command_table import DEDICATED, OUT_OF_BAND, SHARED
from glidecache_shared.protocol import ERROR_BUSY, ERROR_PROTOCOL, ERROR_REQUEST, STRING
from glidecached.budget import DedicatedShares
from glidecached.frontend.dispatcher import MalformedError
from glidecached.frontend.operations import Operation
from glidecached.handlers.arguments import (
    Screening,
    need,
    need_all_bytes,
    need_command,
    need_kind,
    split_own_writes,
    split_route,
)
from glidecached.handlers.calls import BatchRequestCall, CommandCall, ReadCall
from glidecached.many_reads import ManyReadsParts
from glidecached.upstream.call import pack_in_slices
from glidecached.upstream.cluster.routing import MultiNodeRoute
from glidecached.upstream.lane import BULK
from glidecached.upstream.long_replies import LONG_REPLIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.client_session import ClientSession, Sessions
    from glidecached.frontend.request import Request
    from glidecached.handlers.facts import CommandFacts
    from glidecached.pools.entries import PoolEntries
    from glidecached.sequence import Sequence
    from glidecached.single_flight import Flights
    from glidecached.upstream.cluster.routing import Route

SHARED_LANE = cython.declare(cython.int, SHARED)
OUT_OF_BAND_LANE = cython.declare(cython.int, OUT_OF_BAND)
DEDICATED_LANE = cython.declare(cython.int, DEDICATED)
BULK_LANE = cython.declare(cython.int, BULK)

# A request this long takes the bulk lane, so that others do not wait for its writing.
LONG_BYTES = cython.declare(cython.Py_ssize_t, 262_144)
MANY_COMMANDS = cython.declare(cython.Py_ssize_t, 1_000)
# The number of keys that are looked up, and asked for, at once.
MANY_KEYS = cython.declare(cython.Py_ssize_t, 2_000)

# The commands of one slice of a batch whose keys are looked up in the pool before they are written. Screening slices
# batches likewise.
_WRITES_AT_ONCE = 200

_TURN_POLL_MS = 2.0
_SEVERAL = (MultiNodeRoute.ALL_NODES, MultiNodeRoute.ALL_PRIMARIES)


class CommandHandlers:
    """The four operations that end in a server's reply. For the loop's thread."""

    def __init__(
        self,
        sessions: Sessions,
        next_sequence: Sequence,
        dedicated: DedicatedShares | None = None,
    ) -> None:
        self.long_replies: Any = LONG_REPLIES
        self.sessions = sessions
        self.next_sequence = next_sequence
        self.dedicated = dedicated or DedicatedShares()

    def command(self, request: Request, body: list[Any]) -> None:
        """Handle COMMAND: pass any command through, unless it is bound to one connection."""
        (session_id, arguments), route = split_route(body, "session_id", "args")
        need_command(arguments)
        need(session_id, int, "session_id")
        session: ClientSession | None = self.sessions.of_request(request, session_id)
        if session is not None and may_route(request, session, route):
            self.pass_through(request, session, arguments, route)

    def pass_through(
        self, request: Request, session: ClientSession, arguments: list[Any], route: Route | None
    ) -> None:
        """Do what COMMAND asks for, now or when its turn comes."""
        row: CommandFacts = facts_of(arguments)
        if row.refusal is not None:
            request.fail(ERROR_REQUEST, row.refusal)
            return
        lane: cython.int = row.lane
        if lane == SHARED_LANE and (
            request.frame_bytes >= LONG_BYTES
            or (self.long_replies.count and self.long_replies.has(arguments))
        ):
            lane = BULK_LANE
        if row.blocks:
            # Exempt from the order of a client's commands (contract C23): it may wait for the next one.
            if not self.may_block(request, session):
                return
            if not row.reads:
                session.advance(self.next_sequence)
                note_writes(session, [arguments])
            on_outcome = None if row.reads else functools.partial(session.advance_again, self.next_sequence)
            session.upstream.submit_blocking(
                CommandCall(request, arguments, repeatable=False, route=route, on_outcome=on_outcome)
            )
        elif lane == OUT_OF_BAND_LANE or session.order.may_go(lane):
            self.send_command(request, session, arguments, row.reads, lane, route)
        else:
            start = functools.partial(self.send_command, request, session, arguments, row.reads, lane, route)
            session.order.wait(lane, request, start)

    def send_command(
        self,
        request: Request,
        session: ClientSession,
        arguments: list[Any],
        reads: cython.bint,
        lane: cython.int,
        route: Route | None,
    ) -> None:
        """Send a command whose turn has come."""
        call: CommandCall = CommandCall.__new__(CommandCall)
        call.request = request
        call.arguments = arguments  # type: ignore[misc]
        call.deadline_ns = request.deadline_ns
        call.repeatable = reads
        call.route = route
        if lane != OUT_OF_BAND_LANE:
            request.take_place(session.order)
        call.lane = lane
        if lane == DEDICATED_LANE and not self.may_block(request, session):
            return
        if reads and lane != DEDICATED_LANE:
            session.submit_read(call, self.next_sequence)
            return
        if not reads:
            session.order.writes = lane != OUT_OF_BAND_LANE or session.order.writes
            session.advance(self.next_sequence)
            note_write(session, arguments)
        if lane == DEDICATED_LANE:
            call.on_outcome = None if reads else functools.partial(session.advance_again, self.next_sequence)
            session.upstream.submit_blocking(call)
            return
        if lane != SHARED_LANE:
            # It takes effect between being sent and being answered; results of requests in between may be older.
            call.on_outcome = functools.partial(session.advance_again, self.next_sequence)
        session.core.sender.submit(call)

    def read(self, request: Request, body: list[Any]) -> None:
        """Handle READ: a lookup that did not hit in the worker (contract C7a)."""
        (session_id, kind, key), own_writes = split_own_writes(body, "session_id", "kind", "key")
        need_kind(kind)
        need(key, bytes, "key")
        need(session_id, int, "session_id")
        session: ClientSession | None = self.sessions.of_request(request, session_id)
        if session is not None:
            if own_writes:
                session.advance(self.next_sequence)
            self.read_key(request, session, kind, key)

    def read_key(self, request: Request, session: ClientSession, kind: cython.int, key: bytes) -> None:
        """Do what READ asks for, now or when its turn comes."""
        lane: cython.int = SHARED_LANE
        if self.long_replies.count and self.long_replies.has((None, key)):
            lane = BULK_LANE
        if session.order.may_go(lane):
            self.send_read(request, session, kind, key, lane)
        else:
            start = functools.partial(self.send_read, request, session, kind, key, lane)
            session.order.wait(lane, request, start)

    def send_read(
        self, request: Request, session: ClientSession, kind: cython.int, key: bytes, lane: cython.int
    ) -> None:
        """Look the key up, and ask the server if the pool does not have it."""
        entries: PoolEntries | None = session.entries
        flights: Flights | None = session.flights
        call: ReadCall
        key_hash: uint32_t = 0
        if entries is not None:
            key_hash = entries.hasher.hash(key)
            value = entries.find(key, key_hash, kind, session.min_flight)
            if value is not None:
                request.reply(value)
                return
        request.take_place(session.order)
        if flights is None:
            call = ReadCall(request, kind, key)
            call.lane = lane
            session.submit_read(call, self.next_sequence)
        else:
            flights.read(request, session.core, session.min_flight, kind, key, key_hash, lane)

    def get_many(self, request: Request, body: list[Any]) -> Iterator[float | None] | None:
        """Handle GET_MANY: look up many strings, each occurrence counted; one MGET for the misses (contract C17)."""
        (session_id, keys), own_writes = split_own_writes(body, "session_id", "keys")
        need(keys, list, "keys")
        need_all_bytes(keys, "key")
        need(session_id, int, "session_id")
        session: ClientSession | None = self.sessions.of_request(request, session_id)
        if session is None:
            return None
        if own_writes:
            session.advance(self.next_sequence)
        if not keys:
            request.reply([])
            return None
        lane: cython.int = BULK_LANE if request.frame_bytes >= LONG_BYTES else SHARED_LANE
        if len(keys) > MANY_KEYS and session.entries is not None:
            return self._get_very_many(request, session, keys, lane)
        if session.order.may_go(lane):
            self.send_get_many(request, session, keys, lane)
        else:
            start = functools.partial(self.send_get_many, request, session, keys, lane)
            session.order.wait(lane, request, start)
        return None

    def _get_very_many(
        self, request: Request, session: ClientSession, keys: list[Any], lane: cython.int
    ) -> Iterator[float | None]:
        """Look up many keys in slices, with one MGET per slice: neither the daemon nor the server is busy for long."""
        entries: PoolEntries = cython.cast("PoolEntries", session.entries)
        flights: Flights = cython.cast("Flights", session.flights)
        parts: ManyReadsParts
        begin: cython.Py_ssize_t
        while not session.order.may_go(lane):
            # Later commands on its connection wait for it.
            yield _TURN_POLL_MS
            if request.finished:
                return
        request.take_place(session.order)
        parts = ManyReadsParts(request, (len(keys) + MANY_KEYS - 1) // MANY_KEYS)
        for begin in range(0, len(keys), MANY_KEYS):
            if request.finished:
                return
            part = keys[begin : begin + MANY_KEYS]
            hashes = entries.hasher.hash_all(part)
            values = entries.find_many(part, hashes, STRING, session.min_flight)
            if lacks_some(values):
                flights.many.read(
                    request,
                    session.core,
                    session.min_flight,
                    part,
                    hashes,
                    values,
                    lane,
                    parts,
                    begin // MANY_KEYS,
                )
            else:
                parts.add(begin // MANY_KEYS, values)
            yield None

    def send_get_many(
        self, request: Request, session: ClientSession, keys: list[Any], lane: cython.int
    ) -> None:
        """Look many keys up, and ask the servers for the missing ones."""
        entries: PoolEntries | None = session.entries
        flights: Flights | None = session.flights
        call: CommandCall
        if entries is None or flights is None:
            request.take_place(session.order)
            call = CommandCall(request, [b"MGET", *keys], repeatable=True)
            call.lane = lane
            session.submit_read(call, self.next_sequence)
            return
        hashes = entries.hasher.hash_all(keys)
        values = entries.find_many(keys, hashes, STRING, session.min_flight)
        if lacks_some(values):
            request.take_place(session.order)
            flights.many.read(request, session.core, session.min_flight, keys, hashes, values, lane)
        else:
            request.reply(values)

    def batch(self, request: Request, body: list[Any]) -> Iterator[None] | None:
        """Handle BATCH: a pipeline or a transaction, past the cache (contract C17). A large one is done in steps."""
        (session_id, atomic, commands), route = split_route(body, "session_id", "atomic", "commands")
        need(atomic, bool, "atomic")
        need(commands, list, "commands")
        if route in _SEVERAL:
            message = f"route {route.value}: all of a batch goes to one node, and this route names several"
            raise MalformedError(message)
        screening = Screening(commands, atomic=atomic)
        if screening.fits_at_once:
            for _ in screening.steps():
                pass
            self.submit_batch(request, screening, session_id, atomic, commands, route)
            return None
        return self._batch(request, screening, session_id, atomic, commands, route)

    def _batch(
        self,
        request: Request,
        screening: Screening,
        session_id: Any,
        atomic: bool,
        commands: list[Any],
        route: Route | None,
    ) -> Iterator[None]:
        """Screen a large batch in slices, then submit it whole."""
        yield from screening.steps()
        packed = None
        if screening.refusal is None and not screening.reads:
            session = self.sessions.known(session_id, request.caller.uid)
            for begin in range(0, len(commands), _WRITES_AT_ONCE):
                if session is None:
                    break
                note_writes(session, commands[begin : begin + _WRITES_AT_ONCE])
                yield None
        if screening.refusal is None:
            packed = yield from pack_in_slices(commands, atomic=atomic)
        if not request.finished:
            self.submit_batch(request, screening, session_id, atomic, commands, route, packed)

    def submit_batch(
        self,
        request: Request,
        screening: Screening,
        session_id: Any,
        atomic: cython.bint,
        commands: list[Any],
        route: Route | None,
        packed: list[Any] | None = None,
    ) -> None:
        """Send a batch that has been screened, as soon as the order of the client's commands allows it."""
        need(session_id, int, "session_id")
        session: ClientSession | None = self.sessions.of_request(request, session_id)
        if session is None or not may_route(request, session, route):
            return
        if screening.refusal is not None:
            request.fail(ERROR_REQUEST, f"{screening.refusal}; nothing of the batch was run")
            return
        if not commands:
            request.reply([])
            return
        lane: cython.int = screening.lane
        if lane == SHARED_LANE and (request.frame_bytes >= LONG_BYTES or len(commands) >= MANY_COMMANDS):
            lane = BULK_LANE
        start = functools.partial(
            self.send_batch, request, session, commands, atomic, screening.reads, lane, route, packed
        )
        if screening.blocks:
            self.send_blocking_batch(request, session, commands, screening.reads, route)
        elif lane == OUT_OF_BAND_LANE or session.order.may_go(lane):
            start()
        else:
            session.order.wait(lane, request, start)

    def send_blocking_batch(
        self,
        request: Request,
        session: ClientSession,
        commands: list[Any],
        reads: cython.bint,
        route: Route | None,
    ) -> None:
        """Send a pipeline that may block. Like a blocking command, it is exempt from the order."""
        if not self.may_block(request, session):
            return
        if not reads:
            session.advance(self.next_sequence)
            if len(commands) <= _WRITES_AT_ONCE:
                note_writes(session, commands)
        session.upstream.submit_blocking(
            BatchRequestCall(
                request,
                commands,
                atomic=False,
                repeatable=False,
                route=route,
                on_outcome=None if reads else functools.partial(session.advance_again, self.next_sequence),
            )
        )

    def send_batch(
        self,
        request: Request,
        session: ClientSession,
        commands: list[Any],
        atomic: cython.bint,
        reads: cython.bint,
        lane: cython.int,
        route: Route | None,
        packed: list[Any] | None,
    ) -> None:
        """Send a batch whose turn has come, whole and on the lane of its most demanding member."""
        call: BatchRequestCall = BatchRequestCall(
            request, commands, atomic=atomic, repeatable=reads and lane != DEDICATED_LANE, route=route
        )
        call.packed = packed
        if lane != OUT_OF_BAND_LANE:
            request.take_place(session.order)
        call.lane = lane
        if lane == DEDICATED_LANE and not self.may_block(request, session):
            return
        if not reads:
            session.order.writes = lane != OUT_OF_BAND_LANE or session.order.writes
            session.advance(self.next_sequence)
            if len(commands) <= _WRITES_AT_ONCE:
                note_writes(session, commands)
            if lane != SHARED_LANE:
                call.on_outcome = functools.partial(session.advance_again, self.next_sequence)
        if lane == DEDICATED_LANE:
            session.upstream.submit_blocking(call)
        else:
            session.upstream.submit_batch(call)

    def may_block(self, request: Request, session: ClientSession) -> cython.bint:
        """Return whether the shares of the request's process and user allow it a dedicated connection."""
        full = self.dedicated.enter(request, session.upstream)
        if full is None:
            return True
        request.fail(ERROR_BUSY, full)
        return False


class CommandOperation(Operation):
    """COMMAND, for the dispatcher."""

    def __init__(self, handlers: CommandHandlers) -> None:
        self.handlers = handlers
        self.is_command = True

    def run(self, request: Request, body: list[Any]) -> None:
        """Implement `Operation`."""
        self.handlers.command(request, body)

    def run_command(self, request: Request, session_id: cython.longlong, arguments: list[Any]) -> None:
        """Implement `Operation`."""
        need_command(arguments)
        session: ClientSession | None = self.handlers.sessions.of_number(request, session_id)
        if session is not None:
            self.handlers.pass_through(request, session, arguments, None)


class GetManyOperation(Operation):
    """GET_MANY, for the dispatcher."""

    def __init__(self, handlers: CommandHandlers) -> None:
        self.handlers = handlers

    def run(self, request: Request, body: list[Any]) -> Iterator[float | None] | None:
        """Implement `Operation`."""
        return self.handlers.get_many(request, body)


class ReadOperation(Operation):
    """READ, for the dispatcher."""

    def __init__(self, handlers: CommandHandlers) -> None:
        self.handlers = handlers
        self.reads_one_key = True

    def run(self, request: Request, body: list[Any]) -> None:
        """Implement `Operation`."""
        self.handlers.read(request, body)

    def run_read(self, request: Request, session_id: cython.longlong, kind: cython.int, key: bytes) -> None:
        """Implement `Operation`."""
        session: ClientSession | None = self.handlers.sessions.of_number(request, session_id)
        if session is not None:
            self.handlers.read_key(request, session, kind, key)


def lacks_some(values: list[Any]) -> cython.bint:
    """Return whether any of the values is None."""
    index: cython.Py_ssize_t
    for index in range(len(values)):  # noqa: SIM110 - a loop in C
        if values[index] is None:
            return True
    return False


def may_route(request: Request, session: ClientSession, route: Route | None) -> cython.bint:
    """Return whether the session has nodes to choose from, if the request chooses one; if not, refuse the request."""
    if route is None or session.upstream.target.mode == "cluster":
        return True
    request.fail(ERROR_PROTOCOL, "a route is for clusters: this session's upstream is one standalone server")
    return False
