"""`glidecache`: query the running daemon, and remove entries or caches."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from glidecache_shared import __version__, protocol
from glidecache_shared.runtime_dir import find_runtime_dir
from glidecached import formatting
from glidecached.cli import ping as ping_module
from glidecached.cli.advise import advise
from glidecached.cli.doctor import doctor
from glidecached.cli.options import ExitStatus, cache_name, fail, linked, runtime_dir_option
from glidecached.cli.report import report
from glidecached.extras import MODULES_OF_COMMANDS, MissingExtraError, extras_named, need_modules
from glidecached.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLUSH_TIMEOUT_MS = 60_000
"""The daemon takes about a second for a million entries, and longer beside much else."""

_MESSAGE_BYTES = 32_000
_KEY_BYTES = 5
"""The longest message for keys, and the bytes that each key takes in it besides its own."""

_yes_option = click.option("--yes", "-y", "confirmed", is_flag=True, help="Do not ask for confirmation.")


class _Commands(click.Group):
    """A group that reports in one line that the output could not be written, or that an extra is not installed."""

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
        except MissingExtraError as error:
            fail(ExitStatus.FAILED, str(error))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="glidecache %(version)s")
def main() -> None:
    """Query a running glidecached.

    Exit status: 0 done, 1 refused (doctor: a check fails; advise: something should be changed), 2 wrong usage,
    3 no daemon answers, 4 not confirmed.
    """


@click.command()
@runtime_dir_option
def ping(runtime_dir: str | None) -> None:
    """Check that the daemon answers, and report how long that took."""
    ping_module.ping(runtime_dir)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything that the daemon reports, as JSON.")
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


@click.command(short_help="Watch caches and upstreams live.")
@click.option(
    "--interval",
    "interval_s",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two polls, 0.1 to 3600.",
)
@runtime_dir_option
def top(runtime_dir: str | None, interval_s: float) -> None:
    """Watch the daemon's caches and upstreams live, and the hottest keys of one cache."""
    need_modules("glidecache top", *MODULES_OF_COMMANDS["top"])
    directory = find_runtime_dir(runtime_dir)
    # A directory that was never right should not look like a daemon that is away for a while.
    with linked(directory):
        pass
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        message = "top needs a terminal; `glidecache stats` writes the same numbers once"
        raise click.UsageError(message)
    with extras_named("glidecache top"):
        # Textual costs as much to import as the rest of the command together, several times.
        from glidecached.cli.top.app import Top
    Top(directory, interval_s).run()


_cache_argument = click.argument("cache", callback=cache_name)


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
    """End CACHE, a name or a cache object's id; its clients get a new, empty one."""
    with linked(runtime_dir) as link:
        if not confirmed:
            _confirm(f"End {formatting.printable(cache)}, with all its entries and counters?")
        link.request(protocol.DROP, cache)
    click.echo("dropped")


@click.command(short_help="Remove entries of a cache by their keys.")
@_cache_argument
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--prefix", metavar="P", help="Remove the entries of all keys that begin with P.")
@runtime_dir_option
def forget(runtime_dir: str | None, cache: str, keys: tuple[str, ...], prefix: str | None) -> None:
    """Remove the entries of each KEY, or of all keys that begin with P, from CACHE, a name or a cache object's id.

    The servers are not asked, and keep their keys. All worker processes of this host read these keys again.
    """
    if bool(keys) == (prefix is not None):
        message = "give either keys or --prefix P" + (", not both" if keys else "")
        raise click.UsageError(message)
    if prefix == "":
        message = "an empty prefix is every key's; `glidecache flush` removes all entries"
        raise click.BadParameter(message, param_hint="--prefix")
    # Keys may be any bytes: the shell's reach Python as text, and leave it as they came.
    parts: list[list[bytes] | bytes] = (
        list(_parts([os.fsencode(key) for key in keys])) if prefix is None else [os.fsencode(prefix)]
    )
    removed = 0
    with linked(runtime_dir) as link:
        for part in parts:
            removed += link.request(protocol.FORGET, cache, part, timeout_ms=_FLUSH_TIMEOUT_MS)
    click.echo(f"{counted(removed, 'entry', 'entries')} forgotten")


def _parts(keys: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the keys in lists that the daemon takes in one message: it expects short ones from operators."""
    part: list[bytes] = []
    size = 0
    for key in keys:
        if part and size + len(key) + _KEY_BYTES > _MESSAGE_BYTES:
            yield part
            part, size = [], 0
        part.append(key)
        size += len(key) + _KEY_BYTES
    yield part


def _confirm(question: str) -> None:
    """Return if the user says yes; the process ends otherwise."""
    if not sys.stdin.isatty():
        fail(ExitStatus.NOT_CONFIRMED, f"{question} There is no terminal to confirm it: use --yes")
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:  # Ctrl-C, or the terminal went away
        agreed = False
    if not agreed:
        fail(ExitStatus.NOT_CONFIRMED, "not confirmed; nothing was done")


for _command in (ping, stats, top, advise, forget, flush, drop, doctor):
    main.add_command(_command)
