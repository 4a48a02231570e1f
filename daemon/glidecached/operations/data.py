"""COMMAND, READ, GET_MANY and BATCH: what clients do with their data."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from glidecache_shared.commands import is_blocking, is_known_read, refusal
from glidecache_shared.kinds import STRING
from glidecache_shared.protocol import ERROR_PROTOCOL, ERROR_REQUEST, ERROR_UNKNOWN_SESSION
from glidecached.front.front import MalformedError
from glidecached.operations.arguments import (
    need,
    need_all_bytes,
    need_command,
    need_fields,
    need_kind,
    split_route,
)
from glidecached.operations.calls import BatchRequestCall, CommandCall, ReadCall
from glidecached.upstream.cluster.route import Spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.front.request import Request
    from glidecached.session import Session, Sessions
    from glidecached.upstream.cluster.route import Route

_SEVERAL = (Spread.ALL_NODES, Spread.ALL_PRIMARIES)


class DataOperations:
    """The four operations that end in a server's reply. For the loop's thread."""

    def __init__(self, sessions: Sessions, next_number: Callable[[], int]) -> None:
        self._sessions = sessions
        self._next_number = next_number

    def command(self, request: Request, body: list[Any]) -> None:
        """COMMAND: pass it through, whatever it is, unless it is bound to one connection."""
        (session_id, arguments), route = split_route(body, "session_id", "args")
        need_command(arguments)
        session = self._session(request, session_id)
        if session is None or not _may_route(request, session, route):
            return
        reads = is_known_read(arguments)
        if not reads:
            refused = refusal(arguments)
            if refused is not None:
                request.fail(ERROR_REQUEST, refused)
                return
            self._advance(session)
        if is_blocking(arguments):
            settled = None if reads else functools.partial(self._advance, session)
            session.upstream.submit_blocking(
                CommandCall(request, arguments, repeatable=False, route=route, settled=settled)
            )
        elif reads:
            session.submit_read(
                CommandCall(request, arguments, repeatable=True, route=route), self._next_number
            )
        else:
            session.upstream.submit(CommandCall(request, arguments, repeatable=False, route=route))

    def read(self, request: Request, body: list[Any]) -> None:
        """READ: a lookup that did not hit in the worker (contract C7a)."""
        need_fields(body, "session_id", "kind", "key")
        session_id, kind, key = body
        need_kind(kind)
        need(key, bytes, "key")
        session = self._session(request, session_id)
        if session is None:
            return
        pool = session.pool
        if pool is None:
            session.submit_read(ReadCall(request, kind, key), self._next_number)
            return
        value = pool.lookup(key, kind, session.floor)
        if value is not None:
            request.reply(value)
        else:
            pool.flights.read(request, session.upstream, session.floor, kind, key)

    def get_many(self, request: Request, body: list[Any]) -> None:
        """GET_MANY: lookups of many strings, each occurrence counted; one MGET for what is missing (contract C17)."""
        need_fields(body, "session_id", "keys")
        session_id, keys = body
        need(keys, list, "keys")
        need_all_bytes(keys, "key")
        session = self._session(request, session_id)
        if session is None:
            return
        if not keys:
            request.reply([])
            return
        pool = session.pool
        if pool is None:
            session.submit_read(CommandCall(request, [b"MGET", *keys], repeatable=True), self._next_number)
            return
        values = pool.lookup_many(keys, STRING, session.floor)
        known = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        if None not in values:
            request.reply(values)
        else:
            pool.flights.read_many(request, session.upstream, session.floor, keys, known)

    def batch(self, request: Request, body: list[Any]) -> None:
        """BATCH: a pipeline or a transaction, past the cache (contract C17)."""
        (session_id, atomic, commands), route = split_route(body, "session_id", "atomic", "commands")
        need(atomic, bool, "atomic")
        need(commands, list, "commands")
        for command in commands:
            need_command(command)
        if route in _SEVERAL:
            message = f"route {route.value}: all of a batch goes to one node, and this route names several"
            raise MalformedError(message)
        session = self._session(request, session_id)
        if session is None or not _may_route(request, session, route):
            return
        for command in commands:
            refused = refusal(command)
            if refused is not None:
                request.fail(ERROR_REQUEST, f"{refused}; nothing of the batch was run")
                return
        if not commands:
            request.reply([])
            return
        reads = all(map(is_known_read, commands))
        if not reads:
            self._advance(session)
        # In a transaction nothing blocks; in a pipeline it would hold up everybody's replies.
        if not atomic and any(map(is_blocking, commands)):
            settled = functools.partial(self._advance, session)
            session.upstream.submit_blocking(
                BatchRequestCall(
                    request, commands, atomic=False, repeatable=False, route=route, settled=settled
                )
            )
        else:
            session.upstream.submit_batch(
                BatchRequestCall(request, commands, atomic=atomic, repeatable=reads, route=route)
            )

    def _session(self, request: Request, session_id: Any) -> Session | None:
        need(session_id, int, "session_id")
        session = self._sessions.find(session_id, request.peer.uid, time.monotonic_ns())
        if session is None:
            request.fail(ERROR_UNKNOWN_SESSION, "this session is not known here (any more); attach again")
        else:
            session.processes.add(request.peer.pid)
        return session

    def _advance(self, session: Session) -> None:
        """Only flights that are sent from now on may answer the session's reads (contract C7a, C22).

        Called when something that may write is sent. What goes on a connection of its own may take effect later than
        what is sent after it on the shared one; there it is called once more when it is done.
        """
        session.floor = self._next_number()


def _may_route(request: Request, session: Session, route: Route | None) -> bool:
    """Whether the session has nodes to choose from, if the request chooses one; if not, it is refused."""
    if route is None or session.upstream.target.mode == "cluster":
        return True
    request.fail(ERROR_PROTOCOL, "a route is for clusters: this session's upstream is one standalone server")
    return False
