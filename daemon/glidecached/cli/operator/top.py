"""`glidecache top`."""

from __future__ import annotations

import sys

import click

from glidecache_shared.runtime_dir import find_runtime_dir
from glidecached.cli.options import linked, runtime_dir_option


@click.command(short_help="Watch caches and upstreams live.")
@click.option(
    "--interval",
    "interval_s",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks, 0.1 to 3600.",
)
@runtime_dir_option
def top(runtime_dir: str | None, interval_s: float) -> None:
    """Watch the daemon's caches and upstreams live, and the hottest keys of one cache."""
    directory = find_runtime_dir(runtime_dir)
    # A directory that was never right should not look like a daemon that is away for a while.
    with linked(directory):
        pass
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        message = "top needs a terminal; `glidecache stats` writes the same numbers once"
        raise click.UsageError(message)
    # Textual costs as much to import as the rest of the command together, several times.
    from glidecached.cli.top.app import Top

    Top(directory, interval_s).run()
