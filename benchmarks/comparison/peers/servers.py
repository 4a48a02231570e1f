"""Reads that ask a server each time: memcached, and Valkey without a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comparison import data
from comparison.peers import SERVER, Peer
from comparison.rows import LeftOut

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from comparison.stand import Stand

MEMCACHED = "pylibmc, memcached on a Unix socket"
VALKEY_TCP = "valkey-py, no cache, TCP loopback"
VALKEY_UNIX = "valkey-py, no cache, Unix socket"


def open_memcached(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a read with the binary protocol, which is pylibmc's faster one."""
    if stand.memcached is None:
        message = "the program memcached is not installed"
        raise LeftOut(message)
    import pylibmc

    client = pylibmc.Client([str(stand.memcached.socket_path)], binary=True)
    stack.callback(client.disconnect_all)
    client.set(data.STRING_KEY, data.STRING)
    return lambda: client.get(data.STRING_KEY)


def open_valkey_tcp(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a read over TCP, as most applications do."""
    import valkey

    host, port = stand.address
    client = valkey.Valkey(host=host, port=port)
    stack.callback(client.close)
    return lambda: client.get(data.STRING_KEY)


def open_valkey_unix(stand: Stand, stack: ExitStack) -> Callable[[], object]:
    """Open a read over a Unix socket, for a server on the same host."""
    import valkey

    client = valkey.Valkey(unix_socket_path=str(stand.server_socket))
    stack.callback(client.close)
    return lambda: client.get(data.STRING_KEY)


PEERS = (
    Peer(name=MEMCACHED, reach=SERVER, open=open_memcached),
    Peer(name=VALKEY_UNIX, reach=SERVER, open=open_valkey_unix),
    Peer(name=VALKEY_TCP, reach=SERVER, open=open_valkey_tcp),
)
