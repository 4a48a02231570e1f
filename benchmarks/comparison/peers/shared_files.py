"""Stores in files that the processes of a host share, here on tmpfs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comparison import data
from comparison.peers import ON_HOST, Peer

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from comparison.stand import Stand

LMDB = "LMDB get, new read transaction"
DISKCACHE = "diskcache on tmpfs"

MAP_BYTES = 1 << 30


def open_environment(directory: Path, stack: ExitStack) -> Any:
    """Open an LMDB environment that syncs nothing: on tmpfs there is nothing to sync to."""
    import lmdb

    directory.mkdir()
    environment = lmdb.open(str(directory), map_size=MAP_BYTES, sync=False, metasync=False)
    stack.callback(environment.close)
    return environment


def open_lmdb(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a read with a transaction per read: one that is kept open would never see what others write."""
    environment = open_environment(stand.memory_directory / "lmdb", stack)
    key = data.STRING_KEY.encode()
    with environment.begin(write=True) as transaction:
        transaction.put(key, data.STRING)
    begin = environment.begin
    return lambda: begin().get(key)


def open_diskcache(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a read with the defaults (SQLite, least recently *stored*), and an expiry per entry."""
    import diskcache

    cache = diskcache.Cache(str(stand.memory_directory / "diskcache"))
    stack.callback(cache.close)
    cache.set(data.STRING_KEY, data.STRING, expire=3600)
    return lambda: cache.get(data.STRING_KEY)


PEERS = (
    Peer(name=LMDB, reach=ON_HOST, open=open_lmdb),
    Peer(name=DISKCACHE, reach=ON_HOST, open=open_diskcache),
)
