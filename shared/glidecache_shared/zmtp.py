"""ZeroMQ's wire protocol, as far as one DEALER and one ROUTER on one host need it: ZMTP 3.0 without security.

Both sides of the control plane speak it on plain Unix sockets, so that a request wakes as few threads as possible
(docs/design/0011-zmtp-on-plain-sockets.md). libzmq's sockets understand it, and are understood.

Source: https://rfc.zeromq.org/spec/23/ (ZMTP 3.0). A peer sends 64 bytes of greeting, then a READY command, then
messages. A frame is a flags byte, a length of one byte or of eight, and the body.
"""

from __future__ import annotations

import struct

_MORE = 0x01
_LONG = 0x02
_COMMAND = 0x04
_KNOWN_FLAGS = _MORE | _LONG | _COMMAND

_LONG_HEADER = struct.Struct(">BQ")
_SHORT_HEADER_BYTES = 2
_LONGEST_SHORT_BODY = 255
_PROPERTY_LENGTH = struct.Struct(">I")

_GREETING_BYTES = 64
_MECHANISM = slice(12, 32)
_NULL = b"NULL".ljust(20, b"\0")
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + _NULL + bytes(32)
_OLDEST_VERSION = 3

_MAX_COMMAND_BYTES = 4_096
_PARTNERS = {b"DEALER": b"ROUTER", b"ROUTER": b"DEALER"}
"""Who talks to whom. A REQ would send an empty frame before each message, and no message of ours has two."""

SEVERAL_FRAMES = memoryview(b"")
"""Stands for a message of more than one frame: compare by identity."""


class ZmtpError(Exception):
    """The peer does not speak this protocol, and the connection is of no use any more. `args[0]` says why."""


class TooLongError(ZmtpError):
    """The peer announced a message over the limit."""


def message_header(body_bytes: int) -> bytes:
    """What goes before the body of a message."""
    if body_bytes <= _LONGEST_SHORT_BODY:
        return bytes((0, body_bytes))
    return _LONG_HEADER.pack(_LONG, body_bytes)


