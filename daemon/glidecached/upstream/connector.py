"""Making connections: address, TLS, handshake, password and database, by valkey-py, in a thread of their own.

A handshake takes round trips, and a name or a silent host takes seconds: the loop must not wait for them. What comes
back is a connected socket, which the loop then uses by itself.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from valkey.connection import Connection, SSLConnection, UnixDomainSocketConnection
from valkey.exceptions import AuthenticationError, ResponseError, ValkeyError
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from glidecached.upstream.handshake import (
    Greeted,
    HandshakeParser,
    marker_of,
    need_nothing_unread,
    role_of,
    version_of,
)
from glidecached.upstream.target import tls_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop
    from glidecached.upstream.server_version import ServerVersion
    from glidecached.upstream.target import Address, Target

_IDLE_SECONDS = 5.0
_KEEPALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}
_RESP3 = 3
_RESP2 = 2


class ConnectError(Exception):
    """The error for a connection that could not be made. The text names the address and the reason.

    `refused` is true if a server was reached and did not accept the credentials.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Channel:
    """A connected, authenticated, non-blocking socket, whose database is selected. `close` it exactly once.

    `server_version` is what the server reported about itself, if anything. `marker` is the command that returns its
    argument, which proves to which calls replies belong; None where the server refuses both such commands. `role` is
    `b"master"`, `b"slave"` or another, as the server reports it; None where it does not.
    """

    socket: socket.socket
    address: Address
    resp_version: int
    _owner: Any
    server_version: ServerVersion | None = None
    marker: bytes | None = b"ECHO"
    role: bytes | None = None

    def close(self) -> None:
        """Close the socket. Never raises."""
        self._owner.disconnect()


class Attempt:
    """One attempt to connect, in a helper thread; `done` is called in the loop, unless it was abandoned."""

    def __init__(
        self,
        loop: Loop,
        target: Target,
        timeout_ms: int,
        done: Callable[[Channel | ConnectError], object],
    ) -> None:
        self._loop = loop
        self._target = target
        self._timeout_seconds = timeout_ms / 1000
        self._done: Callable[[Channel | ConnectError], object] | None = done
        _HELPERS.start(self._run)

    def abandon(self) -> None:
        """Close the connection if it is made, and do not call `done`."""
        self._done = None

    def _run(self) -> None:
        result: Channel | ConnectError
        try:
            result = connect(self._target, self._timeout_seconds)
        except ConnectError as error:
            result = error
        except Exception as error:  # noqa: BLE001 - whatever it was, a caller waits for the outcome
            result = ConnectError(f"{_names(self._target)}: {type(error).__name__}: {error}")
        self._loop.call_from_thread(self._finish, result)

    def _finish(self, result: Channel | ConnectError) -> None:
        if self._done is not None:
            self._done(result)
        elif isinstance(result, Channel):
            result.close()


class _HelperThreads:
    """The threads that wait for handshakes. They are reused: starting a thread delays the loop by milliseconds.

    They are daemon threads: a host that never answers must not keep the process from ending.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._idle = 0

    def start(self, function: Callable[[], object]) -> None:
        """Call the function in an idle thread, or in a new one."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                self._work.put(function)
                return
        threading.Thread(
            target=self._serve, args=(function,), name="glidecached-connect", daemon=True
        ).start()

    def _serve(self, function: Callable[[], object]) -> None:
        while True:
            function()
            with self._lock:
                self._idle += 1
            try:
                function = self._work.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        return
                function = self._work.get()  # a caller counted on it meanwhile: its work is there


_HELPERS = _HelperThreads()


def connect(target: Target, timeout_seconds: float) -> Channel:
    """Connect to the first of the target's servers that is reachable and, of several, the primary.

    Names are resolved now, whatever they were before. Blocks up to `timeout_seconds` for each step of an address:
    connection, TLS handshake and conversation. Raises `ConnectError` with every address's reason.
    """
    reasons = []
    refused = False
    for address in target.addresses:
        channel = None
        try:
            channel = _connect_to(address, target, timeout_seconds)
            if len(target.addresses) == 1 or _is_primary(channel):
                channel.socket.setblocking(False)
                return channel
        except (ValkeyError, OSError) as error:
            if channel is not None:
                channel.close()
            reasons.append(_reason(address, error, target))
            refused = refused or isinstance(error, AuthenticationError)
            continue
        channel.close()
        reasons.append(f"{address}: a replica, not the primary")
    raise ConnectError("; ".join(reasons), refused=refused)


def _connect_to(address: Address, target: Target, timeout_seconds: float) -> Channel:
    """Connect with RESP3 where the server supports it, as GLIDE's clients expect, otherwise with RESP2.

    Older or restricted servers support only RESP2.
    """
    try:
        return _handshake(address, target, timeout_seconds, _RESP3)
    except ResponseError:
        return _handshake(address, target, timeout_seconds, _RESP2)


def _handshake(address: Address, target: Target, timeout_seconds: float, resp_version: int) -> Channel:
    credentials = target.credentials
    options: dict[str, Any] = {
        "db": target.database,
        "username": credentials.username,
        "password": credentials.password,
        "protocol": resp_version,
        "parser_class": HandshakeParser,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        # No CLIENT SETINFO: not every server has it (contract C16).
        "lib_name": None,
        "lib_version": None,
    }
    # Any: valkey-py's connections are partly untyped.
    kind: Any
    if address.is_unix:
        kind = _UnixConnection
        options["path"] = address.host
    else:
        kind = _TcpConnection if credentials.tls is None else _TlsConnection
        options |= {
            "host": address.host,
            "port": address.port,
            "socket_keepalive": True,
            "socket_keepalive_options": _KEEPALIVE,
        }
    with tls_options(credentials.tls) as tls:
        connection = kind(**options, **tls)
        try:
            connection.connect()
            channel = Channel(
                connection._sock,
                address,
                resp_version,
                connection,
                server_version=version_of(connection),
                marker=marker_of(connection),
                role=role_of(connection),
            )
            need_nothing_unread(connection)
        except (AttributeError, TypeError) as error:
            # valkey-py assumes that an answer has the type that belongs to the command.
            connection.disconnect()
            message = f"the server's answer in the handshake is unusable: {error}"
            raise ValkeyConnectionError(message) from error
        except BaseException:
            connection.disconnect()
            raise
    return channel


class _TcpConnection(Greeted, Connection):
    pass


class _TlsConnection(Greeted, SSLConnection):
    def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:
        """Make the TLS handshake. The time-out ends it even if the server sends byte by byte."""
        # The TLS socket takes this one's place; its connection can be ended through another descriptor.
        with sock.dup() as other:
            guard = threading.Timer(self.socket_timeout or 0.0, _end, (other,))
            guard.daemon = True
            guard.start()
            try:
                parent: Any = super()
                return parent._wrap_socket_with_ssl(sock)
            finally:
                guard.cancel()
                guard.join()


class _UnixConnection(Greeted, UnixDomainSocketConnection):
    pass


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _is_primary(channel: Channel) -> bool:
    """Return whether the server is the primary; one that does not report its role counts as the primary.

    Of several given servers only the primary takes writes.
    """
    return channel.role in {None, b"master"}


def _reason(address: Address, error: Exception, target: Target) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, AuthenticationError):
        # valkey-py strips the server's own code from its text.
        if target.credentials.password is None:
            text = f"the server asks for a password (NOAUTH): {text}"
        else:
            text = f"the server refused the user name or the password (WRONGPASS): {text}"
    return text if str(address) in text else f"{address}: {text}"


def _names(target: Target) -> str:
    return ", ".join(str(address) for address in target.addresses)
