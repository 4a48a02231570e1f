"""The fallback without a daemon: commands go to the client's own servers, uncached (architecture, failure model).

Only this module imports `valkey`, and only when there is no daemon. Connections are pooled here too. So commands that
would change a connection for later callers are refused, as the daemon refuses them.
"""

from __future__ import annotations

import contextlib
import os
import select
import time

from glidecache.core.resp_reader import MalformedReplyError, ReplyReader
from glidecache.core.transport_errors import error_for_reply
from glidecache.errors import ConnectionError, ExecAbortError, RequestError, TimeoutError
from glidecache_shared.command_table import row_of
from glidecache_shared.protocol import ReplyError
from glidecache_shared.wire.dealer import forks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from glidecache.core.settings import Settings
    from glidecache.errors import GlideError

    Arguments = Sequence[bytes]

_MAX_IDLE = 16
_READ_BYTES = 262_144
_SHORTEST_SECONDS = 0.001
_LONGEST_SECONDS = 86_400.0
"""The limit of a socket's time-out. A command that may block without end has one of a year, which is too long."""


class DirectFallback:
    """The client's own servers. Subclasses say how to wait. Safe for threads and forks, as the subclasses are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: dict[Hashable, list[Any]] = {}

    async def command(self, args: Arguments, timeout_seconds: float) -> Any:
        """Run one command and return its reply. Raises `RequestError` and its kin."""
        _need_allowed(args)
        reply = (await self._talk([args], timeout_seconds))[0]
        if isinstance(reply, ReplyError):
            raise error_for_reply(str(reply))
        return reply

    async def batch(self, commands: Sequence[Arguments], timeout_seconds: float, *, atomic: bool) -> Any:
        """Run a pipeline or a transaction. Return the replies, `ReplyError` for failed commands. Raises as `command`.

        None for a transaction that the server did not run because a watched key had changed.
        """
        for args in commands:
            _need_allowed(args)
        if not atomic:
            return await self._talk(commands, timeout_seconds)
        replies = await self._talk([(b"MULTI",), *commands, (b"EXEC",)], timeout_seconds)
        outcome = replies[-1]
        if isinstance(outcome, ReplyError):
            causes = [str(reply) for reply in replies[:-1] if isinstance(reply, ReplyError)]
            if str(outcome).startswith("EXECABORT"):
                raise ExecAbortError(f"{outcome} ({causes[0]})" if causes else str(outcome))
            raise RequestError(causes[0] if causes else str(outcome))
        return outcome

    async def close(self) -> None:
        """Close the idle connections that the caller may close."""
        idle = self._pool()
        while idle:
            await self._drop(idle.pop())

    async def _talk(self, commands: Sequence[Arguments], timeout_seconds: float) -> list[Any]:
        """Send all commands on one connection and return their replies, in order."""
        # The package as a whole, first: its modules import each other in a circle. That breaks when a thread asks for
        # one of them while another thread is half through.
        import valkey  # noqa: F401
        from valkey.exceptions import ValkeyError

        deadline = time.monotonic() + timeout_seconds
        connection = None
        try:
            async with self._limited(timeout_seconds):
                connection = await self._idle_connection()
                if connection is None:
                    connection = await self._connect(deadline)
                replies = await self._exchange(connection, commands, deadline)
        except BaseException as error:
            if connection is not None:
                await self._drop(connection)
            if isinstance(error, (ValkeyError, OSError)) and not isinstance(error, RequestError):
                raise _error_for(error) from error
            raise
        idle = self._pool()
        if len(idle) < _MAX_IDLE:
            idle.append(connection)
        else:
            await self._drop(connection)
        return replies

    async def _exchange(self, connection: Any, commands: Sequence[Arguments], deadline: float) -> list[Any]:
        """Send commands and read their replies. Raises `OSError` for a connection that cannot be used any more."""
        await self._send(connection, commands, deadline)
        reader = ReplyReader()
        replies: list[Any] = []
        while len(replies) < len(commands):
            reply = reader.next_reply()
            if reply:
                replies += reply
                continue
            data = await self._receive(connection, deadline)
            if not data:
                message = "the server closed the connection"
                raise ConnectionResetError(message)
            reader.feed(data)
        if not reader.is_empty:
            message = "the server answered more than it was asked"
            raise MalformedReplyError(message)
        return replies

    async def _idle_connection(self) -> Any:
        """Return an idle connection that is still connected, or None."""
        idle = self._pool()
        while idle:
            connection = idle.pop()
            poll = select.poll()
            poll.register(self._descriptor(connection), select.POLLIN)
            # Readable although nothing was asked: it has ended, or the data is no reply to this client.
            if not poll.poll(0):
                return connection
            await self._drop(connection)
        return None

    async def _connect(self, deadline: float) -> Any:
        """Connect to the first server that answers. Of several servers it must be the primary."""
        from valkey.exceptions import ValkeyError

        problems = []
        addresses = self._settings.addresses
        for host, port in addresses:
            try:
                with _tls_options(self._settings.spec) as tls_options:
                    options = self._options(host, port, _seconds_until(deadline))
                    connection = await self._handshake({**options, **tls_options})
                if len(addresses) == 1 or await self._is_primary(connection, deadline):
                    return connection
            except (ValkeyError, OSError) as error:
                problems.append(f"{host}:{port}: {_text(error)}")
            else:
                await self._drop(connection)
                problems.append(f"{host}:{port}: a replica, not the primary")
        raise ConnectionError("; ".join(problems))

    async def _handshake(self, options: dict[str, Any]) -> Any:
        """Agree on RESP3 if the server speaks it, on RESP2 with older or restricted servers: as the daemon."""
        from valkey.exceptions import ResponseError

        connection = self._make({**options, "protocol": 3})
        try:
            await self._open(connection)
        except ResponseError:
            connection = self._make({**options, "protocol": 2})
            await self._open(connection)
        return connection

    async def _is_primary(self, connection: Any, deadline: float) -> bool:
        role = (await self._exchange(connection, [(b"ROLE",)], deadline))[0]
        # A server that does not say counts as the primary.
        return isinstance(role, ReplyError) or role[0] == b"master"

    def _options(self, host: str, port: int, timeout_seconds: float) -> dict[str, Any]:
        spec = self._settings.spec
        return {
            "host": host,
            "port": port,
            "db": spec["database_id"],
            "username": spec["username"],
            "password": spec["password"],
            "client_name": spec["client_name"],
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": timeout_seconds,
            # No CLIENT SETINFO: not every server has it (contract C16).
            "lib_name": None,
            "lib_version": None,
        }

    def _make(self, options: dict[str, Any]) -> Any:
        """Return a connection object of valkey's; with `ssl_…` options one that speaks TLS."""
        raise NotImplementedError

    def _pool(self) -> list[Any]:
        """Return the idle connections that the caller may use."""
        raise NotImplementedError

    def _limited(self, timeout_seconds: float) -> AbstractAsyncContextManager[object]:
        """Raise the builtin `TimeoutError` if the body takes longer."""
        raise NotImplementedError

    async def _open(self, connection: Any) -> None:
        raise NotImplementedError

    def _descriptor(self, connection: Any) -> int:
        raise NotImplementedError

    async def _send(self, connection: Any, commands: Sequence[Arguments], deadline: float) -> None:
        raise NotImplementedError

    async def _receive(self, connection: Any, deadline: float) -> bytes:
        """Return the next bytes to arrive; none when the connection has ended."""
        raise NotImplementedError

    async def _drop(self, connection: Any) -> None:
        raise NotImplementedError


