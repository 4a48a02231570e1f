"""Connecting: what servers say in the handshake, and servers that say too much, too slowly, or nonsense."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from glidecached.upstream.connector import Channel, ConnectError, connect
from glidecached.upstream.resp import INCOMPLETE, Reader
from glidecached.upstream.target import Address, Credentials, Target, TlsMaterial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Answer = bytes | Callable[[socket.socket], object]

TIMEOUT_SECONDS = 0.4
GENEROUS_SECONDS = 10
HELLO = b"%3\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n$5\r\nproto\r\n:3\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
MARKER = b"$18\r\nglidecached:marker\r\n"
USUAL: Mapping[bytes, Answer] = {
    b"HELLO": HELLO,
    b"ECHO": MARKER,
    b"PING": MARKER,
    b"ROLE": b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
    b"INFO": b"$20\r\nvalkey_version:9.1.2\r\n",
}
NO_PERMISSION = b"-NOPERM User app has no permissions to run the command\r\n"


class Server:
    """A server that answers each command with the reply for its name, or by a function."""

    def __init__(self, answers: Mapping[bytes, Answer]) -> None:
        self.asked: list[bytes] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = Reader()
        with contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                reader.feed(data)
                while (command := reader.gets()) is not INCOMPLETE:
                    self.asked.append(command[0])
                    answer = self._answers[command[0]]
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                    else:
                        answer(connection)


@pytest.fixture
def serve() -> Iterator[Callable[[Mapping[bytes, Answer]], Server]]:
    servers: list[Server] = []

    def start(answers: Mapping[bytes, Answer]) -> Server:
        servers.append(Server({**USUAL, **answers}))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def connected(*servers: Server, tls: TlsMaterial | None = None) -> Channel:
    addresses = tuple(Address("127.0.0.1", server.port) for server in servers)
    credentials = Credentials(tls=tls)
    channel = connect(
        Target(mode="standalone", addresses=addresses, credentials=credentials), TIMEOUT_SECONDS
    )
    channel.close()
    return channel


def endless(begin: bytes, piece: bytes) -> Callable[[socket.socket], object]:
    """Send as fast as possible."""

    def send(connection: socket.socket) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(piece)

    return send


def trickling(data: bytes) -> Callable[[socket.socket], object]:
    """Send a byte now and then: less than a time-out passes in between."""

    def send(connection: socket.socket) -> None:
        for place in range(len(data)):
            connection.sendall(data[place : place + 1])
            time.sleep(TIMEOUT_SECONDS / 4)

    return send


@pytest.mark.parametrize(
    ("answers", "marker"),
    [
        ({}, b"ECHO"),
        ({b"ECHO": NO_PERMISSION}, b"PING"),
        ({b"ECHO": b"-ERR unknown command 'ECHO'\r\n"}, b"PING"),
        ({b"ECHO": NO_PERMISSION, b"PING": NO_PERMISSION}, None),
        ({b"ECHO": b"-BUSY a script runs\r\n"}, b"ECHO"),
        ({b"ECHO": b"-LOADING the data\r\n"}, b"ECHO"),
        ({b"ECHO": b">1\r\n+push\r\n" + MARKER}, b"ECHO"),
    ],
)
def test_i4_the_marker_is_what_the_server_lets_pass(
    serve: Callable[..., Server], answers: Mapping[bytes, Answer], marker: bytes | None
) -> None:
    assert connected(serve(answers)).marker == marker


@pytest.mark.parametrize(
    ("answers", "role"),
    [
        ({}, b"master"),
        ({b"HELLO": HELLO.replace(b"$6\r\nmaster", b"$7\r\nreplica")}, b"slave"),
        ({b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n"}, b"master"),
        ({b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n", b"ROLE": b"*1\r\n$5\r\nslave\r\n"}, b"slave"),
        ({b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n", b"ROLE": NO_PERMISSION}, None),
        ({b"HELLO": b"-ERR unknown command 'HELLO'\r\n"}, b"master"),
        ({b"HELLO": b"-ERR unknown command 'HELLO'\r\n", b"ROLE": b"*0\r\n"}, None),
    ],
)
def test_i14_the_role_is_what_the_server_says(
    serve: Callable[..., Server], answers: Mapping[bytes, Answer], role: bytes | None
) -> None:
    assert connected(serve(answers)).role == role


def test_of_several_servers_the_primary_is_taken(serve: Callable[..., Server]) -> None:
    replica = serve({b"HELLO": HELLO.replace(b"$6\r\nmaster", b"$7\r\nreplica")})
    primary = serve({})
    assert connected(replica, primary).address.port == primary.port
    with pytest.raises(ConnectError, match="a replica, not the primary"):
        connected(replica, replica)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({b"HELLO": endless(b"$1000000000\r\n", bytes(65_536))}, "more than 1048576 bytes"),
        ({b"HELLO": endless(b"*1000000000\r\n", b"~0\r\n" * 1000)}, "more than 1048576 bytes"),
        ({b"HELLO": endless(b"", b">1\r\n+push\r\n" * 1000)}, "more than 1048576 bytes"),
        ({b"HELLO": endless(b"-ERR", b"e" * 1000)}, "more than 1048576 bytes"),
        ({b"HELLO": trickling(HELLO)}, "took too long|Timeout"),
        ({b"HELLO": trickling(b">1\r\n+push\r\n" * 100)}, "took too long|Timeout"),
        ({b"HELLO": b""}, "Timeout"),
        ({b"ECHO": trickling(MARKER)}, "took too long|Timeout"),
        ({b"HELLO": b"?what\r\n"}, "cannot be read"),
        ({b"HELLO": b"+OK\r\n"}, "is unusable"),
        ({b"HELLO": b"*-1\r\n"}, "is unusable"),
        ({b"HELLO": b"%1\r\n$5\r\nproto\r\n:2\r\n"}, "Invalid RESP version"),
        ({b"HELLO": HELLO + b"+OK\r\n"}, "out of step"),
        ({b"ECHO": b"$3\r\nyou\r\n"}, "out of step"),
        ({b"ECHO": MARKER + b"+OK\r\n"}, "out of step"),
        ({b"ECHO": MARKER + b"+O"}, "out of step"),
        ({b"HELLO": b"-NOAUTH no\r\n"}, "NOAUTH"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)).decode(),
)
def test_i8_a_handshake_is_bounded_in_time_and_bytes_and_says_what_was_wrong(
    serve: Callable[..., Server], answers: Mapping[bytes, Answer], reason: str
) -> None:
    server = serve(answers)
    began = time.monotonic()
    with pytest.raises(ConnectError, match=reason) as caught:
        connected(server)
    assert time.monotonic() - began < GENEROUS_SECONDS
    assert str(server.port) in str(caught.value)


def test_i8_a_tls_handshake_is_bounded_in_time() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def send_byte_by_byte() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                # The header of a record that takes minutes to arrive.
                trickling(b"\x16\x03\x03\x40\x00" + bytes(16_384))(connection)

    threading.Thread(target=send_byte_by_byte, daemon=True).start()
    target = Target(
        mode="standalone",
        addresses=(Address("127.0.0.1", port),),
        credentials=Credentials(tls=TlsMaterial(insecure=True)),
    )
    began = time.monotonic()
    with listener, pytest.raises(ConnectError, match=str(port)):
        connect(target, TIMEOUT_SECONDS)
    assert time.monotonic() - began < GENEROUS_SECONDS


def test_i14_names_are_resolved_at_each_attempt(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = serve({}), serve({})
    resolve = socket.getaddrinfo
    points_to = old

    def look_up(host: str, port: int, *arguments: int) -> object:
        assert (host, port) == ("moving", 1)
        return resolve("127.0.0.1", points_to.port, *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    target = Target(mode="standalone", addresses=(Address("moving", 1),))
    for server in (old, new):
        points_to = server
        connect(target, TIMEOUT_SECONDS).close()
        assert b"HELLO" in server.asked
