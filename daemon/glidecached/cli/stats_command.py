"""`glidecache stats`."""

from __future__ import annotations

import json
import shutil
import sys

import click

from glidecache_shared import protocol
from glidecached.cli.options import linked, runtime_dir_option
from glidecached.cli.report import report


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything that the daemon tells, as JSON.")
@runtime_dir_option
def stats(runtime_dir: str | None, as_json: bool) -> None:
    """Show the daemon's numbers: its caches and its upstreams."""
    with linked(runtime_dir) as link:
        numbers = link.request(protocol.STATS)
    if as_json:
        click.echo(json.dumps(numbers, indent=2))
        return
    # A user who reads a pipe can scroll.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo("\n".join(report(numbers, width)))
