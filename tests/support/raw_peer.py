"""A peer at a daemon's socket that sends any bytes, and sees the daemon's reaction."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Self

import msgpack

from glidecache_shared import protocol
from glidecache_shared.wire.zmtp import Stream, message_header

if TYPE_CHECKING:
    from pathlib import Path

OPENING = Stream(b"DEALER", 1 << 20).opening
PATIENCE_S = 10.0
FAR_S = 30.0
CANCEL: int = getattr(protocol, "CANCEL", 15)


class PeerDroppedError(Exception):
    """The daemon has closed the connection."""


class RawPeer:
    """One connection, its handshake done. A context manager, for one thread."""

    def __init__(self, runtime_dir: Path | str, *, opening: bytes = OPENING, greets: bool = True) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._stream = Stream(b"DEALER", 1 << 30)
        self._ids = itertools.count(1)
        self.instance_id = 0
        self.session_id = 0
        self.pool: dict[str, Any] = {}
        """The file names of its last session's pool."""
        try:
            self._socket.connect(os.path.join(runtime_dir, "glidecached.sock"))  # noqa: PTH118 - either kind
            if opening:
                self._socket.sendall(opening)
            if greets:
                answer = self.result(protocol.HELLO, protocol.PROTOCOL_VERSION, "raw")
                self.instance_id = answer["instance_id"]
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def new_id(self) -> int:
        """Return a number for the next request."""
        return next(self._ids)

    def send_raw(self, data: bytes, timeout_s: float = PATIENCE_S) -> int:
        """Send bytes as they are; return the number that was taken in that time. Raise `PeerDroppedError`."""
        view, sent = memoryview(data), 0
        end = time.monotonic() + timeout_s
        while sent < len(view) and (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                sent += self._socket.send(view[sent : sent + (1 << 20)])
            except TimeoutError:
                break
            except OSError:
                raise PeerDroppedError from None
        return sent

    def send_body(self, body: bytes) -> None:
        """Send one message: its frame around it."""
        self.send_raw(message_header(len(body)) + body)

    def send(self, operation: int, *body: object, deadline_s: float = FAR_S) -> int:
        """Send one request, valid or not; return its number."""
        number = self.new_id()
        deadline_ns = time.monotonic_ns() + int(deadline_s * 1e9)
        self.send_body(
            msgpack.packb([operation, number, self.instance_id, deadline_ns, *body], use_bin_type=True)
        )
        return number

    def answer(self, number: int, timeout_s: float = PATIENCE_S) -> list[Any]:
        """Return the answer to that request. Raise `PeerDroppedError` or `TimeoutError`."""
        end = time.monotonic() + timeout_s
        while True:
            while (message := self._stream.next_message()) is not None:
                reply: list[Any] = msgpack.unpackb(bytes(message), raw=False, strict_map_key=False)
                if reply[0] == number:
                    return reply
            self._socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self._socket.recv(1 << 18)
            except TimeoutError:
                raise
            except OSError:
                raise PeerDroppedError from None
            if not data:
                raise PeerDroppedError
            self._stream.feed(data)

    def result(self, operation: int, *body: object) -> Any:
        """Ask, and return the daemon's result; raise `RuntimeError` with its refusal."""
        _, status, answer = self.answer(self.send(operation, *body))
        if status != protocol.STATUS_OK:
            raise RuntimeError(*answer)
        return answer

    def attach(self, port: int | None = None, **spec: object) -> None:
        """Open a session, of the `default` upstream or of a server of one's own."""
        if port is not None:
            spec["addresses"] = [["127.0.0.1", port]]
        session = self.result(protocol.ATTACH, {"mode": "standalone", **spec})
        self.session_id, self.pool = session["session_id"], session["pool"] or {}

    def lives(self, timeout_s: float = PATIENCE_S) -> bool:
        """Return True if the daemon answers a ping here, False if it has closed the connection; else raise."""
        with contextlib.suppress(PeerDroppedError):
            self.answer(self.send(protocol.PING), timeout_s)
            return True
        return False


def array_header(length: int) -> bytes:
    """Return msgpack's header of an array."""
    return bytes([0x90 | length]) if length < 16 else struct.pack(">BI", 0xDD, length)


def raw_request(parts: list[bytes]) -> bytes:
    """Return a message of parts that are packed already, well or badly."""
    return array_header(len(parts)) + b"".join(parts)
