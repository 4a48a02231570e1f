"""The asyncio client's fast path with spans around what is asked of the daemon; see `core.tracing`."""

from __future__ import annotations

from glidecache.core.many_keys import ManyKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.aio.loop_fast_path import LoopFastPath
    from glidecache.commands.command import Command
    from glidecache.commands.encoding import Argument
    from glidecache.core.session import Session
    from glidecache.core.tracing import CallTracer
    from glidecache.routes import Route


class LoopTracedPath:
    """An asyncio client's reads and single commands, each with a span."""

    def __init__(self, plain: LoopFastPath, session: Session, calls: CallTracer) -> None:
        self._plain = plain
        self._session = session
        self._calls = calls

    async def read(self, kind: int, key: Argument, own_writes: bool = False) -> Any:
        """Do as `LoopFastPath.read`."""
        with self._calls.miss(kind):
            return await self._plain.read(kind, key, own_writes)

    async def get_many(self, keys: Iterable[Argument]) -> list[bytes | None]:
        """Do as `LoopFastPath.get_many`; without a span if all keys hit."""
        self._session.check_open()
        looked_up = ManyKeys(self._session.reader, keys)
        if not looked_up.missing:
            return looked_up.filled([])
        return looked_up.filled(await self.get_missing(looked_up.missing))

    async def get_missing(self, keys: list[bytes], own_writes: bool = False) -> list[bytes | None]:
        """Do as `LoopFastPath.get_missing`."""
        with self._calls.misses(len(keys)):
            return await self._plain.get_missing(keys, own_writes)

    async def forget(self, keys: Iterable[Argument]) -> int:
        """Do as `LoopFastPath.forget`."""
        with self._calls.forget(keys):
            return await self._plain.forget(keys)

    async def run(self, command: Command[Any], route: Route | None = None) -> Any:
        """Do as `LoopFastPath.run`."""
        with self._calls.command(command.args):
            return await self._plain.run(command, route)
