"""Connections that misbehave: they keep to ZMTP, bend it, or break it, and a campaign's messages go through them."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from glidecache_shared.wire.zmtp import Stream, ZmtpError, message_header

if TYPE_CHECKING:
    import random

OPENING = Stream(b"DEALER", 1 << 20).opening
_SEND_SECONDS = 30

BROKEN_FRAMES = (
    b"\x08\x01x",  # a flag that does not exist
    b"\x02\xff\xff\xff\xff\xff\xff\xff\xff",  # longer than anything
    struct.pack(">BQ", 2, 1 << 40),
    struct.pack(">BQ", 6, 1 << 20),  # a long command
    b"\x04\x00",  # a command without a name
    b"\x04\x06\x05ERROR\x00",
    b"\x04\x04\x04PING",  # cut short
    b"\x00",  # half a header
    b"\x02\x00\x00",
    b"\x00\xffhalf a message",
)
KEPT_FRAMES = (
    b"\x04\x07\x04PING\x00\x00",
    b"\x04\x0c\x09SUBSCRIBExx",  # of a later version
    b"\x01\x01a\x00\x01b",  # two frames
    b"\x01\x00\x01\x00\x00\x00",
)
BROKEN_OPENINGS = (
    b"",
    b"GET / HTTP/1.1\r\n\r\n" * 5,
    b"\xff" + bytes(63),
    OPENING[:10],
    OPENING[:64],
    OPENING[:64] + b"\x00\x05early",
    OPENING[:12] + b"CURVE" + OPENING[17:],
    OPENING[:64] + b"\x04\x06\x05READY",
    OPENING[:64] + b"\x04\x1f\x05READY\x0bSocket-Type\x00\x00\x00\xffDEALER",
    OPENING.replace(b"DEALER", b"ROUTER"),
)


class HostilePeer:
    """One connection. `send` waits for the daemon to take what it is sent; answers are read and thrown away."""

    def __init__(self, path: str, opening: bytes = OPENING) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        # Not `settimeout`: with that, Python would wait for what is asked for without waiting.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self._socket.connect(path)
        self.broken = False
        self._stream = Stream(b"DEALER", 1 << 30)
        self._put(opening)

    def send(self, body: bytes) -> None:
        """One message."""
        self._put(message_header(len(body)) + body)

    def send_raw(self, data: bytes, random: random.Random) -> None:
        """Bytes as they are, in pieces."""
        at = random.randrange(len(data) + 1)
        self._put(data[:at])
        self._put(data[at:])

    def answers(self) -> list[bytes | memoryview]:
        """The answers that have come."""
        found: list[bytes | memoryview] = []
        with contextlib.suppress(BlockingIOError, ConnectionError, ZmtpError):
            while True:
                data = self._socket.recv(1 << 18, socket.MSG_DONTWAIT)
                if not data:
                    self.broken = True
                    break
                self._stream.feed(data)
        with contextlib.suppress(ZmtpError):
            while (message := self._stream.next_message()) is not None:
                found.append(message)
        return found

    def close(self) -> None:
        self._socket.close()

    def _put(self, data: bytes) -> None:
        """Send, and go on reading meanwhile: who does not read is another peer."""
        if self.broken or not data:
            return
        try:
            self._socket.sendall(data)
        except ConnectionError:
            self.broken = True
