"""A connection set without a listener: its peers are sockets of the test."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from glidecache_shared import protocol
from glidecache_shared.wire.zmtp import Stream
from glidecached.budget import Budget
from glidecached.frontend.client_connection import ClientConnection
from glidecached.frontend.connections import ConnectionSet
from glidecached.process.turn_end import TurnEnd
from support.abusers import OPENING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecache_shared.wire.zmtp import ZmtpError
    from glidecached.access import Peer
    from glidecached.process.turn_end import Deferred


class AtOnce:
    """A stand-in for `SlicedWork`: all work is done at once."""

    def start(self, steps: Iterator[float | None]) -> None:
        for _ in steps:
            pass

    def release(self, values: Any) -> None:
        del values


class NoTurns(TurnEnd):
    """A stand-in for the end of a turn: all tasks are done at once."""

    def add(self, task: Deferred) -> None:
        task.end_turn()


class PairedPeers:
    """Peers by their identities; each is connected when it sends its first message."""

    def __init__(self, max_message_bytes: int = 10_000) -> None:
        self.connections = ConnectionSet(self, NoTurns())
        self._max_message_bytes = max_message_bytes
        self._peers: dict[bytes, tuple[ClientConnection, socket.socket, Stream]] = {}

    def accept(self) -> None:
        """Implement `connections.ConnectionHandler`: there is no listener."""

    def connection_lacks_room(self) -> None:
        """Implement `connections.ConnectionHandler`: the test looks for room."""

    def connection_ended(self, connection: ClientConnection) -> None:
        """Implement `connections.ConnectionHandler`."""
        _, peer, _ = self._peers.pop(connection.identity)
        peer.close()

    def put(self, data: bytes, identity: bytes) -> None:
        """Send bytes as that peer."""
        self._connect(identity).sendall(data)

    def connection(self, identity: bytes) -> ClientConnection:
        """Return the connection of that peer, a new one if it has none."""
        self._connect(identity)
        return self._peers[identity][0]

    def drop(self, identity: bytes) -> None:
        """End that peer's connection."""
        self.connections.drop(self._peers[identity][0])

    def answers(self) -> list[tuple[bytes, Any]]:
        """Return the answers that have come, with the identities of their receivers."""
        found: list[tuple[bytes, Any]] = []
        for identity, (connection, peer, stream) in list(self._peers.items()):
            while stream.receive(peer.fileno()) > 0 or connection.unsent:
                connection.flush()
            while (message := stream.next_message()) is not None:
                found.append((identity, protocol.unpack(message)))
        return found

    def close(self) -> None:
        for connection in self.connections:
            self.connections.drop(connection)
        self.connections.close()

    def _connect(self, identity: bytes) -> socket.socket:
        if identity not in self._peers:
            ours, peer = socket.socketpair()
            peer.setblocking(False)
            connection = ClientConnection(
                ours,
                identity,
                time.monotonic_ns(),
                max_message_bytes=self._max_message_bytes,
                max_unsent=1_000,
                budget=Budget(),
            )
            self._peers[identity] = (connection, peer, Stream(b"DEALER", 2**40))
            self.connections.admit(connection)
            peer.sendall(OPENING)
        return self._peers[identity][1]


def received(
    connections: ConnectionSet, most: int = 100
) -> Iterator[tuple[bytes, Peer, bytes | memoryview | ZmtpError]]:
    """Read, and take at most this many messages: for each the connection's identity, its peer, and the message."""
    connections.read()
    for _ in range(most):
        message = connections.next_message()
        if message is None or connections.current is None:
            return
        yield connections.current.identity, connections.current.peer, message
