"""`redis.asyncio`, with cached reads from the shared pool: see `glidecache.redis`."""

from __future__ import annotations

from glidecache.fronts.asyncio_fronts import AsyncClusterFront, AsyncSingleFront
from glidecache.fronts.libraries import reexported
from glidecache.redis import _LIBRARY
from redis import asyncio as library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redis.asyncio import (
        AuthenticationError as AuthenticationError,
        AuthenticationWrongNumberOfArgsError as AuthenticationWrongNumberOfArgsError,
        BlockingConnectionPool as BlockingConnectionPool,
        BusyLoadingError as BusyLoadingError,
        ChildDeadlockedError as ChildDeadlockedError,
        Connection as Connection,
        ConnectionError as ConnectionError,
        ConnectionPool as ConnectionPool,
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
        WatchError as WatchError,
        default_backoff as default_backoff,
    )


class Redis(AsyncSingleFront, library.Redis):  # type: ignore[misc]  # the library's bases contradict each other
    """`redis.asyncio.Redis`, whose `GET`, `HGETALL`, `SMEMBERS` and `MGET` come from the shared pool.

    The arguments are those of the blocking `glidecache.redis.Redis`.
    """

    _library = _LIBRARY


class RedisCluster(AsyncClusterFront, library.RedisCluster):  # type: ignore[misc]  # the library's bases contradict each other
    """`redis.asyncio.RedisCluster`, with cached reads: see `Redis`."""

    _library = _LIBRARY


StrictRedis = Redis


def from_url(url: str, **arguments: Any) -> Redis:
    """Return a client for the URL."""
    return Redis.from_url(url, **arguments)


__all__ = reexported(library, globals())  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    return getattr(library, name)
