"""Watched keys: a thread or an event loop has read them and builds a transaction on them (`WATCH`).

The daemon keeps a connection for each watch, under a number that is chosen here. A transaction names its watch, so
it is never run without it: not by a daemon that has lost the watch, nor by the next daemon, nor directly.
"""

from __future__ import annotations

import os

from glidecache.commands.decoding import to_status
from glidecache.commands.encoding import encode_each
from glidecache.errors import ConnectionError, GlideError, RequestError
from glidecache_shared import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Literal

    from glidecache.commands.encoding import Argument
    from glidecache.core.connection import Connections
    from glidecache.core.fallback import DirectFallback
    from glidecache.core.session import Session


class Watches:
    """The watches of a client's threads and loops: each its own keys. Safe for threads, loops and forks."""

    def __init__(self, session: Session, connections: Connections) -> None:
        self._session = session
        self._connections = connections

    async def watch(self, keys: Iterable[Argument]) -> Literal["OK"]:
        """Watch keys, besides those watched already. After an error nothing is watched."""
        encoded = encode_each(keys, "keys")
        if not encoded:
            message = "watch needs at least one key"
            raise RequestError(message)
        self._session.check_open()
        # Not a connection for a single call: the transaction must find the number again, or it would run unwatched.
        connection = self._connections.existing() or self._connections.current()
        begins = not connection.watch
        number = connection.watch = connection.watch or int.from_bytes(os.urandom(7), "big") + 1
        try:
            reply = await self._session.call(
                protocol.WATCH,
                (number, begins, encoded),
                repeatable=False,
                timeout_ns=None,
                directly=_refuse_to_watch,
            )
            return to_status(reply)
        except BaseException:
            if connection.watch == number:
                connection.watch = 0
                # The daemon may have begun the watch: a cancelled one must not keep a connection there.
                self._session.post(protocol.UNWATCH, (number,))
            raise

    async def unwatch(self) -> Literal["OK"]:
        """Stop watching keys."""
        self._session.check_open()
        number = self.number
        if number:
            await self._end(number, protocol.UNWATCH, (number,), None, _nothing_to_unwatch)
        return "OK"

    @property
    def number(self) -> int:
        """Return the number of the watch of the calling thread or loop, or 0."""
        connection = self._connections.existing()
        return 0 if connection is None else connection.watch

    async def execute(self, number: int, commands: Sequence[Sequence[bytes]], timeout_ns: int | None) -> Any:
        """Run a transaction that relies on the watch of this number, and end the watch. Return its replies, or None."""
        return await self._end(number, protocol.EXEC, (number, commands), timeout_ns, _refuse_to_execute)

    async def _end(
        self,
        number: int,
        operation: int,
        body: tuple[Any, ...],
        timeout_ns: int | None,
        directly: Callable[[DirectFallback, float], Any],
    ) -> Any:
        try:
            connection = self._connections.existing()
            if connection is not None and connection.watch == number:
                connection.watch = 0
            return await self._session.call(
                operation,
                body,
                repeatable=operation == protocol.UNWATCH,
                timeout_ns=timeout_ns,
                directly=directly,
            )
        except GlideError:
            raise
        except BaseException:
            # Interrupted: this may not have reached the daemon, which keeps a connection for the watch.
            connection = self._connections.existing()
            if connection is not None and connection.watch == number:
                connection.watch = 0
            self._session.post(protocol.UNWATCH, (number,))
            raise


async def _refuse_to_watch(_direct: DirectFallback, _timeout_seconds: float) -> GlideError:
    message = "watch needs glidecached, which does not answer; nothing is watched"
    raise ConnectionError(message)


async def _nothing_to_unwatch(_direct: DirectFallback, _timeout_seconds: float) -> None:
    """Do nothing: without the daemon, its watch has no effect."""


async def _refuse_to_execute(_direct: DirectFallback, _timeout_seconds: float) -> GlideError:
    message = "the keys were watched by a glidecached that does not answer; watch again when it does"
    raise ConnectionError(message)
