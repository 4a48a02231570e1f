"""The asyncio fronts: cached reads, and `forget`."""

from __future__ import annotations

from inspect import isawaitable

from glidecache.errors import GlideError
from glidecache.fronts.command_classes import ends_caching, is_known_read
from glidecache.fronts.front_options import FrontOptions, split_url, with_url
from glidecache.fronts.library_clients import FrontBase
from glidecache.fronts.pool_clients import AsyncPoolClient
from glidecache.fronts.server_fronts import ClusterFront, SingleFront
from glidecache.fronts.shared_reads import NOT_CACHED
from glidecache.fronts.uncached_twins import uncached_twin
from glidecache.fronts.unknown_arguments import refusing_unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self

    from glidecache.fronts.shared_reads import SharedReads
    from glidecache.fronts.written_keys import WrittenKeys


class AsyncFront(FrontBase):
    """The base of an asyncio front, before the library's client among its bases."""

    _pool_client_class = AsyncPoolClient
    _is_async = True

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command: a cached read by the shared pool and the daemon, any other by the library."""
        reads = self._glidecache
        if reads is None:
            return await super().execute_command(*args, **options)
        kind = reads.kinds.get(args[0])
        if kind is None:
            return await self._run_own(reads, args, options)
        # Other options of a command change its reply or its server.
        if not options or (len(options) == 1 and "keys" in options):
            key = reads.key_of(args)
            if key is not None:
                value = reads.hit(kind, key)
                if value is None:
                    value = await reads.awaited_miss(kind, key)
                if value is not NOT_CACHED:
                    result = reads.shapes.result(kind, value)
                    return await result if isawaitable(result) else result
        return await super().execute_command(*args, **options)

    async def _run_own(self, reads: SharedReads, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if is_known_read(args):
            return await super().execute_command(*args, **options)
        if ends_caching(args):
            reads.stop()
        reads.note_write(args)
        try:
            return await super().execute_command(*args, **options)
        finally:
            reads.own_writes.note()
            if reads.forget_writes:
                await self._forget_written(reads.written_keys(args))

    async def forget(self, *keys: Any) -> int:
        """Remove these keys' entries from the shared pool, for all processes of the host; return how many there were.

        Raises the library's `ConnectionError` while no daemon answers: nothing was removed then. `TypeError`: a list.
        """
        reads = self._need_reads()
        encoded = reads.encoded_keys(keys)
        try:
            return await reads._client().forget(encoded)  # type: ignore[no-any-return]
        except GlideError as error:
            raise reads.own_error(error) from error

    async def _forget_written(self, written: WrittenKeys) -> None:
        """Forget what own commands may have changed. A failure is reported: the commands themselves have ended."""
        if not written:
            return
        reads = self._need_reads()
        try:
            client = reads._client()
            if written.keys:
                await client.forget(written.keys)
            for prefix in written.prefixes:
                await client._forget_prefix(prefix)
        except GlideError as error:
            reads.report_not_forgotten(error)

    async def aclose(self, *args: Any, **options: Any) -> None:
        """Close as the library does, and leave the shared pool, if the client's connections are its own."""
        await super().aclose(*args, **options)
        client = self._leaving()
        if client is not None:
            await client.close()


class AsyncSingleFront(AsyncFront, SingleFront):
    """The base of an asyncio front for a single server."""


class AsyncClusterFront(AsyncFront, ClusterFront):
    """The base of an asyncio front for a cluster."""

    @classmethod
    def from_url(cls, url: str, **arguments: Any) -> Self:
        """Do as the library does; what a front takes besides may be in the query."""
        url, of_url = split_url(url)
        found = with_url(arguments, of_url)
        options = FrontOptions.taken_from(found)
        with refusing_unknown(cls._library, options):
            client: Self = super().from_url(url, **found)
        client._begin_cluster(options)
        return client

    def pipeline(self, *args: Any, **options: Any) -> Any:
        """Return the library's pipeline: it never reads the cache."""
        if self._glidecache is None:
            return super().pipeline(*args, **options)
        # After a redirect it sends single commands by its client.
        twin = uncached_twin(self)
        return self._watched(super(AsyncClusterFront, twin).pipeline(*args, **options))

    def _node_arguments_and_callbacks(self) -> tuple[Mapping[str, Any], Any]:
        return self.connection_kwargs, self.response_callbacks
