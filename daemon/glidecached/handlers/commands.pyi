"""COMMAND, READ, GET_MANY and BATCH: the clients' operations on their data."""

from collections.abc import Callable, Iterator
from typing import Any

from glidecached.client_session import Sessions
from glidecached.frontend.request import Request
from glidecached.handlers.dedicated_quota import DedicatedShares

class CommandHandlers:
    """The four operations that end in a server's reply. For the loop's thread."""

    def __init__(
        self, sessions: Sessions, next_number: Callable[[], int], dedicated: DedicatedShares | None = None
    ) -> None: ...
    def command(self, request: Request, body: list[Any]) -> None:
        """Handle COMMAND: pass any command through, unless it is bound to one connection."""

    def read(self, request: Request, body: list[Any]) -> None:
        """Handle READ: a lookup that did not hit in the worker (contract C7a)."""

    def get_many(self, request: Request, body: list[Any]) -> Iterator[float | None] | None:
        """Handle GET_MANY: look up many strings, each occurrence counted; one MGET for the misses (contract C17)."""

    def batch(self, request: Request, body: list[Any]) -> Iterator[None] | None:
        """Handle BATCH: a pipeline or a transaction, past the cache (contract C17). A large one is done in steps."""
