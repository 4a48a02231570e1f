"""Clients that make a daemon hold or compute as much as they can: each in a process of its own, by its name.

`python abusers.py NAME RUNTIME_DIR SESSION_PORT` does what it says, prints "ready", and stays until it is killed.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import msgpack

from glidecache_shared import protocol
from glidecached.upstream.resp import INCOMPLETE, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
OPENING = GREETING + b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
_GREETED_BYTES = 64
_FAR_S = 30
_SETUP_S = 20.0
MB = 1_048_576
LONG_FRAME = 256


class RefusedError(Exception):
    """The daemon refused the client: `args[0]` is the code and the text."""


class RawClient:
    """The protocol on a plain socket, so that a message can stay unfinished and answers unread."""

    def __init__(self, runtime_dir: str | Path, *, timeout_s: float = 3.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._timeout_s = timeout_s
        self.socket.settimeout(_SETUP_S)
        self.socket.connect(f"{runtime_dir}/glidecached.sock")
        self._received = b""
        self._ids = itertools.count(1)
        self.socket.sendall(OPENING)
        self._take(_GREETED_BYTES)
        self.frame()
        about = self.request(protocol.HELLO, protocol.PROTOCOL_VERSION, "abuser", instance_id=0)
        if not isinstance(about, dict):
            raise RefusedError(about)
        self.instance_id = int(about["instance_id"])
        self.socket.settimeout(timeout_s)

    def attach(self, port: int, **spec: Any) -> int:
        """Open a session with the server at that port; return its number."""
        addresses = [["127.0.0.1", port]]
        spec = {"mode": "standalone", "addresses": addresses, **spec}
        self.socket.settimeout(_SETUP_S)
        session = self.request(protocol.ATTACH, spec)
        self.socket.settimeout(self._timeout_s)
        if not isinstance(session, dict):
            raise RefusedError(session)
        return int(session["session_id"])

    def message(
        self, operation: int, *body: Any, instance_id: int | None = None, deadline_s: float = _FAR_S
    ) -> bytes:
        """Return one request, packed."""
        deadline_ns = time.monotonic_ns() + int(deadline_s * 1e9)
        meant_for = self.instance_id if instance_id is None else instance_id
        packed: bytes = msgpack.packb([operation, next(self._ids), meant_for, deadline_ns, *body])
        return packed

    def send(self, operation: int, *body: Any, **settings: Any) -> None:
        """Send one request; the settings are `message`'s."""
        self.socket.sendall(framed(self.message(operation, *body, **settings)))

    def request(self, operation: int, *body: Any, instance_id: int | None = None) -> Any:
        """Send one request and return the body of the next answer; an error as `[code, text]`."""
        self.send(operation, *body, instance_id=instance_id)
        return self.answer()[2]

    def answer(self) -> list[Any]:
        """Return the next answer."""
        answer: list[Any] = protocol.unpack(self.frame())
        return answer

    def frame(self) -> bytes:
        """Return the body of the next frame."""
        flags, length = self._take(2)
        if flags & 2:
            length = int.from_bytes(bytes([length]) + self._take(7))
        return self._take(length)

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            data = self.socket.recv(MB)
            if not data:
                raise EOFError
            self._received += data
        taken, self._received = self._received[:size], self._received[size:]
        return taken


def opened(runtime_dir: str, count: int, timeout_s: float) -> Iterator[RawClient]:
    """Yield the given number of clients, or as many as the daemon admits."""
    for _ in range(count):
        try:
            yield RawClient(runtime_dir, timeout_s=timeout_s)
        except (OSError, EOFError, RefusedError):
            return


def framed(body: bytes) -> bytes:
    """Return a message behind its header."""
    if len(body) < LONG_FRAME:
        return bytes((0, len(body))) + body
    return b"\x02" + struct.pack(">Q", len(body)) + body


def unfinished(runtime_dir: str, port: int) -> list[RawClient]:
    """Send six messages of 200 MB, of which 50 MB come."""
    del port
    clients = []
    for client in opened(runtime_dir, 6, 0.3):
        clients.append(client)
        with contextlib.suppress(OSError):
            client.socket.sendall(b"\x02" + struct.pack(">Q", 200 * MB) + bytes(50 * MB))
    return clients


