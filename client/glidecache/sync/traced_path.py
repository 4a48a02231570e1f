"""The blocking client's fast path with spans around what is asked of the daemon; see `core.tracing`."""

from __future__ import annotations

from glidecache.core.many_keys import ManyKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.command import Command
    from glidecache.commands.encoding import Argument
    from glidecache.core.session import Session
    from glidecache.core.tracing import CallTracer
    from glidecache.routes import Route
    from glidecache.sync.fast_path import FastPath


class TracedPath:
    """A blocking client's reads and single commands, each with a span."""

    def __init__(self, plain: FastPath, session: Session, calls: CallTracer) -> None:
        self._plain = plain
        self._session = session
        self._calls = calls

    def read(self, kind: int, key: Argument, own_writes: bool = False) -> Any:
        """Do as `FastPath.read`."""
        with self._calls.miss(kind):
            return self._plain.read(kind, key, own_writes)

    def get_many(self, keys: Iterable[Argument]) -> list[bytes | None]:
        """Do as `FastPath.get_many`; without a span if all keys hit."""
        self._session.check_open()
        looked_up = ManyKeys(self._session.reader, keys)
        if not looked_up.missing:
            return looked_up.filled([])
        return looked_up.filled(self.get_missing(looked_up.missing))

    def get_missing(self, keys: list[bytes], own_writes: bool = False) -> list[bytes | None]:
        """Do as `FastPath.get_missing`."""
        with self._calls.misses(len(keys)):
            return self._plain.get_missing(keys, own_writes)

    def forget(self, keys: Iterable[Argument]) -> int:
        """Do as `FastPath.forget`."""
        with self._calls.forget(keys):
            return self._plain.forget(keys)

    def run(self, command: Command[Any], route: Route | None = None) -> Any:
        """Do as `FastPath.run`."""
        with self._calls.command(command.args):
            return self._plain.run(command, route)
