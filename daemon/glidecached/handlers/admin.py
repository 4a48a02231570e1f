"""HELLO, PING, STATS, FLUSH, DROP and HOTTEST: about the daemon itself, and for its operators."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import (
    ERROR_CONFIGURATION,
    ERROR_FORBIDDEN,
    ERROR_PROTOCOL,
    PROTOCOL_VERSION,
)
from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.arguments import need, need_fields
from glidecached.pools.manager import UnknownCacheError
from glidecached.pools.metadata import PoolKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from glidecached.frontend.request import Request
    from glidecached.pools.manager import PoolManager
    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop

logger = logging.getLogger(__name__)

MOST_CACHES = 500
MOST_UPSTREAMS = 500
_MOST_ADDRESSES = 16
_MOST_NODES = 256
_MOST_TEXT = 1_000
"""Bounds of STATS: lists that clients can lengthen are cut, and the omitted items are counted (isolation I8)."""

_MOST_HOT_ENTRIES = 100
_MOST_KEY_BYTES = 256
_MOST_NAME_LENGTH = 200


class AdminHandlers:
    """The operators' operations. For the loop's thread. `about` answers HELLO and PING, `stats` makes STATS' map.

    Only root, the daemon's own user and `admin_uids` may flush, drop, and see keys and file names (architecture 12).
    """

    def __init__(
        self,
        about: dict[str, Any],
        stats: Callable[[], dict[str, Any]],
        pools: PoolManager,
        admin_uids: frozenset[int],
    ) -> None:
        self._about = about
        self._stats = stats
        self._pools = pools
        self.admin_uids = admin_uids

    def hello(self, request: Request, body: list[Any]) -> None:
        """Handle HELLO: agree on the protocol's version."""
        need_fields(body, "protocol_version", "client_version")
        version, client_version = body
        need(version, int, "protocol_version")
        need(client_version, str, "client_version")
        if version != PROTOCOL_VERSION:
            daemon_version = self._about["daemon_version"]
            advice = f"install glidecached {daemon_version} for it, and restart it"
            if version > PROTOCOL_VERSION:
                advice = f"upgrade the daemon to glidecached {client_version:.40}, and restart it"
            message = (
                f"this daemon ({daemon_version}) speaks protocol {PROTOCOL_VERSION}, "
                f"the client ({client_version:.40}) {version}: {advice}"
            )
            request.fail(ERROR_PROTOCOL, message)
            return
        request.reply(self._about)

    def ping(self, request: Request, body: list[Any]) -> None:
        """Handle PING: answer that the daemon is alive."""
        need_fields(body)
        request.reply(self._about)

    def stats(self, request: Request, body: list[Any]) -> None:
        """Handle STATS: return all numbers at once; users who may see keys also get the names of the pools' files."""
        need_fields(body)
        numbers = self._stats()
        if self.administers(request):
            file_ids = self._pools.file_ids()
            # Other requests may share the same map of numbers, and one of them may have ended a cache since.
            keys = ((cache, PoolKey(cache["name"], cache["id"])) for cache in numbers["caches"])
            numbers = {
                **numbers,
                "caches": [{**cache, "file_id": file_ids[key]} for cache, key in keys if key in file_ids],
            }
        request.reply(numbers)

    def flush(self, request: Request, body: list[Any]) -> None:
        """Handle FLUSH: remove all entries of one cache, and answer with their number."""
        need_fields(body, "cache_name")
        label = self._admitted_label(request, body[0])
        if label is not None:
            try:
                self._pools.flush(label, functools.partial(_flushed, request, label))
            except UnknownCacheError as error:
                request.fail(ERROR_CONFIGURATION, str(error))

    def drop(self, request: Request, body: list[Any]) -> None:
        """Handle DROP: end one cache; clients that use it attach again."""
        need_fields(body, "cache_name")
        label = self._admitted_label(request, body[0])
        if label is not None:
            try:
                self._pools.drop(label)
            except UnknownCacheError as error:
                request.fail(ERROR_CONFIGURATION, str(error))
            else:
                logger.info("cache dropped", extra={"cache": label, "uid": request.peer.uid})
                request.reply(None)

    def hottest(self, request: Request, body: list[Any]) -> None:
        """Handle HOTTEST: return the entries of one cache that would be evicted last; long keys are cut."""
        need_fields(body, "cache_name", "count")
        need(body[1], int, "count")
        if not 1 <= body[1] <= _MOST_HOT_ENTRIES:
            message = f"count is {body[1]}; expected 1 to {_MOST_HOT_ENTRIES}"
            raise MalformedError(message)
        pool = self.pool_of(request, body[0])
        if pool is not None:
            entries = [entry._asdict() for entry in pool.hottest(body[1], _MOST_KEY_BYTES)]
            request.reply({"eviction_policy": pool.settings.eviction_policy, "entries": entries})

    def pool_of(self, request: Request, label: Any) -> Pool | None:
        """Return the cache that an operator's request names. If there is none, or it may not, refuse the request."""
        admitted = self._admitted_label(request, label)
        if admitted is not None:
            try:
                return self._pools.find(admitted)
            except UnknownCacheError as error:
                request.fail(ERROR_CONFIGURATION, str(error))
        return None

    def administers(self, request: Request) -> bool:
        """Return whether the user of a request is an administrator, who may see keys."""
        return request.peer.uid in self.admin_uids | {0, os.geteuid()}

    def _admitted_label(self, request: Request, label: Any) -> str | None:
        need(label, str, "cache_name")
        if len(label) > _MOST_NAME_LENGTH:
            message = f"cache_name has {len(label)} characters; at most {_MOST_NAME_LENGTH} are allowed"
            raise MalformedError(message)
        if not self.administers(request):
            request.fail(ERROR_FORBIDDEN, "only root, the daemon's own user and admin_users may do this")
            return None
        return str(label)


