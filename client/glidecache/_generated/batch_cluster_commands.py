"""Commands that are added to a batch, one method per command. Written by tools/generate_commands.py: do not edit."""
# ruff: noqa: I001, RUF100, N803 - lazy modules stand apart; GLIDE's names of arguments

from __future__ import annotations

from glidecache._generated.batch_commands import BatchCommands
from glidecache.core.lazy_import import LazyModule
from glidecache.core.plain_signature import MISSING, plain_signature, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Never, Self

    from glidecache.commands.encoding import Argument
    from glidecache.commands.options.server import MigrateOptions

    from glidecache.commands import cluster_only as _cluster_only
else:
    _cluster_only = LazyModule("glidecache.commands.cluster_only")


class BatchClusterCommands(BatchCommands):
    """Commands that are added to a batch: those of a cluster."""

    __slots__ = ()

    @plain_signature
    def copy(
        self,
        source: Argument,
        destination: Argument,
        replace: bool | None = None,
        destinationDB: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Copy a value to another key of the same slot (`COPY`). Return whether it was copied."""
        if others or keywords or destination is MISSING:
            raise refusal(self, "copy", others, keywords)
        return self._add(_cluster_only.copy(source, destination, replace, destinationDB))

    def publish(self, message: Argument, channel: Argument, sharded: bool = False) -> Self:
        """Send a message to a channel (`PUBLISH`, with `sharded` `SPUBLISH`). Return how many subscribers got it."""
        return self._add(_cluster_only.publish(message, channel, sharded))

    def pubsub_shardchannels(self, pattern: Argument | None = None) -> Self:
        """Return the sharded channels that have subscribers (`PUBSUB SHARDCHANNELS`)."""
        return self._add(_cluster_only.pubsub_shardchannels(pattern))

    @plain_signature
    def pubsub_shardnumsub(self, channels: Iterable[Argument] | None = None, *others: Never) -> Self:
        """Return how many subscribers each of the sharded channels has (`PUBSUB SHARDNUMSUB`)."""
        if others:
            raise refusal(self, "pubsub_shardnumsub", others)
        return self._add(_cluster_only.pubsub_shardnumsub(channels))

    @plain_signature
    def migrate(
        self,
        host: str,
        port: int,
        key: Argument,
        destination_db: int,
        timeout: int,
        options: MigrateOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Move a key to another server (`MIGRATE`), with `timeout` in milliseconds. Return `"OK"` or `b"NOKEY"`."""
        if others or keywords or timeout is MISSING:
            raise refusal(self, "migrate", others, keywords)
        return self._add(_cluster_only.migrate(host, port, key, destination_db, timeout, options))
