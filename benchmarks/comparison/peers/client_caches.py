"""The caches inside the clients of Valkey and Redis: each process has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comparison import data
from comparison.peers import IN_PROCESS, Peer

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from comparison.stand import Stand

GLIDE_SYNC = "valkey-glide-sync, its cache"
GLIDE = "valkey-glide async, its cache"
VALKEY_PY = "valkey-py, its cache"
REDIS_PY = "redis-py, its cache"

MAX_CACHE_KB = 8192
REQUEST_TIMEOUT_MS = 5_000


def glide_settings(glide: Any, stand: Stand, *, max_cache_kb: int = MAX_CACHE_KB, policy: str = "LRU") -> Any:
    """Return a configuration for `glide` or `glide_sync`, with a cache whose entries never expire."""
    host, port = stand.address
    return glide.GlideClientConfiguration(
        [glide.NodeAddress(host, port)],
        request_timeout=REQUEST_TIMEOUT_MS,
        client_side_cache=glide.ClientSideCache.create(
            max_cache_kb, 0, getattr(glide.EvictionPolicy, policy), enable_metrics=True
        ),
    )


def open_glide_client(
    stand: Stand, stack: ExitStack, *, max_cache_kb: int = MAX_CACHE_KB, policy: str = "LRU"
) -> Any:
    """Open a client of valkey-glide-sync with a cache of its own."""
    import glide_sync

    client = glide_sync.GlideClient.create(
        glide_settings(glide_sync, stand, max_cache_kb=max_cache_kb, policy=policy)
    )
    stack.callback(client.close)
    return client


def open_glide_sync(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a hit of GLIDE's blocking client."""
    client = open_glide_client(stand, stack)
    return lambda: client.get(data.STRING_KEY)


def open_valkey_py(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a hit of valkey-py with its own parser.

    The faster libvalkey cannot take invalidations, and a hit parses nothing.
    """
    import valkey
    from valkey._parsers import _RESP3Parser

    host, port = stand.address
    pool = valkey.ConnectionPool(
        host=host, port=port, protocol=3, parser_class=_RESP3Parser, cache_enabled=True
    )
    client = valkey.Valkey(connection_pool=pool)
    stack.callback(pool.disconnect)
    return lambda: client.get(data.STRING_KEY)


def open_redis_py(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a hit of redis-py, configured to accept a server named valkey.

    It asks for Redis 7.4 by name, and Valkey has all that it needs.
    """
    import redis
    from redis.cache import CacheConfig
    from redis.connection import CacheProxyConnection

    CacheProxyConnection.DEFAULT_SERVER_NAME = "valkey"
    host, port = stand.address
    client = redis.Redis(host=host, port=port, protocol=3, cache_config=CacheConfig())
    stack.callback(client.close)
    return lambda: client.get(data.STRING_KEY)


PEERS = (
    Peer(name=GLIDE_SYNC, reach=IN_PROCESS, open=open_glide_sync),
    Peer(name=VALKEY_PY, reach=IN_PROCESS, open=open_valkey_py),
    Peer(name=REDIS_PY, reach=IN_PROCESS, open=open_redis_py),
)
