"""FORGET: a client, or an operator, has entries of a cache removed by their keys (docs/design/0024-forget.md)."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

import cython

from glidecache_shared.pool.generation import PoolDamagedError
from glidecache_shared.protocol import ERROR_CONNECTION, ERROR_REQUEST, ERROR_UNKNOWN_SESSION, ReplyError
from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.arguments import need, need_all_bytes, need_fields
from glidecached.handlers.calls import CommandCall
from glidecached.upstream.cluster.routing import MultiNodeRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from glidecached.client_session import ClientSession, Sessions
    from glidecached.frontend.request import Request
    from glidecached.pools.entries import PoolEntries
    from glidecached.pools.pool import Pool
    from glidecached.sequence import Sequence

logger = logging.getLogger(__name__)

_KEYS = 500
"""The number of keys that are forgotten at once: about 0.5 ms."""
_RECORDS = 512
"""The number of entries whose keys are compared with a prefix at once: about 0.2 ms."""
_FROM_THE_TOP = 0xFFFF_FFFF
_TURN_POLL_MS = 2.0

_DAMAGED = (
    "the cache's file is damaged and could not be replaced yet: entries may still be there; try again later"
)
_NO_CACHE = "Client-side caching is not enabled"
_NO_POOL = "this client has not joined its cache yet: its servers have not accepted its credentials since it attached"


class ForgetHandler:
    """The operation behind FORGET. For the loop's thread.

    `pool_of` returns the pool that an operator's request names, or None after it has refused the request.
    """

    def __init__(
        self,
        sessions: Sessions,
        next_sequence: Sequence,
        pool_of: Callable[[Request, Any], Pool | None],
    ) -> None:
        self.sessions = sessions
        self.next_sequence = next_sequence
        self.pool_of = pool_of

    def forget(self, request: Request, body: list[Any]) -> Iterator[float | None] | None:
        """Handle FORGET: remove keys, or all keys with a prefix; answer how many live entries there were (C25)."""
        session: ClientSession | None
        need_fields(body, "session_id or cache_name", "keys or prefix")
        owner, what = body
        if type(what) is list:
            need_all_bytes(what, "key")
        elif type(what) is not bytes:
            message = (
                f"the second field is {type(what).__name__}; expected a list of keys, or a prefix in bytes"
            )
            raise MalformedError(message)
        elif not what:
            message = "the prefix is empty, which is every key's; FLUSH removes all entries"
            raise MalformedError(message)
        if type(owner) is str:
            pool = self.pool_of(request, owner)
            return None if pool is None else _by_operator(request, pool, what, self.next_sequence())
        need(owner, int, "session_id")
        session = self.sessions.of_request(request, owner)
        if session is None:
            return None
        if session.pool is None:
            _refuse(request, session)
            return None
        if type(what) is bytes or len(what) > _KEYS:
            return _in_slices(request, session, session.pool, what, self.next_sequence)
        if session.order.has_written():
            self.at_once(request, session, what)
        else:
            # What its client has written before takes effect first, on whatever connection (contract C23).
            session.order.wait_alone(request, functools.partial(self.at_once, request, session, what))
        return None

    def at_once(self, request: Request, session: ClientSession, keys: list[Any]) -> None:
        """Forget a few keys, and answer."""
        session.advance(self.next_sequence)
        try:
            removed = forget_each(cython.cast("PoolEntries", session.entries), keys, session.min_flight)
        except PoolDamagedError:
            request.fail(ERROR_REQUEST, _DAMAGED)
        else:
            request.reply(removed)


def _in_slices(
    request: Request, session: ClientSession, pool: Pool, what: list[bytes] | bytes, next_sequence: Sequence
) -> Iterator[float | None]:
    # Later requests on its connection wait until all steps are done: it needs no place in the order.
    while not session.order.has_written():
        yield _TURN_POLL_MS
        if request.finished:
            return
    session.advance(next_sequence)
    yield from _forgotten(request, pool, what, session.min_flight)


def _by_operator(
    request: Request, pool: Pool, what: list[bytes] | bytes, number: int
) -> Iterator[float | None]:
    removed = yield from _forgotten(request, pool, what, number)
    if removed is not None:
        logger.info(
            "entries forgotten",
            extra={"cache": pool.label, "uid": request.peer.uid, "entries": removed},
        )


def _forgotten(
    request: Request, pool: Pool, what: list[bytes] | bytes, number: int
) -> Generator[float | None, None, int | None]:
    """Forget keys, or a prefix, in slices; answer the request, and return the answer, None if there is none."""
    steps = _by_prefix(pool, what, number) if isinstance(what, bytes) else _by_key(pool, what, number)
    removed = 0
    try:
        for more in steps:
            removed += more
            yield None
            if request.finished:
                return None
    except PoolDamagedError:
        request.fail(ERROR_REQUEST, _DAMAGED)
        return None
    request.reply(removed)
    return removed


def _by_key(pool: Pool, keys: list[bytes], number: int) -> Iterator[int]:
    """Forget some keys a step. Yield how many live entries there were."""
    for begin in range(0, len(keys), _KEYS):
        yield forget_each(pool.entries, keys[begin : begin + _KEYS], number)


def forget_each(entries: PoolEntries, keys: list[Any], number: cython.longlong) -> cython.Py_ssize_t:
    """Forget keys, all of them bytes. Return how many live entries there were. Raises `PoolDamagedError`."""
    removed: cython.Py_ssize_t = 0
    for key in keys:
        removed += entries.forget(key, number)
    return removed


def _by_prefix(pool: Pool, prefix: bytes, number: int) -> Iterator[int]:
    """Compare some entries' keys a step, again in the next generation if there is one meanwhile."""
    pool.entries.forgotten.add_prefix(prefix, number)
    generation, below = 0, 0
    while not pool.ended:
        if pool.generation != generation:
            generation, below = pool.generation, _FROM_THE_TOP
        below, removed = pool.entries.forget_below(prefix, below, _RECORDS)
        yield removed
        if not below and pool.generation == generation:
            return


def _refuse(request: Request, session: ClientSession) -> None:
    """Refuse a client without a pool. If it has a cache, find out first whether it may join now."""
    if session.awaits_proof:
        session.upstream.submit(_ProofCall(request, session))
    else:
        request.fail(ERROR_REQUEST, _NO_CACHE)


class _ProofCall(CommandCall):
    """A PING with the client's own credentials. If the servers accept them, the client attaches again, and joins."""

    __slots__ = ("_session",)

    def __init__(self, request: Request, session: ClientSession) -> None:
        super().__init__(request, [b"PING"], repeatable=True)
        self._session = session
        # In a cluster, one node that answers is enough.
        self.route = MultiNodeRoute.RANDOM

    def succeed(self, reply: Any) -> None:
        if self._session.outdated:
            self.request.fail(ERROR_UNKNOWN_SESSION, "the client may join its cache now; attach again")
        else:
            reason = f": {reply}" if isinstance(reply, ReplyError) else ""
            self.request.fail(ERROR_CONNECTION, f"{_NO_POOL}{reason}")
