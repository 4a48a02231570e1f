"""A TCP proxy before a server that fails as networks do: connections cut anywhere, replies that do not come."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

REQUESTS = "requests"
REPLIES = "replies"


class FaultProxy:
    """Passes everything on between its `port` and a server's, until it is told to do otherwise. For any thread.

    It stands in for no part of the server: what passes is what was sent. `accepted` has the time of each connection.
    """

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.accepted: list[float] = []
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._passing = {REQUESTS: threading.Event(), REPLIES: threading.Event()}
        for event in self._passing.values():
            event.set()
        self._left_bytes: dict[str, int | None] = {REQUESTS: None, REPLIES: None}
        self._refusing = False
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="fault-proxy", daemon=True).start()

    @property
    def open_connections(self) -> int:
        """How many connections pass through it at this moment."""
        return len(self._pairs)

    def cut(self) -> None:
        """Reset all connections. New ones are accepted."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.end(reset=True)
        wait_until(lambda: not self._pairs.intersection(pairs), "the proxy's connections have ended")

    def cut_after(self, direction: str, size_bytes: int) -> None:
        """End the connection on which, from now on, more than that many bytes come in this direction.

        The bytes before still pass; connections that are made later are whole again.
        """
        with self._lock:
            self._left_bytes[direction] = size_bytes

    def hold(self, direction: str) -> None:
        """Take what comes in this direction, and keep it."""
        self._passing[direction].clear()

    def release(self, direction: str) -> None:
        """Hand on what was kept, and what comes."""
        self._passing[direction].set()

    def refuse(self) -> None:
        """Reset all connections, and each new one at once."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Let connections pass again."""
        self._refusing = False

    def close(self) -> None:
        """End everything."""
        self._refusing = True
        for event in self._passing.values():
            event.set()
        # A thread that waits in accept() holds on to a listener that is merely closed.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted.append(time.monotonic())
            try:
                server = None if self._refusing else socket.create_connection((HOST, self.server_port), 5)
            except OSError:
                server = None
            if server is None:
                _end(client, reset=True)
                continue
            server.settimeout(None)
            pair = _Pair(client, server)
            with self._lock:
                self._pairs.add(pair)
            for direction, source, sink in ((REQUESTS, client, server), (REPLIES, server, client)):
                threading.Thread(
                    target=self._pump, args=(pair, direction, source, sink), name="fault-proxy", daemon=True
                ).start()

    def _pump(self, pair: _Pair, direction: str, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(_CHUNK_BYTES):
                self._passing[direction].wait()
                allowed, cut = self._allowance(direction, len(data))
                sink.sendall(data[:allowed])
                if cut:
                    break
        except OSError:
            pass  # ended by either side, or by the test
        # No reset: it could overtake what has passed.
        pair.end(reset=False)
        with self._lock:
            self._pairs.discard(pair)

    def _allowance(self, direction: str, size_bytes: int) -> tuple[int, bool]:
        with self._lock:
            left = self._left_bytes[direction]
            if left is None:
                return size_bytes, False
            if size_bytes <= left:
                self._left_bytes[direction] = left - size_bytes
                return size_bytes, False
            self._left_bytes[direction] = None
            return left, True


class _Pair:
    """The two sockets of one connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._sockets: tuple[socket.socket, ...] = (client, server)
        self._lock = threading.Lock()

    def end(self, *, reset: bool) -> None:
        """Close both. Idempotent."""
        with self._lock:
            sockets, self._sockets = self._sockets, ()
        for each in sockets:
            _end(each, reset=reset)


def _end(connection: socket.socket, *, reset: bool) -> None:
    with contextlib.suppress(OSError):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            # Wakes a thread that waits in recv(), which closing alone does not.
            connection.shutdown(socket.SHUT_RD)
        else:
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextlib.contextmanager
def proxy_before(server_port: int) -> Iterator[FaultProxy]:
    """A proxy that ends with the context."""
    proxy = FaultProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
