"""Fronts for a single server and for a cluster, as far as blocking and asyncio ones are the same."""

from __future__ import annotations

from glidecache.fronts.front_options import FrontOptions, names_in, split_url, with_url
from glidecache.fronts.library_clients import FrontBase
from glidecache.fronts.uncached_twins import uncached_twin
from glidecache.fronts.unknown_arguments import refuse_unknown_of_cluster, refusing_unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self


class SingleFront(FrontBase):
    """The base of a front for a single server."""

    def __init__(self, *args: Any, **arguments: Any) -> None:
        options = self._taken_options(arguments)
        with refusing_unknown(self._library, options):
            super().__init__(*args, **arguments)
        self._begin_single(options)

    @classmethod
    def from_url(cls, url: str, **arguments: Any) -> Self:
        """Do as the library does; what a front takes besides may be in the query."""
        url, of_url = split_url(url)
        found = with_url(arguments, of_url)
        options = FrontOptions.taken_from(found)
        with refusing_unknown(cls._library, options):
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
        return super(SingleFront, uncached_twin(self)).lock(*args, **options)


class ClusterFront(FrontBase):
    """The base of a front for a cluster. Subclasses implement `_node_arguments_and_callbacks`."""

    def __init__(self, *args: Any, **arguments: Any) -> None:
        # A blocking client of a library takes a URL as an argument, too.
        url = arguments.get("url")
        of_url: dict[str, Any] = {}
        if isinstance(url, str):
            arguments["url"], of_url = split_url(url)
        arguments = with_url(arguments, of_url)
        options = FrontOptions.taken_from(arguments)
        self._refuse_own_cache(options, arguments)
        if options is not None and options.cache is not None:
            url = arguments.get("url")
            in_url = names_in(url) if isinstance(url, str) else ()
            refuse_unknown_of_cluster(self._library, [*arguments, *in_url])
        with refusing_unknown(self._library, options):
            super().__init__(*args, **arguments)
        self._begin_cluster(options)

    def lock(self, *args: Any, **options: Any) -> Any:
        """Return the library's lock: it never reads the cache."""
        if self._glidecache is None:
            return super().lock(*args, **options)
        return super(ClusterFront, uncached_twin(self)).lock(*args, **options)

    def _begin_cluster(self, options: FrontOptions | None) -> None:
        """Cache the reads of a cluster's client from now on, if the options say so."""
        if options is not None and options.cache is not None:
            self._begin_nodes(options, *self._node_arguments_and_callbacks())

    def _node_arguments_and_callbacks(self) -> tuple[Mapping[str, Any], Any]:
        """Return the arguments of the connections to nodes, and the client's response callbacks."""
        raise NotImplementedError