class BlockingFallback(DirectFallback):
    """The servers, for calls of threads. Its coroutines never suspend."""

    def _make(self, options: dict[str, Any]) -> Any:
        from valkey.connection import Connection, SSLConnection

        return (SSLConnection if "ssl_cert_reqs" in options else Connection)(**options)

    def _pool(self) -> list[Any]:
        return self._idle.setdefault(forks(), [])

    def _limited(self, timeout_seconds: float) -> AbstractAsyncContextManager[object]:
        del timeout_seconds  # the socket's own time-out is set before each use
        return contextlib.nullcontext()

    async def _open(self, connection: Any) -> None:
        connection.connect()

    def _descriptor(self, connection: Any) -> int:
        return connection._sock.fileno()  # type: ignore[no-any-return]

    async def _send(self, connection: Any, commands: Sequence[Arguments], deadline: float) -> None:
        connection._sock.settimeout(_seconds_until(deadline))
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)

    async def _receive(self, connection: Any, deadline: float) -> bytes:
        connection._sock.settimeout(_seconds_until(deadline))
        return connection._sock.recv(_READ_BYTES)  # type: ignore[no-any-return]

    async def _drop(self, connection: Any) -> None:
        connection.disconnect()


class AsyncFallback(DirectFallback):
    """The servers, for calls of event loops' tasks."""

    def _make(self, options: dict[str, Any]) -> Any:
        from valkey.asyncio.connection import Connection, SSLConnection

        return (SSLConnection if "ssl_cert_reqs" in options else Connection)(**options)

    def _pool(self) -> list[Any]:
        import asyncio

        return self._idle.setdefault((forks(), asyncio.get_running_loop()), [])

    def _limited(self, timeout_seconds: float) -> AbstractAsyncContextManager[object]:
        import asyncio

        return asyncio.timeout(timeout_seconds)

    async def _open(self, connection: Any) -> None:
        await connection.connect()

    def _descriptor(self, connection: Any) -> int:
        return connection._writer.get_extra_info("socket").fileno()  # type: ignore[no-any-return]

    async def _send(self, connection: Any, commands: Sequence[Arguments], deadline: float) -> None:
        del deadline  # `_limited` holds it
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)

    async def _receive(self, connection: Any, deadline: float) -> bytes:
        del deadline  # `_limited` holds it
        return await connection._reader.read(_READ_BYTES)  # type: ignore[no-any-return]

    async def _drop(self, connection: Any) -> None:
        await connection.disconnect(nowait=True)


