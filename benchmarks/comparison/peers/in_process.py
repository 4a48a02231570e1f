"""Caches that each process has for itself, in Python's own memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comparison import data
from comparison.peers import IN_PROCESS, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from contextlib import ExitStack

    import cachebox

    from comparison.stand import Stand

DICT = "dict behind a lambda"
CACHETOOLS = "cachetools TTLCache"
CACHEBOX = "cachebox TTLCache"
CACHEBOX_GET = "cachebox TTLCache, .get"

MAX_ENTRIES = 1024
TTL_S = 3600


def open_dict(_stand: Stand, _stack: ExitStack) -> Callable[[], object]:
    """Open a plain dict: no expiry, no bound; the limit that nothing can beat."""
    plain = {data.STRING_KEY: data.STRING}
    return lambda: plain[data.STRING_KEY]


def open_cachetools(_stand: Stand, _stack: ExitStack) -> Callable[[], object]:
    """Open a read by `[]`, which is its fastest way; without the lock that threads would need around it."""
    import cachetools

    cache: MutableMapping[str, bytes] = cachetools.TTLCache(MAX_ENTRIES, TTL_S)
    cache[data.STRING_KEY] = data.STRING
    return lambda: cache[data.STRING_KEY]


def open_cachebox(_stand: Stand, _stack: ExitStack) -> Callable[[], object]:
    """Open a read by `[]`, as the others."""
    cache = filled_cachebox()
    return lambda: cache[data.STRING_KEY]


def open_cachebox_get(_stand: Stand, _stack: ExitStack) -> Callable[[], object]:
    """Open a read by the method, as ours is one."""
    cache = filled_cachebox()
    return lambda: cache.get(data.STRING_KEY)


def filled_cachebox() -> cachebox.TTLCache[str, bytes]:
    """Return a cache with the string in it."""
    import cachebox

    cache: cachebox.TTLCache[str, bytes] = cachebox.TTLCache(MAX_ENTRIES, TTL_S)
    cache[data.STRING_KEY] = data.STRING
    return cache


PEERS = (
    Peer(name=DICT, reach=IN_PROCESS, open=open_dict),
    Peer(name=CACHETOOLS, reach=IN_PROCESS, open=open_cachetools),
    Peer(name=CACHEBOX, reach=IN_PROCESS, open=open_cachebox),
    Peer(name=CACHEBOX_GET, reach=IN_PROCESS, open=open_cachebox_get),
)
