"""redis-py, with cached reads from the shared pool: its names, with `Redis` and `RedisCluster` of our own.

from glidecache.redis import Redis
client = Redis.from_url("redis://localhost:6379/0", shared_cache="catalog", cache_prefixes=["product:"])

Cached calls, and the age of their values: docs/integrations.md. Without `shared_cache` everything is redis-py's own.
"""

from __future__ import annotations

from glidecache.fronts.libraries import reexported, redis_py

_LIBRARY = redis_py()  # first: its error names what is missing

import redis as library  # noqa: E402

from glidecache.fronts.blocking_fronts import BlockingClusterFront, BlockingSingleFront  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redis import (
        AuthenticationError as AuthenticationError,
        AuthenticationWrongNumberOfArgsError as AuthenticationWrongNumberOfArgsError,
        BlockingConnectionPool as BlockingConnectionPool,
        BusyLoadingError as BusyLoadingError,
        ChildDeadlockedError as ChildDeadlockedError,
        Connection as Connection,
        ConnectionError as ConnectionError,
        ConnectionPool as ConnectionPool,
        CredentialProvider as CredentialProvider,
        DataError as DataError,
        InvalidResponse as InvalidResponse,
        OutOfMemoryError as OutOfMemoryError,
        PubSubError as PubSubError,
        ReadOnlyError as ReadOnlyError,
        RedisError as RedisError,
        ResponseError as ResponseError,
        SSLConnection as SSLConnection,
        Sentinel as Sentinel,
        SentinelConnectionPool as SentinelConnectionPool,
        SentinelManagedConnection as SentinelManagedConnection,
        SentinelManagedSSLConnection as SentinelManagedSSLConnection,
        TimeoutError as TimeoutError,
        UnixDomainSocketConnection as UnixDomainSocketConnection,
        UsernamePasswordCredentialProvider as UsernamePasswordCredentialProvider,
        WatchError as WatchError,
        default_backoff as default_backoff,
    )


class Redis(BlockingSingleFront, library.Redis):
    """`redis.Redis`, whose `GET`, `HGETALL`, `SMEMBERS` and `MGET` come from the shared pool.

    shared_cache: the cache's name, or a `ClientSideCache`; None: off. cache_prefixes: what cached keys begin with.
    upstream: the servers' name in the daemon's configuration. runtime_dir: where the daemon is.
    """

    _library = _LIBRARY


class RedisCluster(BlockingClusterFront, library.RedisCluster):
    """`redis.RedisCluster`, with cached reads: see `Redis`."""

    _library = _LIBRARY


StrictRedis = Redis


def from_url(url: str, **arguments: Any) -> Redis:
    """Return a client for the URL."""
    return Redis.from_url(url, **arguments)


__all__ = reexported(library, globals())  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name == "asyncio":
        from importlib import import_module

        return import_module("glidecache.redis.asyncio")
    return getattr(library, name)
