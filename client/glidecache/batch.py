"""Batches: several commands sent as one, as a pipeline or as a transaction, past the cache (contract C17)."""

from __future__ import annotations

from glidecache._generated.batch_cluster_commands import BatchClusterCommands
from glidecache._generated.batch_commands import BatchStandaloneCommands
from glidecache.config.checks import need_ms
from glidecache.encoding import encode_each
from glidecache.errors import ConfigurationError
from glidecache.not_offered import NotOffered
from glidecache.plan import Plan
from glidecache.reply_shapes import decoder_for
from glidecache.routes import need_route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self

    from glidecache.encoding import Argument
    from glidecache.routes import SingleNodeRoute


class _Plans(NotOffered):
    """The commands of a batch, in order. Not safe for several threads at once; may be run any number of times."""

    def __init__(self, is_atomic: bool) -> None:
        if not isinstance(is_atomic, bool):
            message = f"is_atomic must be a bool, not {type(is_atomic).__name__}"
            raise TypeError(message)
        self.is_atomic = is_atomic
        self.plans: list[Plan[Any]] = []

    def __len__(self) -> int:
        return len(self.plans)

    def clear(self) -> None:
        """Take all commands out."""
        self.plans.clear()

    def custom_command(self, command_args: Iterable[Argument]) -> Self:
        """Add any command, its name first. Raises `TypeError` and `ValueError`."""
        return self._add(custom_plan(command_args))

    def _add(self, plan: Plan[Any]) -> Self:
        self.plans.append(plan)
        return self


class Batch(_Plans, BatchStandaloneCommands):
    """Commands for a standalone server, to be run by `exec`: a transaction if `is_atomic`, else a pipeline."""


class ClusterBatch(_Plans, BatchClusterCommands):
    """Commands for a cluster, to be run by `exec`: a transaction (of one slot) if `is_atomic`, else a pipeline."""


class BatchOptions:
    """How a batch is run: `timeout` in ms instead of the client's `request_timeout`."""

    def __init__(self, timeout: int | None = None) -> None:
        need_ms(type(self).__name__, "timeout", timeout)
        self.timeout = timeout


class BatchRetryStrategy:
    """What is repeated of a batch: commands that a server could not run yet, or all after a lost connection.

    Neither can be chosen here: the daemon repeats reads alone.
    """

    def __init__(self, retry_server_error: bool = False, retry_connection_error: bool = False) -> None:
        self.retry_server_error = retry_server_error
        self.retry_connection_error = retry_connection_error


class ClusterBatchOptions(BatchOptions):
    """As `BatchOptions`; `route`: the one node that runs the batch.

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


def _need_plain_strategy(strategy: object) -> None:
    if not isinstance(strategy, BatchRetryStrategy):
        message = f"retry_strategy must be a BatchRetryStrategy, not {type(strategy).__name__}"
        raise TypeError(message)
    for name in ("retry_server_error", "retry_connection_error"):
        if getattr(strategy, name):
            message = f"BatchRetryStrategy: {name}=True is not supported: the daemon repeats reads alone"
            raise ConfigurationError(message)


def custom_plan(command_args: Iterable[Argument]) -> Plan[Any]:
    """A plan for any command, its name first. Raises `TypeError`, and `ValueError` for no command at all."""
    args = encode_each(command_args, "command_args")
    if not args or not args[0]:
        message = "command_args must begin with a command's name"
        raise ValueError(message)
    return Plan(args, decoder_for(args))
