"""The blocking fronts: cached reads, and `forget`."""

from __future__ import annotations

import sys

from glidecache.errors import GlideError
from glidecache.fronts.command_classes import ends_caching, is_known_read
from glidecache.fronts.library_clients import FrontBase
from glidecache.fronts.pool_clients import BlockingPoolClient
from glidecache.fronts.server_fronts import ClusterFront, SingleFront
from glidecache.fronts.shared_reads import NOT_CACHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from glidecache.fronts.shared_reads import SharedReads
    from glidecache.fronts.written_keys import WrittenKeys


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
        # Other options of a command change its reply or its server.
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
            if reads.forget_writes:
                self._forget_written(reads.written_keys(args))

    def forget(self, *keys: Any) -> int:
        """Remove these keys' entries from the shared pool, for all processes of the host; return how many there were.

        Raises the library's `ConnectionError` while no daemon answers: nothing was removed then. `TypeError`: a list.
        """
        reads = self._need_reads()
        encoded = reads.encoded_keys(keys)
        try:
            return reads._client().forget(encoded)  # type: ignore[no-any-return]
        except GlideError as error:
            raise reads.own_error(error) from error

    def _forget_written(self, written: WrittenKeys) -> None:
        """Forget what own commands may have changed. A failure is reported: the commands themselves have ended."""
        if not written:
            return
        reads = self._need_reads()
        try:
            client = reads._client()
            if written.keys:
                client.forget(written.keys)
            for prefix in written.prefixes:
                client._forget_prefix(prefix)
        except GlideError as error:
            reads.report_not_forgotten(error)

    def close(self) -> None:
        """Close as the library does, and leave the shared pool, if the client's connections are its own."""
        super().close()
        client = self._leaving()
        # The libraries close what is dropped, also at the interpreter's end: nothing can be imported then.
        if client is not None and not sys.is_finalizing():
            client.close()


class BlockingSingleFront(BlockingFront, SingleFront):
    """The base of a blocking front for a single server."""


class BlockingClusterFront(BlockingFront, ClusterFront):
    """The base of a blocking front for a cluster."""

    def pipeline(self, *args: Any, **options: Any) -> Any:
        """Return the library's pipeline: it never reads the cache."""
        return self._watched(super().pipeline(*args, **options))

    def _node_arguments_and_callbacks(self) -> tuple[Mapping[str, Any], Any]:
        return self.nodes_manager.connection_kwargs, self.cluster_response_callbacks
