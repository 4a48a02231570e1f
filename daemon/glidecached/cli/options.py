"""The parts that commands share: the option that names the daemon, and the handling of its absence."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import click

from glidecache_shared.runtime_dir import find_runtime_dir
from glidecached import formatting
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def runtime_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with the option `--runtime-dir`, which it takes as `runtime_dir`."""
    return click.option("--runtime-dir", metavar="DIR", help="The directory of the daemon's socket.")(command)


@contextmanager
def linked(runtime_dir: str | None) -> Iterator[DaemonClient]:
    """Yield a link to the daemon. If there is none or it refuses, end the process with a message and a status."""
    try:
        with DaemonClient(find_runtime_dir(runtime_dir)) as link:
            yield link
    except DaemonUnreachableError as error:
        fail(ExitStatus.UNREACHABLE, str(error))
    except RefusedError as error:
        fail(ExitStatus.FAILED, str(error))


def fail(status: ExitStatus, message: str) -> None:
    """End the process with a message for its user, in which there may be names that others have chosen."""
    click.echo(formatting.printable(message), err=True)
    sys.exit(status)


class ExitStatus(IntEnum):
    """The exit statuses that a shell sees.

    2 is click's own, for wrong options and arguments; so the daemon's absence has another.
    """

    DONE = 0
    FAILED = 1
    """The daemon refused, or `doctor` found something that fails."""
    USAGE = 2
    """Options or arguments are wrong."""
    UNREACHABLE = 3
    """No daemon answers."""
    NOT_CONFIRMED = 4
    """Nothing was done: the answer was no, or there was no terminal to ask on and no `--yes`."""
