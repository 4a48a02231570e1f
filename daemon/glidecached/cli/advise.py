"""`glidecache advise`."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from glidecache_shared import protocol
from glidecached import formatting
from glidecached.advice.points import MOST_POINTS, fault_of
from glidecached.cli.advice_text import advice_lines
from glidecached.cli.daemon_client import RefusedError
from glidecached.cli.options import ExitStatus, cache_name, fail, linked, runtime_dir_option
from glidecached.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from glidecached.cli.daemon_client import DaemonClient

MOST_KB = 159_383_551
MOST_MS = 18_446_744_073_709
"""The largest settings of a cache; a test compares them with the daemon's."""

_MOST_NOTES = 8
_TIMEOUT_MS = 60_000
"""Hundreds of caches take a second, and longer beside much else."""


def _points(
    least: int, most: int, _context: click.Context, _parameter: click.Parameter, text: str | None
) -> list[int] | None:
    """Return the integers of a list with commas."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if len(words) > MOST_POINTS:
        message = f"{len(words)} values; at most {MOST_POINTS} are allowed"
        raise click.BadParameter(message)
    points = []
    for word in words:
        if not (word.isascii() and word.isdecimal()):
            message = f"{formatting.shown(word)} is no integer; write, for example, 1024,4096"
            raise click.BadParameter(message)
        point = int(word[:40])
        fault = fault_of(point, least, most)
        if fault is not None:
            raise click.BadParameter(fault)
        points.append(point)
    return points


@click.command(short_help="Say which size, TTL and policy the traffic wants.")
@click.argument("cache", required=False, callback=cache_name)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--sizes",
    "sizes_kb",
    metavar="KB,…",
    callback=functools.partial(_points, 1, MOST_KB),
    help="Show the hit rate at these bounds (KB) instead of those around the present one.",
)
@click.option(
    "--ttls",
    "ttls_ms",
    metavar="MS,…",
    callback=functools.partial(_points, 0, MOST_MS),
    help="Show hit rate and stale reads at these TTLs (ms, 0: for ever) instead of those around the present one.",
)
@runtime_dir_option
def advise(
    runtime_dir: str | None,
    cache: str | None,
    as_json: bool,
    sizes_kb: list[int] | None,
    ttls_ms: list[int] | None,
) -> None:
    """Say what a sample of the traffic of CACHE, or of all caches, advises: size, TTL, policy, and keys not to cache.

    Exit status: 0 nothing should be changed, or too little traffic to say, 1 something should be changed, or the daemon
    refused (then nothing is on the standard output), 3 no daemon.
    """
    with linked(runtime_dir) as link:
        answer = _ask(link, cache, sizes_kb, ttls_ms)
    reports: dict[str, Any] = answer["caches"]
    if as_json:
        click.echo(json.dumps({"caches": reports, "across": answer["across"]}, indent=2))
    else:
        # A user who reads a pipe can scroll.
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo(
            "\n".join(advice_lines(reports, answer["across"], width, answer.get("max_total_cache_kb")))
        )
    for line in _reasons(answer["not_sampled"]):
        _note(line)
    if answer["caches_left_out"]:
        _note(f"{counted(answer['caches_left_out'], 'other cache')} not shown: name the one to see")
    wanted = any(report["advice"] for report in reports.values())
    sys.exit(ExitStatus.FAILED if wanted else ExitStatus.DONE)


def _ask(
    link: DaemonClient, cache: str | None, sizes_kb: list[int] | None, ttls_ms: list[int] | None
) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = link.request(
            protocol.ADVISE, cache, sizes_kb, ttls_ms, timeout_ms=_TIMEOUT_MS
        )
    except RefusedError as error:
        if error.code == protocol.ERROR_PROTOCOL and "unknown operation" in str(error):
            version = link.about.get("daemon_version", "of an unknown version")
            fail(
                ExitStatus.FAILED,
                f"this daemon, glidecached {version}, gives no advice yet: upgrade it, and restart it",
            )
        raise
    return answer


def _reasons(not_sampled: Mapping[str, str]) -> Iterator[str]:
    """Yield why caches are not sampled: a line for each, or one for all where many have the same reason."""
    names: dict[str, list[str]] = {}
    for name, reason in sorted(not_sampled.items()):
        names.setdefault(reason, []).append(name)
    for reason, alike in names.items():
        if len(alike) <= _MOST_NOTES:
            yield from (f"{name}: {reason}" for name in alike)
        else:
            shown = ", ".join(alike[:_MOST_NOTES])
            yield f"{shown} and {counted(len(alike) - _MOST_NOTES, 'other cache')}, each: {reason}"


def _note(text: str) -> None:
    """Write a line beside the figures: others may be reading these from a pipe."""
    click.echo(formatting.printable(text), err=True)
