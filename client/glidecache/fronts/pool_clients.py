"""The clients behind the fronts: the shared pool and the daemon, and no servers of their own."""

from __future__ import annotations

from glidecache.aio.client import AsyncClient
from glidecache.core.fallback import DirectFallback
from glidecache.sync.client import BlockingClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Never

    from glidecache.core.settings import Settings


class OwnWayError(Exception):
    """No daemon answers: the library asks the server itself."""


class HandBack(DirectFallback):
    """The fallback that hands each call back to the library. The session's outages work as with any other."""

    async def command(self, args: Sequence[bytes], timeout_seconds: float) -> Never:
        """Raise `OwnWayError`."""
        del args, timeout_seconds
        raise OwnWayError

    async def batch(
        self, commands: Sequence[Sequence[bytes]], timeout_seconds: float, *, atomic: bool
    ) -> Never:
        """Raise `OwnWayError`."""
        del commands, timeout_seconds, atomic
        raise OwnWayError

    async def close(self) -> None:
        """Close nothing."""


class BlockingPoolClient(BlockingClient):
    """A blocking client for cached reads alone. A session that is not attached attaches with a miss."""

    def _make_fallback(self, settings: Settings) -> DirectFallback:
        return HandBack(settings)


class AsyncPoolClient(AsyncClient):
    """An asyncio client for cached reads alone. A session that is not attached attaches with a miss."""

    def _make_fallback(self, settings: Settings) -> DirectFallback:
        return HandBack(settings)
