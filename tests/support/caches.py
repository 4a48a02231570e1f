"""Caches for tests: their settings, what fits into them, and what is in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from glidecache import ClientSideCache, EvictionPolicy

if TYPE_CHECKING:
    from support.clients import AnyClient
    from support.valkey_server import ValkeyServer

KEY_BYTES = 8
VALUE_BYTES = 250
"""Three entries of this size fit in 1 KB, a fourth does not (contract C8)."""


def new_cache(
    max_cache_kb: int = 1024,
    entry_ttl_ms: int = 0,
    eviction_policy: EvictionPolicy = EvictionPolicy.LRU,
    *,
    enable_metrics: bool = True,
    name: str | None = None,
) -> ClientSideCache:
    """A cache object whose settings a test does not care about, but for those that it names."""
    return ClientSideCache.create(
        max_cache_kb, entry_ttl_ms, eviction_policy, enable_metrics=enable_metrics, name=name
    )


def write_entries(server: ValkeyServer, *names: str, value_bytes: int = VALUE_BYTES) -> list[str]:
    """Put a value of `value_bytes` upstream at an 8-byte key for each name; the keys."""
    keys = [name.ljust(KEY_BYTES, "-") for name in names]
    assert all(len(key) == KEY_BYTES for key in keys)
    server.admin.mset({key: key[0] * value_bytes for key in keys})
    return keys


def is_cached(client: AnyClient, server: ValkeyServer, key: str) -> bool:
    """Whether reading `key` now is answered without the server. A look that changes what it looks at.

    A hit is an access, and a miss stores: look at those that should be there first.
    """
    before = server.calls("get")
    client.get(key)
    return server.calls("get") == before


def sleep_past(ttl_ms: int) -> None:
    """Wait until everything stored before this call with this TTL has expired: here time is the subject."""
    time.sleep(ttl_ms / 1000 + 0.02)


def end_of_life(ttl_ms: int) -> float:
    """Return when a key ends at the latest whose TTL of `ttl_ms` was set before this call, in time.monotonic() seconds.

    Servers count whole milliseconds, and a key lives through its last one.
    """
    return time.monotonic() + (ttl_ms + 1) / 1000
