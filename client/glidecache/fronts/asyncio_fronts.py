"""What the asyncio fronts add to their library's clients: cached reads, and `forget`."""

from __future__ import annotations

from inspect import isawaitable

from glidecache.errors import GlideError
from glidecache.fronts.command_classes import ends_caching, is_known_read
from glidecache.fronts.front_options import FrontOptions, split_url, with_url
from glidecache.fronts.library_clients import FrontBase
from glidecache.fronts.pool_clients import AsyncPoolClient
from glidecache.fronts.shared_reads import NOT_CACHED
from glidecache.fronts.uncached_twins import uncached_twin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from glidecache.fronts.shared_reads import SharedReads


class AsyncFront(FrontBase):
    """The base of an asyncio front, before the library's client among its bases."""

    _pool_client_class = AsyncPoolClient

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command: a cached read by the shared pool and the daemon, any other by the library."""
        reads = self._glidecache
        if reads is None:
            return await super().execute_command(*args, **options)
        kind = reads.kinds.get(args[0])
        if kind is None:
            return await self._run_own(reads, args, options)
        # What else the library may say of a command changes its reply or its server.
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

    async def forget(self, *keys: Any) -> int:
        """Remove these keys' entries from the shared pool, for all processes of the host; return how many there were.

        Raises the library's `ConnectionError` while no daemon answers: nothing was removed then.
        """
        reads = self._need_reads()
        encoded = reads.encoded_keys(keys)
        try:
            return await reads._client().forget(encoded)  # type: ignore[no-any-return]
        except GlideError as error:
            raise reads.own_error(error) from error

    async def aclose(self, *args: Any, **options: Any) -> None:
        """Close as the library does, and leave the shared pool, if the client's connections are its own."""
        await super().aclose(*args, **options)
        client = self._leaving()
        if client is not None:
            await client.close()


class AsyncSingleFront(AsyncFront):
    """The base of a front for a single server."""

    def __init__(self, *args: Any, **arguments: Any) -> None:
        options = self._taken_options(arguments)
        super().__init__(*args, **arguments)
        self._begin_single(options)

    @classmethod
    def from_url(cls, url: str, **arguments: Any) -> Self:
        """Do as the library does; `shared_cache`, `cache_prefixes`, `upstream`, `runtime_dir` may be in the query."""
        url, of_url = split_url(url)
        found = with_url(arguments, of_url)
        options = FrontOptions.taken_from(found)
        client: Self = super().from_url(url, **found)
        client._begin_single(options)
        return client

    def client(self) -> Any:
        """Return a client with one connection of its own, as the library does. Its reads are not cached."""
        other = super().client()
        if self._glidecache is not None:
            other._glidecache = self._glidecache.uncached
        return other

    def pipeline(self, *args: Any, **options: Any) -> Any:
        """Return the library's pipeline: it never reads the cache."""
        return self._watched(super().pipeline(*args, **options))

    def lock(self, *args: Any, **options: Any) -> Any:
        """Return the library's lock: it never reads the cache."""
        if self._glidecache is None:
            return super().lock(*args, **options)
        return super(AsyncSingleFront, uncached_twin(self)).lock(*args, **options)


class AsyncClusterFront(AsyncFront):
    """The base of a front for a cluster."""

    def __init__(self, *args: Any, **arguments: Any) -> None:
        options = FrontOptions.taken_from(arguments)
        self._refuse_own_cache(options, arguments)
        super().__init__(*args, **arguments)
        self._begin_async_cluster(options)

    @classmethod
    def from_url(cls, url: str, **arguments: Any) -> Self:
        """Do as the library does; `shared_cache`, `cache_prefixes`, `upstream`, `runtime_dir` may be in the query."""
        url, of_url = split_url(url)
        found = with_url(arguments, of_url)
        options = FrontOptions.taken_from(found)
        client: Self = super().from_url(url, **found)
        client._begin_async_cluster(options)
        return client

    def pipeline(self, *args: Any, **options: Any) -> Any:
        """Return the library's pipeline: it never reads the cache."""
        if self._glidecache is None:
            return super().pipeline(*args, **options)
        # After a redirect it sends single commands by its client.
        twin = uncached_twin(self)
        return self._watched(super(AsyncClusterFront, twin).pipeline(*args, **options))

    def lock(self, *args: Any, **options: Any) -> Any:
        """Return the library's lock: it never reads the cache."""
        if self._glidecache is None:
            return super().lock(*args, **options)
        return super(AsyncClusterFront, uncached_twin(self)).lock(*args, **options)

    def _begin_async_cluster(self, options: FrontOptions | None) -> None:
        if options is not None and options.cache is not None:
            self._begin_cluster(options, self.connection_kwargs, self.response_callbacks)
