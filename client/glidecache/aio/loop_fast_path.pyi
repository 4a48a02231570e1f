"""The asyncio client's reads and commands in compiled code, as long as nothing is unusual.

As `sync.fast_path`: a request takes this way when its client is attached and open, the running loop has a connection
that no other call is about to replace, and the arguments are bytes and text. What does not succeed here goes on in
`Session`: see `FirstAttempt`.
"""

from collections.abc import Iterable
from typing import Any

from glidecache.aio.connection import LoopConnections
from glidecache.commands.command import Command
from glidecache.commands.encoding import Argument
from glidecache.core.attachment import SessionState
from glidecache.core.executor import CommandExecutor
from glidecache.routes import Route

class LoopFastPath:
    """An asyncio client's reads and single commands. For any number of tasks and loops."""

    def __init__(
        self,
        executor: CommandExecutor,
        state: SessionState,
        connections: LoopConnections,
        request_timeout_ms: int | None,
        *,
        has_cache: bool,
    ) -> None: ...
    async def read(self, kind: int, key: Argument, own_writes: bool = False) -> Any:
        """Do as `CommandExecutor.read`, to its end."""

    async def get_many(self, keys: Iterable[Argument]) -> list[bytes | None]:
        """Do as `CommandExecutor.get_many`, to its end."""

    async def get_missing(self, keys: list[bytes], own_writes: bool = False) -> list[bytes | None]:
        """Do as `CommandExecutor.get_missing`, to its end."""

    async def forget(self, keys: Iterable[Argument]) -> int:
        """Do as `CommandExecutor.forget` with each part of the keys, to its end."""

    async def run(self, command: Command[Any], route: Route | None = None) -> Any:
        """Do as `CommandExecutor.run`, to its end."""
