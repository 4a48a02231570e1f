"""COMMAND, READ, GET_MANY and BATCH (see commands.pyi)."""

import functools

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.single_flight cimport ManyReadsParts
from glidecached.frontend.request cimport Request
from glidecached.handlers.arguments cimport need, need_all_bytes, need_command, need_kind
from glidecached.pools.entries cimport PoolEntries
from glidecached.handlers.calls cimport BatchRequestCall, CommandCall, ReadCall
from glidecached.client_session cimport ClientSession, Sessions
from glidecached.upstream.long_replies cimport LongReplies

from glidecache_shared.command_table import DEDICATED, OUT_OF_BAND, SHARED, row_of
from glidecache_shared.protocol import ERROR_BUSY, ERROR_PROTOCOL, ERROR_REQUEST, ERROR_UNKNOWN_SESSION, STRING
from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.arguments import need_fields, split_route
from glidecached.handlers.dedicated_quota import DedicatedShares
from glidecached.handlers.screening import Screening
from glidecached.upstream.cluster.routing import MultiNodeRoute
from glidecached.upstream.call import pack_in_slices
from glidecached.upstream.lane import BULK
from glidecached.upstream.long_replies import LONG_REPLIES

cdef enum:
    # A request this long takes the bulk lane, so that others do not wait for its writing.
    LONG_BYTES = 262_144
    MANY_COMMANDS = 1_000
    # The number of keys that are looked up, and asked for, at once.
    MANY_KEYS = 2_000
    TURN_POLL_MS = 2

cdef int SHARED_LANE = SHARED
cdef int OUT_OF_BAND_LANE = OUT_OF_BAND
cdef int DEDICATED_LANE = DEDICATED
cdef int BULK_LANE = BULK

_SEVERAL = (MultiNodeRoute.ALL_NODES, MultiNodeRoute.ALL_PRIMARIES)


