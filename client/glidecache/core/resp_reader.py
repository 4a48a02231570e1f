"""Servers' replies, read as the daemon reads them: status replies as text, bulk strings as bytes (contract C26).

The libraries' parsers return both as bytes, so the direct fallback has a reader of its own, for RESP2 and RESP3.
"""

from __future__ import annotations

from glidecache_shared.protocol import ReplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LINE_END = b"\r\n"
_LONGEST_LINE = 65_536
_VERBATIM_FORMAT = len(b"txt:")
_UNFINISHED = object()
_SKIP = object()

_STRINGS = b"$=!"
_CONTAINERS = b"*~>%|"
_MAPS = b"%|"
_SKIPPED = b">|"
"""Pushes and attributes are no replies."""


class MalformedReplyError(OSError):
    """A server's answer is not RESP: the data after it cannot be understood."""


class ReplyReader:
    """A reader of replies from bytes as they arrive, nested to any depth. For one connection's answers in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._open: list[tuple[int, int, list[Any]]] = []
        """Containers that are not complete: their kind, the number of their parts, and the parts that have arrived."""

    @property
    def is_empty(self) -> bool:
        """Return whether no data is left over."""
        return self._at == len(self._buffer) and not self._open

    def feed(self, data: bytes) -> None:
        """Add received data."""
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next_reply(self) -> list[Any]:
        """Return the next reply as a list of one, or an empty list while it is not complete.

        Raises `MalformedReplyError`.
        """
        while True:
            try:
                part = self._next_part()
            except (ValueError, UnicodeError) as error:
                message = f"the server's answer is malformed: {error}"
                raise MalformedReplyError(message) from None
            if part is _UNFINISHED:
                return []
            finished = self._add(part)
            if finished:
                return finished

    def _next_part(self) -> Any:
        """Return the next scalar, or the next empty container; `_UNFINISHED` until it has arrived."""
        while True:
            end = self._buffer.find(_LINE_END, self._at)
            if end < 0:
                if len(self._buffer) - self._at > _LONGEST_LINE and self._buffer[self._at] not in b"+-":
                    message = f"a line of more than {_LONGEST_LINE} bytes"
                    raise ValueError(message)
                return _UNFINISHED
            kind = self._buffer[self._at]
            line = bytes(self._buffer[self._at + 1 : end])
            after = end + len(_LINE_END)
            if kind in _STRINGS:
                return self._string(kind, int(line), after)
            self._at = after
            if kind not in _CONTAINERS:
                return _scalar(kind, line)
            count = int(line)
            if count < 0:
                return None
            parts = count * 2 if kind in _MAPS else count
            self._open.append((kind, parts, []))
            if not parts:
                return self._close()

    def _string(self, kind: int, length: int, start: int) -> Any:
        if length < 0:
            self._at = start
            return None
        end = start + length
        if len(self._buffer) < end + len(_LINE_END):
            return _UNFINISHED
        if self._buffer[end : end + len(_LINE_END)] != _LINE_END:
            message = "a string is longer than its length says"
            raise ValueError(message)
        content = bytes(memoryview(self._buffer)[start:end])
        self._at = end + len(_LINE_END)
        if kind == ord("!"):
            return ReplyError(_text(content))
        return content[_VERBATIM_FORMAT:] if kind == ord("=") else content

    def _add(self, part: Any) -> list[Any]:
        """Add a part to its container. Return the reply, as a list of one, if that completes it."""
        while self._open:
            if part is not _SKIP:
                self._open[-1][2].append(part)
            _, wanted, parts = self._open[-1]
            if len(parts) < wanted:
                return []
            part = self._close()
        return [] if part is _SKIP else [part]

    def _close(self) -> Any:
        """Return the innermost container, which is complete."""
        kind, _, parts = self._open.pop()
        if kind in _SKIPPED:
            return _SKIP
        if kind == ord("*"):
            return parts
        items = parts if kind == ord("~") else list(zip(parts[::2], parts[1::2], strict=True))
        try:
            return set(items) if kind == ord("~") else dict(items)
        except TypeError:
            # Python cannot hash a member: return a list of members, or of pairs, as the daemon does.
            return items if kind == ord("~") else [list(item) for item in items]


def _scalar(kind: int, line: bytes) -> Any:
    if kind == ord("+"):
        return _text(line)
    if kind == ord("-"):
        return ReplyError(_text(line))
    if kind == ord(":"):
        return int(line)
    if kind == ord("("):
        return line  # kept as digits: scripts may call any text a big number
    if kind == ord(","):
        return float(line)
    if kind == ord("#") and line in (b"t", b"f"):
        return line == b"t"
    if kind == ord("_"):
        return None
    message = f"{bytes([kind]) + line[:40]!r}"
    raise ValueError(message)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")
