"""Batches: several commands sent as one, as a pipeline or as a transaction, past the cache (contract C17)."""

from __future__ import annotations

from glidecache._generated.batch_cluster_commands import BatchClusterCommands
from glidecache._generated.batch_commands import BatchStandaloneCommands
from glidecache.commands.custom_command import custom_command
from glidecache.commands.unsupported import Unsupported
from glidecache.config.checks import described, need_ms
from glidecache.errors import ConfigurationError
from glidecache.routes import need_route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self

    from glidecache.commands.command import Command
    from glidecache.commands.encoding import Argument
    from glidecache.routes import SingleNodeRoute


_SHOWN = 5


class _Commands(Unsupported):
    """The commands of a batch, in order. Not safe for several threads at once; may be run any number of times.

    A batch can be copied and pickled; the copy has its own commands.
    """

    def __init__(self, is_atomic: bool) -> None:
        if not isinstance(is_atomic, bool):
            message = f"is_atomic must be a bool, not {type(is_atomic).__name__}"
            raise TypeError(message)
        self.is_atomic = is_atomic
        self.queued: list[Command[Any]] = []

    @property
    def commands(self) -> list[tuple[bytes, list[bytes]]]:
        """Return the commands so far, each with its arguments as they will be sent: a new list."""
        return [(command.args[0], command.args[1:]) for command in self.queued]

    def __len__(self) -> int:
        return len(self.queued)

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.is_atomic = self.is_atomic
        copied.queued = list(self.queued)
        return copied

    def __repr__(self) -> str:
        """Show the commands' names, never their arguments: these may be secrets."""
        names = [command.args[0].decode("utf-8", "replace") for command in self.queued[:_SHOWN]]
        more = ["…"] if len(self.queued) > _SHOWN else []
        listed = f"{len(self.queued)} commands: {', '.join(names + more)}" if names else "no commands"
        return f"<{type(self).__name__} is_atomic={self.is_atomic}, {listed}>"

    def clear(self) -> None:
        """Remove all commands."""
        self.queued.clear()

    def custom_command(self, command_args: Iterable[Argument]) -> Self:
        """Add any command, its name first. Raises `TypeError` and `ValueError`."""
        return self._add(custom_command(command_args))

    def _add(self, command: Command[Any]) -> Self:
        self.queued.append(command)
        return self


class Batch(_Commands, BatchStandaloneCommands):
    """A batch for a standalone server, to be run by `exec`: a transaction if `is_atomic`, else a pipeline."""


class ClusterBatch(_Commands, BatchClusterCommands):
    """A batch for a cluster, to be run by `exec`: a transaction (of one slot) if `is_atomic`, else a pipeline."""


class Transaction(Batch):
    """A `Batch(is_atomic=True)` under its former name; deprecated."""

    def __init__(self) -> None:
        _warn_of("Batch")
        super().__init__(is_atomic=True)


class ClusterTransaction(ClusterBatch):
    """A `ClusterBatch(is_atomic=True)` under its former name; deprecated."""

    def __init__(self) -> None:
        _warn_of("ClusterBatch")
        super().__init__(is_atomic=True)


class BatchOptions:
    """The options of running a batch. `timeout`: in ms, instead of the client's `request_timeout`."""

    def __init__(self, timeout: int | None = None) -> None:
        need_ms(type(self).__name__, "timeout", timeout)
        self.timeout = timeout

    def __repr__(self) -> str:
        return described(self)


class BatchRetryStrategy:
    """The choice of what to repeat: commands that a server could not run yet, or all after a lost connection.

    Neither can be chosen here: the daemon repeats reads alone.
    """

    def __init__(self, retry_server_error: bool = False, retry_connection_error: bool = False) -> None:
        self.retry_server_error = retry_server_error
        self.retry_connection_error = retry_connection_error

    def __repr__(self) -> str:
        return described(self)


class ClusterBatchOptions(BatchOptions):
    """The options of `BatchOptions`, and `route`: the one node that runs the batch.

    Raises `TypeError` for a route to several nodes, `ConfigurationError` for a strategy that would repeat more than
    reads.
    """

    def __init__(
        self,
        timeout: int | None = None,
        route: SingleNodeRoute | None = None,
        retry_strategy: BatchRetryStrategy | None = None,
    ) -> None:
        super().__init__(timeout)
        need_route(route)
        if route is not None and not route.is_single_node:
            message = f"ClusterBatchOptions: route must lead to one node, not {type(route).__name__}"
            raise TypeError(message)
        if retry_strategy is not None:
            _need_plain_strategy(retry_strategy)
        self.route = route
        self.retry_strategy = retry_strategy


def _warn_of(batch: str) -> None:
    import warnings

    warnings.warn(f"Use {batch}(is_atomic=True) instead.", DeprecationWarning, stacklevel=3)


def _need_plain_strategy(strategy: object) -> None:
    if not isinstance(strategy, BatchRetryStrategy):
        message = f"retry_strategy must be a BatchRetryStrategy, not {type(strategy).__name__}"
        raise TypeError(message)
    for name in ("retry_server_error", "retry_connection_error"):
        if getattr(strategy, name):
            message = f"BatchRetryStrategy: {name}=True is not supported: the daemon repeats reads alone"
            raise ConfigurationError(message)
