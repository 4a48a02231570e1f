"""The parts that commands share: the option that names the daemon, and the handling of its absence.

Importable without click, which `glidecache ping` does without.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

from glidecache_shared.runtime_dir import find_runtime_dir
from glidecached import formatting
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import click

RUNTIME_DIR_HELP = "The directory of the daemon's socket."


def runtime_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with the option `--runtime-dir`, which it takes as `runtime_dir`."""
    import click

    return click.option("--runtime-dir", metavar="DIR", help=RUNTIME_DIR_HELP)(command)


def cache_name(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    """Return the argument CACHE, if it is UTF-8: the shell may pass any bytes."""
    import click

    try:
        (name or "").encode()
    except UnicodeEncodeError as error:
        message = f"{formatting.printable(name or '')} is not valid UTF-8; `glidecache stats` shows the names"
        raise click.BadParameter(message) from error
    return name


@contextmanager
def linked(runtime_dir: str | None, *, greet: bool = True) -> Iterator[DaemonClient]:
    """Yield a link to the daemon. If there is none or it refuses, end the process with a message and a status.

    greet: as `DaemonClient`'s.
    """
    try:
        with DaemonClient(find_runtime_dir(runtime_dir), greet=greet) as link:
            yield link
    except DaemonUnreachableError as error:
        fail(ExitStatus.UNREACHABLE, str(error))
    except RefusedError as error:
        fail(ExitStatus.FAILED, str(error))


def fail(status: ExitStatus, message: str) -> NoReturn:
    """End the process with a message for its user, in which there may be names that others have chosen."""
    print(formatting.printable(message), file=sys.stderr)  # noqa: T201 - for its user
    sys.exit(status)


class ExitStatus(IntEnum):
    """The exit statuses that a shell sees.

    2 is click's own, for wrong options and arguments; so the daemon's absence has another.
    """

    DONE = 0
    FAILED = 1
    """The daemon refused, `doctor` found something that fails, or `advise` something that should be changed."""
    USAGE = 2
    """Options or arguments are wrong."""
    UNREACHABLE = 3
    """No daemon answers."""
    NOT_CONFIRMED = 4
    """Nothing was done: the answer was no, or there was no terminal to ask on and no `--yes`."""
