"""The blocking client's reads and commands in compiled code, as long as nothing is unusual.

A request takes this way when its client is attached and open, its thread has a connection at rest, and its arguments
are bytes and text. What does not succeed here goes on in `Session`, which knows all other cases: see `FirstAttempt`.
"""

from collections.abc import Iterable
from typing import Any

from glidecache.commands.command import Command
from glidecache.commands.encoding import Argument
from glidecache.core.attachment import SessionState
from glidecache.core.executor import CommandExecutor
from glidecache.routes import Route
from glidecache.sync.connection import ThreadConnections
from glidecache_shared.uninterrupted import PendingRequests

class FastPath:
    """A blocking client's reads and single commands. Safe for threads and forks."""

    def __init__(
        self,
        pending: PendingRequests,
        executor: CommandExecutor,
        state: SessionState,
        connections: ThreadConnections,
        request_timeout_ms: int | None,
        *,
        has_cache: bool,
    ) -> None: ...
    def read(self, kind: int, key: Argument, own_writes: bool = False) -> Any:
        """Do as `CommandExecutor.read`, to its end."""

    def get_many(self, keys: Iterable[Argument]) -> list[bytes | None]:
        """Do as `CommandExecutor.get_many`, to its end."""

    def get_missing(self, keys: list[bytes], own_writes: bool = False) -> list[bytes | None]:
        """Do as `CommandExecutor.get_missing`, to its end."""

    def forget(self, keys: Iterable[Argument]) -> int:
        """Do as `CommandExecutor.forget` with each part of the keys, to its end."""

    def run(self, command: Command[Any], route: Route | None = None) -> Any:
        """Do as `CommandExecutor.run`, to its end."""
