"""Batches: several commands sent as one, as a pipeline or as a transaction, past the cache (contract C17)."""

from __future__ import annotations

from glidecache._generated.batch_commands import BatchCommands, ClusterBatchCommands
from glidecache.config.checks import need_ms
from glidecache.encoding import encode_each
from glidecache.errors import ConfigurationError
from glidecache.plan import Plan
from glidecache.reply_shapes import decoder_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from glidecache.encoding import Argument


class _Plans:
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

    def custom_command(self, command_args: list[Argument]) -> Self:
        """Add any command, its name first. Raises `TypeError` and `ValueError`."""
        return self._add(custom_plan(command_args))

    def _add(self, plan: Plan[Any]) -> Self:
        self.plans.append(plan)
        return self


class Batch(_Plans, BatchCommands):
    """Commands for a standalone server, to be run by `exec`: a transaction if `is_atomic`, else a pipeline."""


class ClusterBatch(_Plans, ClusterBatchCommands):
    """Commands for a cluster, to be run by `exec`: a transaction (of one slot) if `is_atomic`, else a pipeline."""


class BatchOptions:
    """How a batch is run: `timeout` in ms instead of the client's `request_timeout`."""

    def __init__(self, timeout: int | None = None) -> None:
        need_ms(type(self).__name__, "timeout", timeout)
        self.timeout = timeout


class ClusterBatchOptions(BatchOptions):
    """As `BatchOptions`. A route or a retry strategy of one's own is not supported yet."""

    def __init__(self, timeout: int | None = None, route: Any = None, retry_strategy: Any = None) -> None:
        super().__init__(timeout)
        for name, value in (("route", route), ("retry_strategy", retry_strategy)):
            if value is not None:
                message = (
                    f"ClusterBatchOptions: {name} is not supported: the daemon routes, and repeats only reads"
                )
                raise ConfigurationError(message)


def custom_plan(command_args: list[Argument]) -> Plan[Any]:
    """A plan for any command, its name first. Raises `TypeError`, and `ValueError` for no command at all."""
    args = encode_each(command_args, "command_args")
    if not args or not args[0]:
        message = "command_args must begin with a command's name"
        raise ValueError(message)
    return Plan(args, decoder_for(args))
