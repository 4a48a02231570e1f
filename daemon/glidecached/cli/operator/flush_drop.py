"""`glidecache flush` and `glidecache drop`: what cannot be undone is asked for first."""

from __future__ import annotations

import sys

import click

from glidecache_shared import protocol
from glidecached.cli.options import ExitStatus, fail, linked, runtime_dir_option
from glidecached.stats import formatting
from glidecached.text import counted

_FLUSH_TIMEOUT_MS = 60_000
"""The daemon takes about a second for a million entries, and longer beside much else."""

_yes_option = click.option("--yes", "-y", "confirmed", is_flag=True, help="Do not ask.")


def _named(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Return the argument CACHE, if it is UTF-8: the shell may pass any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        message = f"{formatting.printable(name)} is no text in UTF-8; `glidecache stats` shows the names"
        raise click.BadParameter(message) from error
    return name


_cache_argument = click.argument("cache", callback=_named)


@click.command(short_help="Remove all entries of a cache.")
@_cache_argument
@_yes_option
@runtime_dir_option
def flush(runtime_dir: str | None, cache: str, confirmed: bool) -> None:
    """Remove all entries of CACHE, a name or a cache object's id."""
    with linked(runtime_dir) as link:
        if not confirmed:
            _confirm(f"Remove all entries of {formatting.printable(cache)}?")
        removed = link.request(protocol.FLUSH, cache, timeout_ms=_FLUSH_TIMEOUT_MS)
    click.echo(f"{counted(removed, 'entry', 'entries')} removed")


@click.command(short_help="End a cache, its entries and its counters.")
@_cache_argument
@_yes_option
@runtime_dir_option
def drop(runtime_dir: str | None, cache: str, confirmed: bool) -> None:
    """End CACHE, a name or a cache object's id; clients that use it get a fresh one."""
    with linked(runtime_dir) as link:
        if not confirmed:
            _confirm(f"End {formatting.printable(cache)}, and with it all its entries and counters?")
        link.request(protocol.DROP, cache)
    click.echo("dropped")


def _confirm(question: str) -> None:
    """Return if the user says yes; the process ends otherwise."""
    if not sys.stdin.isatty():
        fail(ExitStatus.NOT_CONFIRMED, f"{question} There is no terminal to ask on: say --yes if you mean it")
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:  # Ctrl-C, or the terminal went away
        agreed = False
    if not agreed:
        fail(ExitStatus.NOT_CONFIRMED, "nothing was done")
