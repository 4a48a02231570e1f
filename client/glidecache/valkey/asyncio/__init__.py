"""`valkey.asyncio`, with cached reads from the shared pool: see `glidecache.valkey`."""

from __future__ import annotations

from glidecache.fronts.asyncio_fronts import AsyncClusterFront, AsyncSingleFront
from glidecache.fronts.libraries import reexported
from glidecache.valkey import _LIBRARY
from valkey import asyncio as library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from valkey.asyncio import (
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
        ResponseError as ResponseError,
        SSLConnection as SSLConnection,
        Sentinel as Sentinel,
        SentinelConnectionPool as SentinelConnectionPool,
        SentinelManagedConnection as SentinelManagedConnection,
        SentinelManagedSSLConnection as SentinelManagedSSLConnection,
        TimeoutError as TimeoutError,
        UnixDomainSocketConnection as UnixDomainSocketConnection,
        ValkeyError as ValkeyError,
        WatchError as WatchError,
        default_backoff as default_backoff,
    )


class Valkey(AsyncSingleFront, library.Valkey):  # type: ignore[misc]  # the library's bases contradict each other
    """`valkey.asyncio.Valkey`, whose `GET`, `HGETALL`, `SMEMBERS` and `MGET` come from the shared pool.

    The arguments are those of the blocking `glidecache.valkey.Valkey`.
    """

    _library = _LIBRARY


class ValkeyCluster(AsyncClusterFront, library.ValkeyCluster):  # type: ignore[misc]  # the library's bases contradict each other
    """`valkey.asyncio.ValkeyCluster`, with cached reads: see `Valkey`."""

    _library = _LIBRARY


StrictValkey = Valkey
Redis = Valkey
StrictRedis = Valkey
RedisCluster = ValkeyCluster


def from_url(url: str, **arguments: Any) -> Valkey:
    """Return a client for the URL."""
    return Valkey.from_url(url, **arguments)


__all__ = reexported(library, globals())  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    return getattr(library, name)
