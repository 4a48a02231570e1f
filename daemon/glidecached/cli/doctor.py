"""`glidecache doctor`."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glidecached import formatting
from glidecached.cli.options import ExitStatus, runtime_dir_option
from glidecached.doctor.result import Status
from glidecached.extras import extras_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from glidecached.doctor.result import Finding

_COLOURS = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red", Status.SKIPPED: "bright_black"}
_INDENT = " " * 9


@click.command(short_help="Find faults, and say what to do.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The daemon's configuration file, if it is not the one that it was started with.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@runtime_dir_option
def doctor(runtime_dir: str | None, config_path: Path | None, as_json: bool) -> None:
    """Find faults of the daemon, its configuration and this host, and say what to do.

    Exit status: 0 no check fails, 1 a check fails.
    """
    with extras_named("glidecache doctor"):
        # Imported now: the configuration's form is made at import, which other commands do without.
        from glidecached.doctor.gathering import gather
        from glidecached.doctor.runner import examine

    findings = list(examine(gather(runtime_dir, config_path)))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        # A user who reads a pipe can scroll.
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo("\n".join(lines(findings, width)), color=False if os.environ.get("NO_COLOR") else None)
    failed = any(finding.status is Status.FAIL for finding in findings)
    sys.exit(ExitStatus.FAILED if failed else ExitStatus.DONE)


def lines(findings: Iterable[Finding], width: int | None) -> Iterator[str]:
    """Yield one finding after the other, the advice below what was seen, and the number of each status."""
    numbers = dict.fromkeys(Status, 0)
    for finding in findings:
        numbers[finding.status] += 1
        status = click.style(f"{finding.status:<7}", fg=_COLOURS[finding.status])
        first, *others = _wrapped(f"{finding.check}: {formatting.printable(finding.seen)}", width)
        yield f"{status}  {first}"
        advice = _wrapped(f"→ {formatting.printable(finding.advice)}", width) if finding.advice else []
        yield from (f"{_INDENT}{line}" for line in (*others, *advice))
    yield ", ".join(f"{number} {status}" for status, number in numbers.items())


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None:
        return [text]
    room = max(width - len(_INDENT), 20)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