def many_unfinished(runtime_dir: str, port: int) -> list[RawClient]:
    """Open two hundred connections, each with 20 MB of a message of 30 MB."""
    del port
    clients = []
    for client in opened(runtime_dir, 200, 0.02):
        clients.append(client)
        with contextlib.suppress(OSError):
            client.socket.sendall(b"\x02" + struct.pack(">Q", 30 * MB) + bytes(20 * MB))
    return clients


def small_unfinished(runtime_dir: str, port: int) -> list[RawClient]:
    """Open connections with a message of 60 KB that lacks its last byte."""
    del port
    clients = []
    for client in opened(runtime_dir, 300, 0.02):
        clients.append(client)
        with contextlib.suppress(OSError):
            client.socket.sendall(b"\x02" + struct.pack(">Q", 60_000) + bytes(59_999))
    return clients


def small_objects(runtime_dir: str, port: int) -> list[RawClient]:
    """Send messages of millions of empty lists."""
    client = RawClient(runtime_dir)
    with contextlib.suppress(RefusedError):  # where others of this user hold all of its share
        session = client.attach(port)
        for _ in range(4):
            body = (
                client.message(protocol.GET_MANY, session, [])[:-1] + b"\xdd" + struct.pack(">I", 8_000_000)
            )
            client.socket.settimeout(_SETUP_S)
            with contextlib.suppress(OSError):
                client.socket.sendall(framed(body + b"\x90" * 8_000_000))
    return [client]


def large_batches(runtime_dir: str, port: int) -> list[RawClient]:
    """Send batches of 200,000 commands."""
    client = RawClient(runtime_dir, timeout_s=20)
    commands = [[b"SET", b"k", b"v"]] * 200_000
    with contextlib.suppress(RefusedError):
        session = client.attach(port)
        for _ in range(3):
            with contextlib.suppress(OSError):
                client.send(protocol.BATCH, session, False, commands)
    return [client]


def queued(runtime_dir: str, port: int) -> list[RawClient]:
    """Send requests of 20 MB, more than the server takes."""
    clients = []
    for client in opened(runtime_dir, 3, 0.3):
        clients.append(client)
        with contextlib.suppress(OSError, RefusedError):
            session = client.attach(port, lazy_connect=True)
            for _ in range(8):
                client.send(protocol.COMMAND, session, [b"SET", b"k", bytes(20 * MB)])
    return clients


def echoed(runtime_dir: str, port: int) -> list[RawClient]:
    """Send requests of 20 MB whose answers are as long, twenty on each connection; do not read."""
    clients = []
    for client in opened(runtime_dir, 3, 0.3):
        clients.append(client)
        with contextlib.suppress(OSError, RefusedError):
            session = client.attach(port)
            for _ in range(20):
                client.send(protocol.COMMAND, session, [b"ECHO", bytes(20 * MB)])
    return clients


def long_replies(runtime_dir: str, port: int) -> list[RawClient]:
    """Ask for 20 MB many times, sometimes on separate connections, and do not read the answers."""
    clients = []
    for client in opened(runtime_dir, 24, 0.3):
        clients.append(client)
        with contextlib.suppress(OSError, RefusedError):
            session = client.attach(port)
            client.send(
                protocol.COMMAND, session, [b"APPEND", b"long", bytes(20 * MB if client is clients[0] else 0)]
            )
            for _ in range(4):
                client.send(protocol.COMMAND, session, [b"GET", b"long"])
                client.send(protocol.COMMAND, session, [b"LRANGE", b"long list", b"0", b"-1"])
            client.send(
                protocol.COMMAND, session, [b"BLMOVE", b"long list", b"long list", b"LEFT", b"LEFT", b"1"]
            )
    return clients


def half_replies(runtime_dir: str, port: int) -> list[RawClient]:
    """Run a server that announces replies of 400 MB, and sends 40 MB of each on 24 connections."""
    del port
    halves_port = _start_server_of_halves()
    clients = []
    for client in opened(runtime_dir, 24, 0.3):
        clients.append(client)
        with contextlib.suppress(OSError, RefusedError):
            session = client.attach(halves_port)
            client.send(protocol.COMMAND, session, [b"BLPOP", b"k", b"0"])
    time.sleep(3)
    return clients


