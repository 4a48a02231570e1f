"""The blocking client of a standalone server."""

from __future__ import annotations

from glidecache._generated.sync_commands import SyncStandaloneCommands
from glidecache.sync.base import BlockingClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self

    from glidecache.batch import Batch, BatchOptions, ClusterBatch
    from glidecache.commands.encoding import Argument
    from glidecache.config import GlideClientConfiguration


class GlideClient(BlockingClient, SyncStandaloneCommands):
    """A blocking client of one server and its replicas, for threads."""

    @classmethod
    def create(cls, config: GlideClientConfiguration) -> Self:
        """Attach to the daemon, which checks the servers once, unless `lazy_connect` is set.

        Raises `DaemonUnavailableError` without a daemon (with the fallback `"direct"` the client connects directly),
        `ClosingError` when the servers cannot be reached or refuse the credentials, `ConfigurationError`.
        """
        from glidecache.config import GlideClientConfiguration
        from glidecache.core.settings import Settings, need_config

        need_config(config, GlideClientConfiguration, cls)
        return cls(Settings(config, "standalone"))._open()

    def custom_command(self, command_args: Iterable[Argument]) -> Any:
        """Run any command, its name first. `GET`, `HGETALL` and `SMEMBERS` of one key go through the cache.

        Commands that are bound to one connection (`SELECT`, `SUBSCRIBE`, `MULTI`, …) raise `RequestError`.
        """
        return self._finish(self._calls.custom(command_args))

    def exec(
        self, batch: Batch | ClusterBatch, raise_on_error: bool, options: BatchOptions | None = None
    ) -> list[Any] | None:
        """Run a batch and return its results, in order; None for a transaction when a watched key had changed.

        `raise_on_error`: raise the first error. Otherwise errors are among the results.
        """
        execute = self._calls.execute
        return self._finish(execute, batch, options, raise_on_error=raise_on_error)  # type: ignore[no-any-return]
