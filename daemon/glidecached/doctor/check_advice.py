"""Caches whose size or use does not fit their traffic, by the daemon's own advice (docs/advice.md)."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from glidecached.advice.judgement import SIZE, Verdict, verdicts
from glidecached.cli.report import cache_label
from glidecached.doctor.result import ok, skipped, warn
from glidecached.formatting import byte_size, counted, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

CHECK = "advice"


PRESSING = (Verdict.STARVED, Verdict.WRITTEN_TO)
"""The findings that cost the application something. A bound that is too large costs other caches their room."""


def check_advice(context: DoctorContext, reported: Collection[Verdict] = tuple(Verdict)) -> Iterator[Finding]:
    """Yield one finding for each cache that is starved, wasteful or written to, or one that says that none is.

    `reported`: the verdicts to report.
    """
    if not context.contact.stats:
        yield skipped(CHECK, "the daemon could not be asked")
        return
    caches = context.contact.stats["caches"]
    # A daemon of another version may not report it.
    sampled = [cache for cache in caches if cache.get("advice") is not None]
    if not sampled:
        seen = "no cache's traffic is sampled: that needs enable_metrics = true, and [advice] enabled = true"
        yield skipped(CHECK, seen if caches else "there are no caches")
        return
    judged = [cache for cache in sampled if cache["advice"]["enough"]]
    if not judged:
        yield skipped(CHECK, f"too little traffic so far in {counted(len(sampled), 'cache')}")
        return
    judged.sort(key=lambda cache: (cache["name"] is None, cache_label(cache)))
    findings = [finding for cache in judged for finding in _judge(cache, reported)]
    yield from findings
    if not findings:
        rest = len(caches) - len(judged)
        more = f"; too little traffic, or no samples, in {rest} more" if rest else ""
        yield ok(CHECK, f"size and use of {counted(len(judged), 'cache')} fit the traffic{more}")


def _judge(cache: dict[str, Any], reported: Collection[Verdict]) -> Iterator[Finding]:
    label, digest = cache_label(cache), cache["advice"]
    for verdict, advice in verdicts(digest):
        if verdict not in reported:
            continue
        seen = f"{label} is {verdict}: {printable(advice['why'])}"
        command = f"{_command(cache['name'] or cache['id'])} shows the figures"
        if verdict is Verdict.WRITTEN_TO:
            yield warn(CHECK, seen, f"{command}, and administrators the prefixes of the keys")
        else:
            now = byte_size(digest["now"][SIZE] * 1024)
            to = "no bound" if advice["to"] is None else f"{advice['to']} ({byte_size(advice['to'] * 1024)})"
            yield warn(CHECK, seen, f"max_cache_kb = {to} instead of {now}; {command}")


def _command(name: str) -> str:
    """Return the command about a cache, for a shell; about all caches where no terminal can show the name."""
    if printable(name) != name:
        return "glidecache advise"
    return f"glidecache advise {'-- ' if name.startswith('-') else ''}{shlex.quote(name)}"