def _flushed(request: Request, label: str, removed: int) -> None:
    logger.info("cache flushed", extra={"cache": label, "uid": request.peer.uid, "entries": removed})
    request.reply(removed)


class OncePerTurn:
    """One shared answer for all requests in a turn of the loop: a flood of them costs one answer. It is not changed."""

    def __init__(self, loop: Loop, ask: Callable[[], dict[str, Any]]) -> None:
        self._loop = loop
        self._ask = ask
        self._answer: dict[str, Any] | None = None

    def __call__(self) -> dict[str, Any]:
        """Return the answer of this turn."""
        answer = self._answer
        if answer is None:
            answer = self._answer = self._ask()
            self._loop.defer(self._forget)
        return answer

    def _forget(self) -> None:
        self._answer = None


def bounded_upstreams(upstreams: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Return the first upstreams with bounded lists and texts, and the number of the others."""
    every = list(upstreams)
    return [_bounded(upstream) for upstream in every[:MOST_UPSTREAMS]], max(0, len(every) - MOST_UPSTREAMS)


def _bounded(upstream: dict[str, Any]) -> dict[str, Any]:
    addresses = upstream.get("addresses", [])
    if len(addresses) > _MOST_ADDRESSES:
        rest = len(addresses) - _MOST_ADDRESSES
        upstream["addresses"] = [*addresses[:_MOST_ADDRESSES], f"and {rest} more"]
    for name in ("nodes", "replicas"):
        if len(upstream.get(name) or ()) > _MOST_NODES:
            upstream[f"{name}_left_out"] = len(upstream[name]) - _MOST_NODES
            upstream[name] = upstream[name][:_MOST_NODES]
    for name in ("identity", "connected_to", "last_error"):
        text = upstream.get(name)
        if isinstance(text, str) and len(text) > _MOST_TEXT:
            upstream[name] = f"{text[:_MOST_TEXT]}…"
    return upstream
