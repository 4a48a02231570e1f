"""COMMAND, READ, GET_MANY and BATCH (see data.pyi)."""

import functools

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.flights cimport Flights
from glidecached.front.request cimport Request
from glidecached.operations.arguments cimport need, need_all_bytes, need_command, need_kind
from glidecached.pools.entries cimport PoolEntries
from glidecached.session cimport Session, Sessions

from glidecache_shared.commands import is_blocking, is_known_read, refusal
from glidecache_shared.kinds import STRING
from glidecache_shared.protocol import ERROR_BUSY, ERROR_PROTOCOL, ERROR_REQUEST, ERROR_UNKNOWN_SESSION
from glidecached.front.front import MalformedError
from glidecached.operations.arguments import need_fields, split_route
from glidecached.operations.calls import BatchRequestCall, CommandCall, ReadCall
from glidecached.operations.dedicated import DedicatedShares
from glidecached.operations.screening import Screening
from glidecached.upstream.cluster.route import Spread

_SEVERAL = (Spread.ALL_NODES, Spread.ALL_PRIMARIES)


cdef class DataOperations:
    cdef Sessions sessions
    cdef object next_number
    cdef object dedicated

    def __init__(self, Sessions sessions not None, next_number, dedicated=None):
        self.sessions = sessions
        self.next_number = next_number
        self.dedicated = dedicated or DedicatedShares()

    def command(self, Request request not None, list body not None):
        cdef Session session
        (session_id, arguments), route = split_route(body, "session_id", "args")
        need_command(arguments)
        session = self.session(request, session_id)
        if session is None or not may_route(request, session, route):
            return
        reads = is_known_read(arguments)
        if not reads:
            refused = refusal(arguments)
            if refused is not None:
                request.fail(ERROR_REQUEST, refused)
                return
            self.advance(session)
        if is_blocking(arguments):
            if not self.may_block(request, session):
                return
            settled = None if reads else functools.partial(self.advance, session)
            session.upstream.submit_blocking(
                CommandCall(request, arguments, repeatable=False, route=route, settled=settled))
        elif reads:
            session.submit_read(CommandCall(request, arguments, repeatable=True, route=route), self.next_number)
        else:
            session.upstream.submit(CommandCall(request, arguments, repeatable=False, route=route))

    def read(self, Request request not None, list body not None):
        cdef Session session
        need_fields(body, "session_id", "kind", "key")
        session_id, kind, key = body
        need_kind(kind)
        need(key, bytes, "key")
        session = self.session(request, session_id)
        if session is None:
            return
        cdef PoolEntries pool = session.pool
        if pool is None:
            session.submit_read(ReadCall(request, kind, key), self.next_number)
            return
        value = pool.lookup(key, kind, session.floor)
        if value is not None:
            request.reply(value)
        else:
            (<Flights>pool.flights).read(request, session.upstream, session.floor, kind, key)

    def get_many(self, Request request not None, list body not None):
        cdef Session session
        cdef Py_ssize_t index
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
        cdef PoolEntries pool = session.pool
        if pool is None:
            session.submit_read(CommandCall(request, [b"MGET", *keys], repeatable=True), self.next_number)
            return
        cdef list values = pool.lookup_many(keys, STRING, session.floor)
        cdef dict known = {}
        cdef bint complete = True
        for index in range(len(values)):
            if values[index] is None:
                complete = False
            else:
                known[keys[index]] = values[index]
        if complete:
            request.reply(values)
        else:
            (<Flights>pool.flights).read_many(request, session.upstream, session.floor, keys, known)

    def batch(self, Request request not None, list body not None):
        cdef Session session
        (session_id, atomic, commands), route = split_route(body, "session_id", "atomic", "commands")
        need(atomic, bool, "atomic")
        need(commands, list, "commands")
        if route in _SEVERAL:
            message = f"route {route.value}: all of a batch goes to one node, and this route names several"
            raise MalformedError(message)
        screening = Screening(commands)
        if screening.fits_at_once:
            for _ in screening.steps():
                pass
            self.submit_batch(request, screening, session_id, atomic, commands, route)
            return None
        return self._batch(request, screening, session_id, atomic, commands, route)

    def _batch(self, Request request, screening, session_id, bint atomic, list commands, route):
        """A large batch: looked through in slices, then submitted whole."""
        yield from screening.steps()
        if not request.finished:
            self.submit_batch(request, screening, session_id, atomic, commands, route)

    cdef int submit_batch(
        self, Request request, object screening, object session_id, bint atomic, list commands, object route
    ) except -1:
        cdef Session session = self.session(request, session_id)
        if session is None or not may_route(request, session, route):
            return 0
        if screening.refusal is not None:
            request.fail(ERROR_REQUEST, f"{screening.refusal}; nothing of the batch was run")
            return 0
        if not commands:
            request.reply([])
            return 0
        reads = screening.reads
        if not reads:
            self.advance(session)
        # In a transaction nothing blocks; in a pipeline it would hold up everybody's replies.
        if not atomic and screening.blocks:
            if not self.may_block(request, session):
                return 0
            settled = functools.partial(self.advance, session)
            session.upstream.submit_blocking(
                BatchRequestCall(
                    request, commands, atomic=False, repeatable=False, route=route, settled=settled
                )
            )
        else:
            session.upstream.submit_batch(
                BatchRequestCall(request, commands, atomic=atomic, repeatable=reads, route=route)
            )
        return 0

    cdef bint may_block(self, Request request, Session session) except -1:
        """Whether there is a dedicated connection for the request, by its process's and its user's share."""
        full = self.dedicated.enter(request, session.upstream)
        if full is None:
            return True
        request.fail(ERROR_BUSY, full)
        return False

    cdef Session session(self, Request request, object session_id):
        """The session that a request names; None once the request has been refused for want of one."""
        cdef Session session
        need(session_id, int, "session_id")
        session = self.sessions.find(session_id, request.peer.uid, monotonic_ns())
        if session is None:
            request.fail(ERROR_UNKNOWN_SESSION, "this session is not known here (any more); attach again")
        else:
            session.processes.add(request.peer.pid)
        return session

    def advance(self, Session session not None):
        """Only flights that are sent from now on may answer the session's reads (contract C7a, C22).

        Called when something that may write is sent. What goes on a connection of its own may take effect later than
        what is sent after it on the shared one; there it is called once more when it is done.
        """
        session.floor = self.next_number()


cdef bint may_route(Request request, Session session, object route) except -1:
    """Whether the session has nodes to choose from, if the request chooses one; if not, it is refused."""
    if route is None or session.upstream.target.mode == "cluster":
        return True
    request.fail(ERROR_PROTOCOL, "a route is for clusters: this session's upstream is one standalone server")
    return False
