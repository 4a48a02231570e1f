"""The base of all fronts, blocking and asyncio."""

from __future__ import annotations

import sys

from glidecache.errors import ConfigurationError
from glidecache.fronts.front_options import FrontOptions, read_url_text
from glidecache.fronts.noted_pipelines import note_writes_of
from glidecache.fronts.reply_shapes import ReplyShapes
from glidecache.fronts.server_identity import settings_of
from glidecache.fronts.shared_reads import SharedReads
from glidecache.fronts.unknown_arguments import refuse_unknown_of_pool
from glidecache.fronts.written_keys import forget_with_pipeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from glidecache.core.settings import Settings
    from glidecache.fronts.libraries import Library

    class LibraryClient:
        """The library's client, which comes after a front among the bases: as far as fronts call it."""

        connection_pool: Any
        response_callbacks: Any
        cluster_response_callbacks: Any
        nodes_manager: Any
        connection_kwargs: Any
        encoder: Any
        auto_close_connection_pool: bool

        def __init__(self, *args: Any, **arguments: Any) -> None: ...
        @classmethod
        def from_url(cls, url: str, **arguments: Any) -> Any:
            """Do the library's part."""

        def execute_command(self, *args: Any, **options: Any) -> Any:
            """Do the library's part."""

        def pipeline(self, *args: Any, **options: Any) -> Any:
            """Do the library's part."""

        def lock(self, *args: Any, **options: Any) -> Any:
            """Do the library's part."""

        def client(self) -> Any:
            """Do the library's part."""

        def close(self) -> Any:
            """Do the library's part."""

        async def aclose(self, *args: Any, **options: Any) -> None:
            """Do the library's part."""

else:
    LibraryClient = object

OPTIONS_OF_POOL = "_glidecache_options"
"""The attribute of a pool of connections for the fronts' options of clients that are made with it."""
CLIENTS_OF_POOL = "_glidecache_clients"
"""The attribute of a pool of connections for the clients of the shared pool: a dictionary, which pools may share."""


class FrontBase(LibraryClient):
    """The base of all fronts. Subclasses bind `_library`."""

    _library: Library
    _pool_client_class: type[Any]
    _is_async = False
    _glidecache: SharedReads | None = None
    """The client's cached reads; None if it has none."""

    def _taken_options(self, arguments: dict[str, Any]) -> FrontOptions | None:
        """Take the fronts' options out of a constructor's keyword arguments, or out of the connection pool's.

        Libraries above make pools from arguments of their own; a pool would pass ours on to its connections.
        """
        options = FrontOptions.taken_from(arguments)
        self._refuse_own_cache(options, arguments)
        of_pool = _options_of_pool(arguments.get("connection_pool"))
        return of_pool if options is None else options

    def _begin_single(self, options: FrontOptions | None) -> None:
        """Cache the reads of a client of one server from now on, if the options say so."""
        pool = self.connection_pool
        of_pool = _options_of_pool(pool)
        options = of_pool if options is None else options
        if options is None or options.cache is None:
            return
        arguments, library = pool.connection_kwargs, self._library
        self._refuse_own_cache(options, {**arguments, "cache": getattr(pool, "cache", None)})
        settings = settings_of(
            library, options, arguments, pool.connection_class, by_sentinel=library.is_sentinels(pool)
        )
        # Each client of the pool has the same arguments, which were checked with the first.
        if CLIENTS_OF_POOL not in pool.__dict__:
            refuse_unknown_of_pool(library, pool.connection_class, arguments)
        # Clients that share a pool of connections, as one for each request may, share the hold on the cache.
        clients: dict[Any, Any] = pool.__dict__.setdefault(CLIENTS_OF_POOL, {})
        encoder, resp3 = pool.get_encoder(), library.speaks_resp3(arguments)
        sets = library.reads_sets(arguments)
        shapes = ReplyShapes(encoder, self.response_callbacks, resp3=resp3, sets=sets)
        self._begin(options, settings, encoder, shapes, clients)

    def _refuse_own_cache(self, options: FrontOptions | None, arguments: dict[str, Any]) -> None:
        """Raise `ConfigurationError` if the library's own client-side cache is switched on besides."""
        if options is None or options.cache is None:
            return
        for name in self._library.own_cache_arguments:
            if arguments.get(name):
                own = f"{name}: {self._library.name}'s own client-side cache is on"
                message = f"{own}; it and shared_cache exclude each other"
                raise ConfigurationError(message)

    def _begin_nodes(self, options: FrontOptions, arguments: Mapping[str, Any], callbacks: Any) -> None:
        """Cache the reads of a client of a cluster's nodes from now on."""
        library = self._library
        nodes = [(node.host, int(node.port)) for node in self.nodes_manager.startup_nodes.values()]
        connection_class = arguments.get("connection_class")
        if arguments.get("ssl"):  # the blocking clients make their nodes' pools by this
            connection_class = library.tls_connection_class
        settings = settings_of(library, options, arguments, connection_class, nodes=nodes)
        # A blocking cluster client leaves the library's usual callbacks to its clients of the nodes.
        of_nodes = None
        if callbacks is not getattr(self, "response_callbacks", None):
            of_nodes = library.usual_callbacks(arguments)
        resp3, sets = library.speaks_resp3(arguments), library.reads_sets(arguments)
        shapes = ReplyShapes(self.encoder, callbacks, resp3=resp3, sets=sets, node_callbacks=of_nodes)
        self._begin(options, settings, self.encoder, shapes, {})

    def _begin(
        self,
        options: FrontOptions,
        settings: Settings,
        encoder: Any,
        shapes: ReplyShapes,
        clients: dict[Any, Any],
    ) -> None:
        make = self._pool_client_class
        reads = SharedReads(self._library, options, settings, encoder, shapes, make, clients)
        if options.attaches_at_once:
            reads.attach()
        self._glidecache = reads

    def _need_reads(self) -> SharedReads:
        reads = self._glidecache
        if reads is None:
            message = "this client has no shared cache: make it with shared_cache=..., the name of one"
            raise self._library.configuration_error(message)
        return reads

    def _watched(self, pipeline: Any) -> Any:
        reads = self._glidecache
        if reads is not None:
            reads.own_writes.watch(pipeline)
            note_writes_of(pipeline, reads)
            if reads.forget_writes:
                forget_with_pipeline(self, reads, pipeline)
        return pipeline

    def _leaving(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> Any:
        """Return the pool client to close with this client; None if others may use it, or if there is none."""
        # The libraries' finalisers come here at the interpreter's end too: the process's end does all then.
        if is_finalizing() or not getattr(self, "auto_close_connection_pool", True):
            return None
        return None if self._glidecache is None else self._glidecache.closed_client()


def _options_of_pool(pool: Any) -> FrontOptions | None:
    arguments = getattr(pool, "connection_kwargs", None)
    if not isinstance(arguments, dict):
        return None
    read_url_text(arguments)  # the libraries' pools can be made of a URL
    found = FrontOptions.taken_from(arguments)
    if found is not None:
        pool.__dict__[OPTIONS_OF_POOL] = found
    kept: FrontOptions | None = pool.__dict__.get(OPTIONS_OF_POOL)
    return kept
