"""The bare ZeroMQ relay that misses are measured against: DEALER to ROUTER to one pipelined socket, and nothing else.

No deadlines, no checks, no cache, no msgpack: only the cost of a request that has to go through a second process. It
forwards the commands that wait in one write, and gives each reply's bytes to the client whose turn it is. A command
that several clients send while it is in flight is forwarded once (`fan_out`).
"""

from __future__ import annotations

import multiprocessing
import select
import socket
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import libvalkey
import zmq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_READ_BYTES = 1 << 18
_COPY_BELOW_BYTES = 65_536
_READY_TIMEOUT_S = 30


@contextmanager
def relay(directory: Path, server: tuple[str, int]) -> Iterator[str]:
    """Run a relay in a process of its own, in front of the server; yield its ZeroMQ endpoint."""
    endpoint = f"ipc://{directory / 'relay.sock'}"
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(endpoint, server, there), daemon=True)
    process.start()
    there.close()
    try:
        assert here.poll(_READY_TIMEOUT_S), "the relay did not start in time"
        here.recv()
        yield endpoint
    finally:
        process.kill()
        process.join()
        here.close()


class RelayClient:
    """A DEALER that sends packed commands to a relay, one at a time."""

    def __init__(self, endpoint: str) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)

    def ask(self, command: tuple[bytes, ...]) -> bytes:
        """Return the bulk string that the server answers."""
        self._socket.send(libvalkey.pack_command(command))
        return self._socket.recv()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _serve(endpoint: str, server: tuple[str, int], ready: Any) -> None:
    upstream = socket.create_connection(server)
    upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    upstream.setblocking(False)
    router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    router.bind(endpoint)
    poller = select.epoll()
    poller.register(router.FD, select.EPOLLIN)
    poller.register(upstream.fileno(), select.EPOLLIN)
    reader = libvalkey.Reader(notEnoughData=Ellipsis)
    buffer = bytearray(_READ_BYTES)
    in_flight: dict[bytes, list[bytes]] = {}
    order: deque[bytes] = deque()
    ready.send(None)
    while True:
        poller.poll()
        _take_replies(upstream, router, reader, buffer, in_flight, order)
        commands = _take_commands(router, in_flight)
        order.extend(commands)
        if commands:
            upstream.setblocking(True)
            upstream.sendall(b"".join(commands))
            upstream.setblocking(False)


def _take_commands(router: zmq.Socket[bytes], in_flight: dict[bytes, list[bytes]]) -> list[bytes]:
    commands: list[bytes] = []
    while True:
        try:
            identity = router.recv(zmq.NOBLOCK)
        except zmq.Again:
            return commands
        command = router.recv()
        if command in in_flight:
            in_flight[command].append(identity)
        else:
            in_flight[command] = [identity]
            commands.append(command)


def _take_replies(
    upstream: socket.socket,
    router: zmq.Socket[bytes],
    reader: Any,
    buffer: bytearray,
    in_flight: dict[bytes, list[bytes]],
    order: deque[bytes],
) -> None:
    while True:
        try:
            size_bytes = upstream.recv_into(buffer)
        except BlockingIOError:
            return
        if not size_bytes:
            message = "the server closed the relay's connection"
            raise ConnectionError(message)
        reader.feed(buffer, 0, size_bytes)
        while (reply := reader.gets()) is not Ellipsis:
            for identity in in_flight.pop(order.popleft()):
                router.send(identity, zmq.SNDMORE)
                router.send(reply, copy=len(reply) < _COPY_BELOW_BYTES)
