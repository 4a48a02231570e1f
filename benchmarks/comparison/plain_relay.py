"""The least that a request through a second process can cost: a relay on a plain Unix socket, one thread, no checks.

It takes one command at a time from each client, and hands on each reply's bytes. What is between this and asking the
server directly is two more wake-ups; what is between this and the daemon is what the daemon does.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
import struct
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import libvalkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LENGTH = struct.Struct(">I")
_READ_BYTES = 1 << 16
_READY_TIMEOUT_S = 30


@contextmanager
def plain_relay(directory: Path, server: tuple[str, int]) -> Iterator[str]:
    """Run a relay in a process of its own, in front of the server; yield the path of its socket."""
    path = str(directory / "plain-relay.sock")
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(path, server, there), daemon=True)
    process.start()
    there.close()
    try:
        assert here.poll(_READY_TIMEOUT_S), "the relay did not start in time"
        here.recv()
        yield path
    finally:
        process.kill()
        process.join()
        here.close()


class PlainClient:
    """A client that sends packed commands to a plain relay, one at a time."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)

    def ask(self, command: tuple[bytes, ...]) -> bytes:
        """Return the bulk string that the server answers; a short one, which comes in one piece."""
        self._socket.send(libvalkey.pack_command(command))
        frame = self._socket.recv(_READ_BYTES)
        assert len(frame) == _LENGTH.size + _LENGTH.unpack_from(frame)[0]
        return frame[_LENGTH.size :]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _serve(path: str, server: tuple[str, int], ready: Any) -> None:
    upstream = socket.create_connection(server)
    upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    poller = select.epoll()
    poller.register(listener.fileno(), select.EPOLLIN)
    poller.register(upstream.fileno(), select.EPOLLIN)
    reader = libvalkey.Reader(notEnoughData=Ellipsis)
    clients: dict[int, socket.socket] = {}
    waiting: deque[socket.socket] = deque()
    ready.send(None)
    while True:
        commands = []
        for descriptor, _ in poller.poll():
            if descriptor == upstream.fileno():
                reader.feed(upstream.recv(_READ_BYTES))
                while (reply := reader.gets()) is not Ellipsis:
                    waiting.popleft().send(_LENGTH.pack(len(reply)) + reply)
            elif descriptor == listener.fileno():
                client, _ = listener.accept()
                clients[client.fileno()] = client
                poller.register(client.fileno(), select.EPOLLIN)
            elif command := clients[descriptor].recv(_READ_BYTES):
                commands.append(command)
                waiting.append(clients[descriptor])
            else:
                poller.unregister(descriptor)
                clients.pop(descriptor).close()
        if commands:
            upstream.sendall(b"".join(commands))