class Stream:
    """What one connection has received so far, as messages. Does no I/O; for one thread.

    Send `opening` first. `feed` it all that comes, `take` until nothing is left, and send `answers`.
    """

    __slots__ = (
        "_at",
        "_chunks",
        "_data",
        "_greeted",
        "_in_message",
        "_max_message_bytes",
        "_missing",
        "_partner",
        "answers",
        "opening",
        "ready",
    )

    def __init__(self, socket_type: bytes, max_message_bytes: int) -> None:
        self.opening = _GREETING + _command(b"READY", _property(b"Socket-Type", socket_type))
        self.ready = False
        """Whether the peer has introduced itself as one to talk to."""
        self.answers: list[bytes] = []
        """To the peer's heartbeats; whoever sends them removes them."""
        self._partner = _PARTNERS[socket_type]
        self._max_message_bytes = max_message_bytes
        self._greeted = False
        self._in_message = False
        self._data = b""
        self._at = 0
        self._chunks: list[bytes] = []
        self._missing = _GREETING_BYTES

    @property
    def missing_bytes(self) -> int:
        """How many bytes at least have to come before there can be a frame; not positive when there may be one."""
        return self._missing

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._chunks.append(data)
        self._missing -= len(data)

    def take(self) -> memoryview | None:
        """The next message that is complete, `SEVERAL_FRAMES`, or None. Raises `ZmtpError`."""
        while self._missing <= 0:
            if self._chunks:
                self._join()
            if not self._greeted:
                self._check_greeting()
                continue
            frame = self._next_frame()
            if frame is None:
                break
            flags, body = frame
            if flags & _COMMAND:
                self._take_command(bytes(body))
            elif not self.ready:
                message = "a message before READY"
                raise ZmtpError(message)
            elif flags & _MORE:
                self._in_message = True
            elif self._in_message:
                self._in_message = False
                return SEVERAL_FRAMES
            else:
                return body
        return None

    def _join(self) -> None:
        """All that has not been taken in one piece; once for each frame, in however many pieces it came."""
        if self._at < len(self._data):
            self._chunks.insert(0, self._data[self._at :])
        self._data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = []
        self._at = 0

    def _has(self, length: int) -> bool:
        """Whether `length` bytes are there; if not, nothing is looked at before they have come."""
        self._missing = length - (len(self._data) - self._at)
        return self._missing <= 0

    def _check_greeting(self) -> None:
        greeting = self._data[self._at : self._at + _GREETING_BYTES]
        # Between these two bytes stands what the protocol's first version had there.
        if greeting[0] != _GREETING[0] or greeting[9] != _GREETING[9] or greeting[10] < _OLDEST_VERSION:
            message = "not the greeting of ZMTP 3"
            raise ZmtpError(message)
        if greeting[_MECHANISM] != _NULL:
            message = f"the security mechanism {greeting[_MECHANISM]!r}; only NULL is spoken here"
            raise ZmtpError(message)
        self._greeted = True
        self._at += _GREETING_BYTES
        self._has(_SHORT_HEADER_BYTES)

    def _next_frame(self) -> tuple[int, memoryview] | None:
        """Flags and body, or None when the frame is not complete."""
        flags, length = self._data[self._at], self._data[self._at + 1]
        header_bytes = _SHORT_HEADER_BYTES
        if flags & _LONG:
            header_bytes = _LONG_HEADER.size
            if not self._has(header_bytes):
                return None
            _, length = _LONG_HEADER.unpack_from(self._data, self._at)
        if flags & ~_KNOWN_FLAGS:
            message = f"a frame with the unknown flags {flags:#04x}"
            raise ZmtpError(message)
        if length > (self._max_message_bytes if self.ready and not flags & _COMMAND else _MAX_COMMAND_BYTES):
            message = f"a frame of {length} bytes"
            raise TooLongError(message)
        if not self._has(header_bytes + length):
            return None
        start = self._at + header_bytes
        self._at = start + length
        self._has(_SHORT_HEADER_BYTES)
        return flags, memoryview(self._data)[start : start + length]

    def _take_command(self, body: bytes) -> None:
        name, content = _split(body)
        if name == b"READY" and not self.ready:
            socket_type = _properties(content).get(b"socket-type")
            if socket_type != self._partner:
                message = f"a {socket_type!r} socket, where a {self._partner!r} is expected"
                raise ZmtpError(message)
            self.ready = True
        elif name == b"PING":
            self.answers.append(_command(b"PONG", content[2:]))  # without the peer's time to live
        elif name == b"ERROR":
            message = f"the peer refused: {content[1:]!r}"
            raise ZmtpError(message)
        elif not self.ready:
            message = f"the command {name!r} before READY"
            raise ZmtpError(message)
        # What else a later version may have does not ask for an answer.


def _command(name: bytes, content: bytes) -> bytes:
    body = bytes((len(name),)) + name + content
    if len(body) <= _LONGEST_SHORT_BODY:
        return bytes((_COMMAND, len(body))) + body
    return _LONG_HEADER.pack(_COMMAND | _LONG, len(body)) + body


def _split(text: bytes) -> tuple[bytes, bytes]:
    """A name behind a byte with its length, and what follows. Raises `ZmtpError`."""
    length = text[0] if text else 0
    if not 0 < length < len(text):
        message = "a command or property without a name"
        raise ZmtpError(message)
    return text[1 : length + 1], text[length + 1 :]


def _property(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + _PROPERTY_LENGTH.pack(len(value)) + value


def _properties(content: bytes) -> dict[bytes, bytes]:
    """A READY's properties by their names in lower case. Raises `ZmtpError`."""
    found = {}
    while content:
        name, content = _split(content)
        if len(content) < _PROPERTY_LENGTH.size:
            message = f"the property {name!r} has no value"
            raise ZmtpError(message)
        (length,) = _PROPERTY_LENGTH.unpack_from(content)
        value, content = content[4 : 4 + length], content[4 + length :]
        if len(value) < length:
            message = f"the property {name!r} is cut short"
            raise ZmtpError(message)
        found[name.lower()] = value
    return found
