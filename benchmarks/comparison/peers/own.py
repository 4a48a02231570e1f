"""This project's clients, as the groups open them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import glidecache
import glidecache.sync
from comparison import data
from comparison.peers import ON_HOST, Peer
from comparison.rows import OWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from comparison.stand import Stand

MAX_CACHE_KB = 8192
REQUEST_TIMEOUT_MS = 5_000


def new_cache(max_cache_kb: int = MAX_CACHE_KB, policy: str = "LRU") -> Any:
    """Return a cache whose entries never expire, with its metrics on, as in production."""
    return glidecache.ClientSideCache.create(
        max_cache_kb, 0, glidecache.EvictionPolicy[policy], enable_metrics=True
    )


def settings(runtime_dir: str, cache: Any) -> Any:
    """Return a configuration for either client; the upstream is the daemon's `default`."""
    return glidecache.GlideClientConfiguration(
        runtime_dir=runtime_dir, request_timeout=REQUEST_TIMEOUT_MS, client_side_cache=cache
    )


def open_client(stand: Stand, stack: ExitStack, cache: Any = None) -> Any:
    """Open a blocking client."""
    client = glidecache.sync.GlideClient.create(settings(stand.runtime_dir, cache or new_cache()))
    stack.callback(client.close)
    return client


def open_hit(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a hit of the blocking client."""
    client = open_client(stand, stack)
    return lambda: client.get(data.STRING_KEY)


PEER = Peer(name=OWN, reach=ON_HOST, open=open_hit)
