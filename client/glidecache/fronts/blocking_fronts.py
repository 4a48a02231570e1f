"""What the blocking fronts add to their library's clients: cached reads, and `forget`."""

from __future__ import annotations

from glidecache.errors import GlideError
from glidecache.fronts.command_classes import ends_caching, is_known_read
from glidecache.fronts.front_options import FrontOptions, split_url, with_url
from glidecache.fronts.library_clients import FrontBase
from glidecache.fronts.pool_clients import BlockingPoolClient
from glidecache.fronts.shared_reads import NOT_CACHED
from glidecache.fronts.uncached_twins import uncached_twin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from glidecache.fronts.shared_reads import SharedReads


class BlockingFront(FrontBase):
    """The base of a blocking front, before the library's client among its bases."""

    _pool_client_class = BlockingPoolClient

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command: a cached read by the shared pool and the daemon, any other by the library."""
        reads = self._glidecache
        if reads is None:
            return super().execute_command(*args, **options)
        kind = reads.kinds.get(args[0])
        if kind is None:
            return self._run_own(reads, args, options)
        # What else the library may say of a command changes its reply or its server.
        if not options or (len(options) == 1 and "keys" in options):
            key = reads.key_of(args)
            if key is not None:
                value = reads.hit(kind, key)
                if value is None:
                    value = reads.miss(kind, key)
                if value is not NOT_CACHED:
                    return reads.shapes.result(kind, value)
        return super().execute_command(*args, **options)

    def _run_own(self, reads: SharedReads, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if is_known_read(args):
            return super().execute_command(*args, **options)
        if ends_caching(args):
            reads.stop()
        reads.note_write(args)
        try:
            return super().execute_command(*args, **options)
        finally:
            reads.own_writes.note()

    def forget(self, *keys: Any) -> int:
        """Remove these keys' entries from the shared pool, for all processes of the host; return how many there were.

        Raises the library's `ConnectionError` while no daemon answers: nothing was removed then.
        """
        reads = self._need_reads()
        encoded = reads.encoded_keys(keys)
        try:
            return reads._client().forget(encoded)  # type: ignore[no-any-return]
        except GlideError as error:
            raise reads.own_error(error) from error

    def close(self) -> None:
        """Close as the library does, and leave the shared pool, if the client's connections are its own."""
        super().close()
        client = self._leaving()
        if client is not None:
            client.close()


class BlockingSingleFront(BlockingFront):
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
        return super(BlockingSingleFront, uncached_twin(self)).lock(*args, **options)


class BlockingClusterFront(BlockingFront):
    """The base of a front for a cluster."""

    def __init__(self, *args: Any, **arguments: Any) -> None:
        url = arguments.get("url")
        of_url: dict[str, Any] = {}
        if isinstance(url, str):
            arguments["url"], of_url = split_url(url)
        arguments = with_url(arguments, of_url)
        options = FrontOptions.taken_from(arguments)
        self._refuse_own_cache(options, arguments)
        super().__init__(*args, **arguments)
        if options is not None and options.cache is not None:
            self._begin_cluster(
                options, self.nodes_manager.connection_kwargs, self.cluster_response_callbacks
            )

    def pipeline(self, *args: Any, **options: Any) -> Any:
        """Return the library's pipeline: it never reads the cache."""
        return self._watched(super().pipeline(*args, **options))

    def lock(self, *args: Any, **options: Any) -> Any:
        """Return the library's lock: it never reads the cache."""
        if self._glidecache is None:
            return super().lock(*args, **options)
        return super(BlockingClusterFront, uncached_twin(self)).lock(*args, **options)