def _need_allowed(args: Arguments) -> None:
    refused = row_of(args).refusal
    if refused is not None:
        raise RequestError(refused)


def _seconds_until(deadline: float) -> float:
    return min(max(deadline - time.monotonic(), _SHORTEST_SECONDS), _LONGEST_SECONDS)


def _text(error: Exception) -> str:
    """Return the server's own text: valkey removes the error code if it has a class for it."""
    import valkey.exceptions as kinds

    text = str(error) or type(error).__name__
    codes: dict[type[Exception], str] = {
        kinds.ExecAbortError: "EXECABORT",
        kinds.NoPermissionError: "NOPERM",
        kinds.NoScriptError: "NOSCRIPT",
        kinds.OutOfMemoryError: "OOM",
        kinds.ReadOnlyError: "READONLY",
        kinds.BusyLoadingError: "LOADING",
    }
    code = codes.get(type(error))
    if code is None and type(error) is kinds.AuthenticationError:
        code = "NOAUTH" if "required" in text else "WRONGPASS"
    if code is None and type(error) is kinds.ResponseError and not text.split(" ", 1)[0].isupper():
        code = "ERR"
    return text if code is None else f"{code} {text}"


def _error_for(error: Exception) -> GlideError:
    import valkey.exceptions

    if isinstance(error, (valkey.exceptions.TimeoutError, OSError)) and "imeout" in type(error).__name__:
        return TimeoutError("the server did not answer in time; the command may have run")
    return ConnectionError(_text(error))


@contextlib.contextmanager
def _tls_options(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return valkey's TLS arguments. Python's ssl reads client certificates only from paths: these lead to memory."""
    if not spec["use_tls"]:
        yield {}
        return
    tls: dict[str, Any] = spec["tls"] or {"insecure": False, "ca": None, "cert": None, "key": None}
    with contextlib.ExitStack() as stack:
        paths = {
            name: None if content is None else stack.enter_context(_memory_file(content))
            for name, content in (("cert", tls["cert"]), ("key", tls["key"]))
        }
        yield {
            "ssl_cert_reqs": "none" if tls["insecure"] else "required",
            "ssl_check_hostname": not tls["insecure"],
            "ssl_ca_data": None if tls["ca"] is None else tls["ca"].decode("ascii"),
            "ssl_certfile": paths["cert"],
            "ssl_keyfile": paths["key"],
        }


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("glidecache-pem", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(content)
        yield f"/proc/self/fd/{descriptor}"
