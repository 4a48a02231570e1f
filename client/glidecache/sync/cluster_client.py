"""The blocking client of a cluster; `glidecache.sync` has it under its own name."""

from __future__ import annotations

from glidecache._generated.sync_cluster_commands import SyncClusterCommands
from glidecache.core.plain_signature import MISSING, plain_signature, refusal
from glidecache.sync.client import BlockingClient
from glidecache_shared.pool.reader import with_own_reads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal, Never, Self

    from glidecache.batch import Batch, BatchOptions, ClusterBatch
    from glidecache.commands.cluster_scan import ClusterScanCursor
    from glidecache.commands.encoding import Argument
    from glidecache.commands.options.server import ObjectType, Script
    from glidecache.config import GlideClusterClientConfiguration
    from glidecache.routes import Route


@with_own_reads
class GlideClusterClient(BlockingClient, SyncClusterCommands):
    """A blocking client of a cluster, for threads."""

    @classmethod
    def create(cls, config: GlideClusterClientConfiguration) -> Self:
        """Attach to the daemon, which checks the cluster once; as `GlideClient.create`."""
        from glidecache.config import GlideClusterClientConfiguration
        from glidecache.core.settings import Settings, need_config

        need_config(config, GlideClusterClientConfiguration, cls)
        return cls(Settings(config, "cluster"))._open()

    def custom_command(self, command_args: Iterable[Argument], route: Route | None = None) -> Any:
        """Run any command, its name first, on the nodes of `route`.

        Without a route `GET`, `HGETALL` and `SMEMBERS` of one key go through the cache.
        Commands that are bound to one connection (`SELECT`, `SUBSCRIBE`, `MULTI`, …) raise `RequestError`.
        """
        return self._finish(self._executor.custom(command_args, route))

    def invoke_script_route(
        self, script: Script, args: Iterable[Argument] | None = None, route: Route | None = None
    ) -> Any:
        """Run a Lua script without keys, on the nodes of `route`."""
        return self._finish(self._executor.invoke_script(script, None, args, route))

    @plain_signature
    def scan(
        self,
        cursor: ClusterScanCursor,
        match: Argument | None = None,
        count: int | None = None,
        type: ObjectType | None = None,
        allow_non_covered_slots: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> list[Any]:
        """Take one step over all keys of the cluster: `[next cursor, [key, …]]`.

        Begin with `ClusterScanCursor()`, until `is_finished()` of the next one. A key may come twice. A key that exists
        during the whole scan comes at least once. `allow_non_covered_slots`: continue if slots have no node.
        """
        if others or keywords or cursor is MISSING:
            raise refusal(self, "scan", others, keywords)
        scan = self._executor.scan
        return self._finish(scan, cursor, match, count, type, allow_non_covered_slots=allow_non_covered_slots)  # type: ignore[no-any-return]

    def unwatch(self, route: Route | None = None) -> Literal["OK"]:
        """Stop watching keys (`UNWATCH`). A `route` changes nothing: the daemon knows where keys are watched."""
        del route
        return self._finish(self._executor.unwatch())  # type: ignore[no-any-return]

    def exec(
        self, batch: Batch | ClusterBatch, raise_on_error: bool, options: BatchOptions | None = None
    ) -> list[Any] | None:
        """Run a batch; as `GlideClient.exec`."""
        execute = self._executor.execute
        return self._finish(execute, batch, options, raise_on_error=raise_on_error)  # type: ignore[no-any-return]