cdef class CommandHandlers:
    cdef Sessions sessions
    cdef object next_number
    cdef LongReplies long_replies
    cdef object dedicated

    def __init__(self, Sessions sessions not None, next_number, dedicated=None):
        self.long_replies = LONG_REPLIES
        self.sessions = sessions
        self.next_number = next_number
        self.dedicated = dedicated or DedicatedShares()

    def command(self, Request request not None, list body not None):
        cdef ClientSession session
        (session_id, arguments), route = split_route(body, "session_id", "args")
        need_command(arguments)
        session = self.session(request, session_id)
        if session is None or not may_route(request, session, route):
            return
        row = row_of(arguments)
        if row.refusal is not None:
            request.fail(ERROR_REQUEST, row.refusal)
            return
        cdef int lane = row.lane
        if lane == SHARED_LANE and (
            request.frame_bytes >= LONG_BYTES or (self.long_replies.count and self.long_replies.has(arguments))
        ):
            lane = BULK_LANE
        if row.blocks:
            # Exempt from the order of a client's commands (contract C23): it may wait for the next one.
            if not self.may_block(request, session):
                return
            if not row.reads:
                self.advance(session)
            settled = None if row.reads else functools.partial(self.advance, session)
            session.upstream.submit_blocking(
                CommandCall(request, arguments, repeatable=False, route=route, settled=settled))
        elif lane == OUT_OF_BAND_LANE or session.order.may_go(lane):
            self.send_command(request, session, arguments, row.reads, lane, route)
        else:
            session.order.wait(lane, request, functools.partial(
                self.send_command, request, session, arguments, row.reads, lane, route))

    cpdef object send_command(
        self, Request request, ClientSession session, list arguments, bint reads, int lane, object route
    ):
        """Send a command whose turn has come."""
        cdef CommandCall call = CommandCall(request, arguments, repeatable=reads, route=route)
        if lane != OUT_OF_BAND_LANE:
            request.take_place(session.order)
        call.lane = lane
        if lane == DEDICATED_LANE and not self.may_block(request, session):
            return
        if reads and lane != DEDICATED_LANE:
            session.submit_read(call, self.next_number)
            return
        if not reads:
            self.advance(session)
        if lane == DEDICATED_LANE:
            call.settled = None if reads else functools.partial(self.advance, session)
            session.upstream.submit_blocking(call)
            return
        if lane != SHARED_LANE:
            # It takes effect between being sent and being answered; results of requests in between may be older.
            call.settled = functools.partial(self.advance, session)
        session.upstream.submit(call)

    def read(self, Request request not None, list body not None):
        cdef ClientSession session
        need_fields(body, "session_id", "kind", "key")
        session_id, kind, key = body
        need_kind(kind)
        need(key, bytes, "key")
        session = self.session(request, session_id)
        if session is None:
            return
        cdef int lane = SHARED_LANE
        if self.long_replies.count and self.long_replies.has((None, key)):
            lane = BULK_LANE
        if session.order.may_go(lane):
            self.send_read(request, session, kind, key, lane)
        else:
            session.order.wait(lane, request, functools.partial(self.send_read, request, session, kind, key, lane))

    cpdef object send_read(self, Request request, ClientSession session, int kind, bytes key, int lane):
        """Look the key up, and ask the server if the pool does not have it."""
        cdef PoolEntries entries = session.entries
        cdef ReadCall call
        if entries is not None:
            value = entries.lookup(key, kind, session.floor)
            if value is not None:
                request.reply(value)
                return
        request.take_place(session.order)
        if entries is None:
            call = ReadCall(request, kind, key)
            call.lane = lane
            session.submit_read(call, self.next_number)
        else:
            session.flights.read(request, session.upstream, session.floor, kind, key, lane)

    def get_many(self, Request request not None, list body not None):
        cdef ClientSession session
        need_fields(body, "session_id", "keys")
        session_id, keys = body
        need(keys, list, "keys")
        need_all_bytes(keys, "key")
        session = self.session(request, session_id)
        if session is None:
            return
        if not keys:
            request.reply([])
            return
        cdef int lane = BULK_LANE if request.frame_bytes >= LONG_BYTES else SHARED_LANE
        if len(keys) > MANY_KEYS and session.entries is not None:
            return self._get_very_many(request, session, keys, lane)
        if session.order.may_go(lane):
            self.send_get_many(request, session, keys, lane)
        else:
            session.order.wait(lane, request, functools.partial(self.send_get_many, request, session, keys, lane))

    def _get_very_many(self, Request request, ClientSession session, list keys, int lane):
        """Look up many keys in slices, with one MGET per slice: neither the daemon nor the server is busy for long."""
        cdef PoolEntries entries = session.entries
        cdef Py_ssize_t begin
        cdef ManyReadsParts parts
        while not session.order.may_go(lane):
            # Later commands on its connection wait for it.
            yield float(TURN_POLL_MS)
            if request.finished:
                return
        request.take_place(session.order)
        parts = ManyReadsParts(request, (len(keys) + MANY_KEYS - 1) // MANY_KEYS)
        for begin in range(0, len(keys), MANY_KEYS):
            if request.finished:
                return
            part = keys[begin:begin + MANY_KEYS]
            values = entries.lookup_many(part, STRING, session.floor)
            known = {key: value for key, value in zip(part, values, strict=True) if value is not None}
            if None in values:
                session.flights.read_many(
                    request, session.upstream, session.floor, part, known, lane, parts, begin // MANY_KEYS)
            else:
                parts.take(begin // MANY_KEYS, values)
            yield None

    cpdef object send_get_many(self, Request request, ClientSession session, list keys, int lane):
        """Look many keys up, and ask the servers for the missing ones."""
        cdef PoolEntries entries = session.entries
        cdef CommandCall call
        cdef Py_ssize_t index
        if entries is None:
            request.take_place(session.order)
            call = CommandCall(request, [b"MGET", *keys], repeatable=True)
            call.lane = lane
            session.submit_read(call, self.next_number)
            return
        cdef list values = entries.lookup_many(keys, STRING, session.floor)
        cdef dict known = {}
        cdef bint complete = True
        for index in range(len(values)):
            if values[index] is None:
                complete = False
            else:
                known[keys[index]] = values[index]
        if complete:
            request.reply(values)
            return
        request.take_place(session.order)
        session.flights.read_many(request, session.upstream, session.floor, keys, known, lane)

    def batch(self, Request request not None, list body not None):
        cdef ClientSession session
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

    def _batch(self, Request request, screening, session_id, bint atomic, list commands, route):
        """Screen a large batch in slices, then submit it whole."""
        yield from screening.steps()
        packed = None
        if screening.refusal is None:
            packed = yield from pack_in_slices(commands, atomic=atomic)
        if not request.finished:
            self.submit_batch(request, screening, session_id, atomic, commands, route, packed)

    cdef int submit_batch(
        self, Request request, object screening, object session_id, bint atomic, list commands, object route,
        list packed=None,
    ) except -1:
        cdef ClientSession session = self.session(request, session_id)
        if session is None or not may_route(request, session, route):
            return 0
        if screening.refusal is not None:
            request.fail(ERROR_REQUEST, f"{screening.refusal}; nothing of the batch was run")
            return 0
        if not commands:
            request.reply([])
            return 0
        cdef int lane = screening.lane
        if lane == SHARED_LANE and (request.frame_bytes >= LONG_BYTES or len(commands) >= MANY_COMMANDS):
            lane = BULK_LANE
        start = functools.partial(
            self.send_batch, request, session, commands, atomic, screening.reads, lane, route, packed)
        if screening.blocks:
            self.send_blocking_batch(request, session, commands, screening.reads, route)
        elif lane == OUT_OF_BAND_LANE or session.order.may_go(lane):
            start()
        else:
            session.order.wait(lane, request, start)
        return 0

    cdef int send_blocking_batch(
        self, Request request, ClientSession session, list commands, bint reads, object route
    ) except -1:
        """Send a pipeline that may block. Like a blocking command, it is exempt from the order."""
        if not self.may_block(request, session):
            return 0
        if not reads:
            self.advance(session)
        session.upstream.submit_blocking(BatchRequestCall(
            request, commands, atomic=False, repeatable=False, route=route,
            settled=None if reads else functools.partial(self.advance, session)))
        return 0

    cpdef object send_batch(
        self, Request request, ClientSession session, list commands, bint atomic, bint reads, int lane, object route,
        list packed,
    ):
        """Send a batch whose turn has come, whole and on the lane of its most demanding member."""
        cdef BatchRequestCall call = BatchRequestCall(
            request, commands, atomic=atomic, repeatable=reads and lane != DEDICATED_LANE, route=route)
        call.packed = packed
        if lane != OUT_OF_BAND_LANE:
            request.take_place(session.order)
        call.lane = lane
        if lane == DEDICATED_LANE and not self.may_block(request, session):
            return
        if not reads:
            self.advance(session)
            if lane != SHARED_LANE:
                call.settled = functools.partial(self.advance, session)
        if lane == DEDICATED_LANE:
            session.upstream.submit_blocking(call)
        else:
            session.upstream.submit_batch(call)

    cdef bint may_block(self, Request request, ClientSession session) except -1:
        """Return whether the shares of the request's process and user allow it a dedicated connection."""
        full = self.dedicated.enter(request, session.upstream)
        if full is None:
            return True
        request.fail(ERROR_BUSY, full)
        return False

    cdef ClientSession session(self, Request request, object session_id):
        """Return the session that a request names; without one, refuse the request and return None."""
        cdef ClientSession session
        need(session_id, int, "session_id")
        session = self.sessions.find(session_id, request.peer.uid, monotonic_ns())
        if session is None:
            request.fail(ERROR_UNKNOWN_SESSION, "this session is not known here (any more); attach again")
        else:
            request.session = session
            session.processes.add(request.peer.pid)
        return session

    def advance(self, ClientSession session not None):
        """Let only flights that are sent from now on answer the session's reads (contract C7a, C22).

        Called when a command that may write is sent. A command on a connection of its own may take effect later than
        one sent after it on the shared connection. For such a command, this is called once more when it is done.
        """
        session.floor = self.next_number()


cdef bint may_route(Request request, ClientSession session, object route) except -1:
    """Return whether the session has nodes to choose from, if the request chooses one; if not, refuse the request."""
    if route is None or session.upstream.target.mode == "cluster":
        return True
    request.fail(ERROR_PROTOCOL, "a route is for clusters: this session's upstream is one standalone server")
    return False
