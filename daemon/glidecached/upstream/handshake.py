"""The conversation on a connection before the loop has it: read within bounds, with the server's self-description."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from valkey._parsers import BaseParser
from valkey.exceptions import BusyLoadingError, ResponseError
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.resp import INCOMPLETE, Reader, UnreadableError
from glidecached.upstream.server_version import ServerVersion, from_hello, from_info

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_MOST_BYTES = 1_048_576
"""The most that a server may send in a handshake; INFO's section is some 2 KB."""

_READ_BYTES = 16_384
_PROBE = b"glidecached:marker"
_ROLES = {b"replica": b"slave"}
_NOT_NOW = ("BUSY", "LOADING", "MASTERDOWN")


class HandshakeParser(BaseParser):
    """The parser that reads replies for valkey-py, all within one time-out, and no more than 1 MB."""

    def __init__(self, socket_read_size: int) -> None:
        del socket_read_size
        self._socket: socket.socket | None = None
        self._reader = Reader(_MOST_BYTES)
        self._left_bytes = _MOST_BYTES
        self._end = 0.0

    def on_connect(self, connection: Any) -> None:
        """Begin with a new connection."""
        self._socket = connection._sock
        self._reader = Reader(_MOST_BYTES)
        self._left_bytes = _MOST_BYTES
        self._end = time.monotonic() + connection.socket_timeout

    def on_disconnect(self) -> None:
        """Read no more."""
        self._socket = None

    def read_response(self, **_options: Any) -> Any:
        """Return the next reply, errors as valkey-py's. Raises `OSError`, and valkey-py's `ConnectionError`."""
        try:
            while (reply := self._reader.gets()) is INCOMPLETE:
                self._reader.feed(self._receive())
        except UnreadableError as error:
            message = f"the server's answer in the handshake cannot be read: {error}"
            raise ValkeyConnectionError(message) from error
        if not isinstance(reply, ReplyError):
            return reply
        # Any: valkey-py is partly untyped.
        parser: Any = self
        refusal = parser.parse_error(str(reply))
        if isinstance(refusal, ValkeyConnectionError):
            raise refusal  # including refused credentials; valkey-py itself raises the others
        return refusal

    @property
    def unread_bytes(self) -> int:
        """Return the number of received bytes that answer no command."""
        return self._reader.unread_bytes

    def _receive(self) -> bytes:
        left_seconds = self._end - time.monotonic()
        if self._socket is None:
            message = "the connection is closed"
            raise ValkeyConnectionError(message)
        if left_seconds <= 0:
            message = "the handshake took too long"
            raise TimeoutError(message)
        self._socket.settimeout(left_seconds)
        data = self._socket.recv(_READ_BYTES)
        if not data:
            message = "closed by the server"
            raise ValkeyConnectionError(message)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            message = f"the server sent more than {_MOST_BYTES} bytes in the handshake"
            raise ValkeyConnectionError(message)
        return data


class Greeted:
    """A connection that keeps the reply to HELLO, which valkey-py reads and forgets."""

    greeting: dict[bytes, Any] | None = None

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Return the next reply; a map is HELLO's."""
        parent: Any = super()
        response = parent.read_response(*arguments, **options)
        if self.greeting is None and isinstance(response, dict):
            self.greeting = response
        return response


def version_of(connection: Any) -> ServerVersion | None:
    """Return the server's name and version: from HELLO, or from INFO where the server allows that."""
    if connection.greeting is not None:
        return from_hello(connection.greeting)
    version: ServerVersion | None = _ask(connection, from_info, "INFO", "server")
    return version


def role_of(connection: Any) -> bytes | None:
    """Return `b"master"`, `b"slave"` or another role, by HELLO or by ROLE; None where the server reports none."""
    role = None if connection.greeting is None else connection.greeting.get(b"role")
    if role is None:
        role = _ask(connection, _first, "ROLE")
    return _ROLES.get(role, role) if isinstance(role, bytes) else None


def marker_of(connection: Any) -> bytes | None:
    """Return the command whose reply repeats its argument, to prove the order of replies; None if none is allowed."""
    for command in (b"ECHO", b"PING"):
        connection.send_command(command, _PROBE)
        try:
            reply = connection.read_response(disconnect_on_error=False)
        except BusyLoadingError:
            return command  # the server will allow it when it has loaded its data
        except ResponseError as error:
            if str(error).startswith(_NOT_NOW):
                return command
            continue
        if reply == _PROBE:
            return command
        message = f"the server answered {command.decode()} by {reply!r:.60}: its replies are out of step"
        raise ValkeyConnectionError(message)
    return None


def need_nothing_unread(connection: Any) -> None:
    """Raise valkey-py's `ConnectionError` if the server has sent more than it was asked for."""
    if connection._parser.unread_bytes:
        message = "the server sent more in the handshake than it was asked for: its replies are out of step"
        raise ValkeyConnectionError(message)


def _first(reply: Any) -> Any:
    return reply[0] if isinstance(reply, list) and reply else None


def _ask(connection: Any, read: Callable[[Any], Any], *command: str) -> Any:
    connection.send_command(*command)
    try:
        return read(connection.read_response())
    except ResponseError:
        return None