def given_up_replies(runtime_dir: str, port: int) -> list[RawClient]:
    """Ask for replies of 400 MB, one after another, and give each up when 40 MB have come: time out, or leave."""
    del port
    halves_port = _start_server_of_halves()
    for command in (b"BLPOP", b"GET"):
        for number in range(6):
            client = RawClient(runtime_dir, timeout_s=5)
            times_out = number % 2 == 0
            # Where others of this user hold all of its share, the attachment is refused.
            with contextlib.suppress(OSError, RefusedError):
                session = client.attach(halves_port, request_timeout_ms=20_000)
                client.send(
                    protocol.COMMAND, session, [command, b"k", b"0"], deadline_s=1 if times_out else _FAR_S
                )
                if times_out:
                    client.answer()
                else:
                    time.sleep(1)
            client.socket.close()
    return []


def _start_server_of_halves() -> int:
    """Start a server that announces replies of 400 MB, and sends 40 MB of each. Return its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_answer_by_halves, args=(listener,), daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def _answer_by_halves(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer_one_by_halves, args=(connection,), daemon=True).start()


def _answer_one_by_halves(connection: socket.socket) -> None:
    reader = Reader()
    while data := connection.recv(65_536):
        reader.feed(data)
        while (command := reader.gets()) is not INCOMPLETE:
            name = command[0].upper()
            if name in {b"BLPOP", b"GET"}:
                with contextlib.suppress(OSError):  # the daemon closes the connection
                    connection.sendall(b"*2\r\n$1\r\nk\r\n$400000000\r\n" + bytes(40 * MB))
            elif name in {b"PING", b"ECHO"}:
                connection.sendall(
                    b"+PONG\r\n" if name == b"PING" else b"$%d\r\n%s\r\n" % (len(command[1]), command[1])
                )
            else:
                connection.sendall(b"-ERR unknown\r\n" if name in {b"HELLO", b"ROLE"} else b"+OK\r\n")


def queued_small(runtime_dir: str, port: int) -> list[RawClient]:
    """Send requests of 20 KB, as many as may be open, on many connections."""
    clients = []
    for client in opened(runtime_dir, 20, 0.3):
        clients.append(client)
        with contextlib.suppress(OSError, RefusedError):
            session = client.attach(port, lazy_connect=True)
            for _ in range(4_000):
                client.send(protocol.COMMAND, session, [b"SET", b"k", bytes(20_000)])
    return clients


def unread(runtime_dir: str, port: int) -> list[RawClient]:
    """Ask for answers of 4 MB, and do not read them."""
    clients = []
    for client in opened(runtime_dir, 4, 0.3):
        clients.append(client)
        with contextlib.suppress(OSError, RefusedError):
            session = client.attach(port)
            for _ in range(60):
                client.send(protocol.COMMAND, session, [b"GETRANGE", b"big", b"0", b"-1"])
    return clients


def long_texts(runtime_dir: str, port: int) -> list[RawClient]:
    """Send ATTACH with texts of a megabyte and more."""
    client = RawClient(runtime_dir, timeout_s=1)
    with contextlib.suppress(OSError):
        for number in range(20):
            password = "x" * (number * 300_000)
            spec = {"mode": "standalone", "addresses": [["127.0.0.1", port]], "password": password}
            client.send(protocol.ATTACH, spec)
    return [client]


def scalars(runtime_dir: str, port: int) -> list[RawClient]:
    """Send a flood of small requests, and do not read the answers."""
    del port
    client = RawClient(runtime_dir, timeout_s=1)
    with contextlib.suppress(OSError):
        for _ in range(5_000):
            client.send(protocol.STATS)
    return [client]


ABUSERS: dict[str, Callable[[str, int], list[RawClient]]] = {
    abuser.__name__: abuser
    for abuser in (
        unfinished,
        many_unfinished,
        small_unfinished,
        small_objects,
        large_batches,
        queued,
        echoed,
        long_replies,
        half_replies,
        given_up_replies,
        queued_small,
        unread,
        long_texts,
        scalars,
    )
}


def _main() -> None:
    name, runtime_dir, port = sys.argv[1:]
    held = ABUSERS[name](runtime_dir, int(port))
    print("ready", len(held), flush=True)  # noqa: T201 - the test waits for this line
    threading.Event().wait()


if __name__ == "__main__":
    _main()
