"""`glidecache`: query the running daemon, and remove entries or caches. One module for each command."""

from __future__ import annotations

import errno
from typing import Any

import click

from glidecache_shared import __version__
from glidecached.cli.doctor import doctor
from glidecached.cli.operator.flush_drop import drop, flush
from glidecached.cli.operator.ping import ping
from glidecached.cli.operator.top import top
from glidecached.cli.options import ExitStatus, fail
from glidecached.cli.stats_command import stats


class _Commands(click.Group):
    """A group that reports in one line that the output could not be written, such as to a full file system."""

    def invoke(self, context: click.Context) -> Any:
        """Implement `click.Group`.

        A user who has closed a pipe wants no message, and gets none from click.
        """
        try:
            return super().invoke(context)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            fail(ExitStatus.FAILED, f"glidecache: {error.strerror or error}")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="glidecache %(version)s")
def main() -> None:
    """Ask a running glidecached.

    Exit status: 0 done, 1 refused (doctor: something fails), 2 wrong usage, 3 no daemon answers, 4 not confirmed.
    """


for _command in (ping, stats, top, flush, drop, doctor):
    main.add_command(_command)
