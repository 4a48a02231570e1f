"""Reports of `glidecache advise` as text for a terminal of 80 columns."""

from __future__ import annotations

import itertools
import re
import textwrap
from typing import TYPE_CHECKING, Any

from glidecached import formatting
from glidecached.advice.judgement import SIZE, TTL
from glidecached.cli.report import table
from glidecached.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAME_CHARACTERS = 40
_SHORT_NAME_CHARACTERS = 30
_MOST_PREFIXES = 8
_PREFIX_CHARACTERS = 24
_COLUMNS = 80
_INDENT = "  "
_NOW = "now"
_NEARLY_ALL = 0.995
_DIGITS_OF_POINTS = 3
"""Digits of a share that are seen where it is written with one decimal of a percent."""
_SIDE_BY_SIDE = 80
_SIZE_HEADINGS = ("", "size", "hit rate")
_TTL_HEADINGS = ("", "TTL", "hit rate", "upstream/s", "stale")
_NUMBER_AND_UNIT = re.compile(r"(?<=\d) (?=\S)")
_KEPT_TOGETHER = "\N{NO-BREAK SPACE}"


def advice_lines(
    reports: Mapping[str, Mapping[str, Any]],
    across: Sequence[Mapping[str, Any]],
    width: int | None = None,
    total_kb: int | None = None,
) -> Iterator[str]:
    """Yield the lines about all caches, by name, and about memory across them.

    `width`: as `report.table`'s. `total_kb`: the limit of all caches together, None if it is not known.
    """
    if not reports:
        yield "no caches with advice"
        return
    for place, (name, report) in enumerate(sorted(reports.items())):
        if place:
            yield ""
        yield from _cache_lines(name, report, width)
    if len(across) > 1:
        yield ""
        yield from _across_lines(across, reports, width, total_kb)


def _cache_lines(name: str, report: Mapping[str, Any], width: int | None) -> Iterator[str]:
    now = report["now"]
    ttl = formatting.cache_ttl({TTL: now[TTL], "server_ttl": report.get("server_ttl", False)})
    settings = (
        f"{_size(now[SIZE])}, {ttl}, {now['eviction_policy']}: {formatting.share(now['hit_rate'])} hits"
    )
    yield f"{formatting.printable(name, _NAME_CHARACTERS)}  {settings}"
    if not report["lookups"]:
        yield f"{_INDENT}no lookups in {formatting.duration(report['seconds'])}: too little traffic for advice so far"
        return
    error = report["expected_error"]
    part = report.get("sampled_time", 1.0)
    lost = report.get("lost_events", 0)
    holes = f"; {counted(lost, 'sample')} lost" if lost else ""
    windows = "" if part >= _NEARLY_ALL else f", {formatting.share(part)} of the time;"
    yield from _wrapped(
        f"{counted(report['lookups'], 'lookup')} in {formatting.duration(report['seconds'])}{windows or ';'} "
        f"{counted(report['sampled_keys'], 'key')} sampled, {formatting.share(report['sample_rate'])} of all; "
        f"expected error {formatting.NOT_KNOWN if error is None else f'{error * 100:.1f}'} points"
        f"{holes}"
    )
    if not report["enough"]:
        reason = report.get("shortfall")
        yield from _wrapped(f"too little traffic for advice so far{f': {reason}' if reason else ''}")
        return
    yield ""
    yield from _tables(report, width)
    yield ""
    policies = ", ".join(
        f"{policy} {formatting.share(rate)}{' (now)' if policy == now['eviction_policy'] else ''}"
        for policy, rate in sorted(report["by_policy"].items(), reverse=True)
    )
    yield f"{_INDENT}policy: {policies}"
    if report["changed_refreshes"] is not None:
        text = f"refreshes that brought another value: {formatting.share(report['changed_refreshes'])}"
        doubt = report.get("expected_stale_error")
        if doubt is not None:
            text += f"; expected error of the stale shares {doubt * 100:.1f} points"
        yield from _wrapped(text)
    elif all(each["stale_reads"] is None for each in report["by_ttl"]):
        yield from _wrapped("no value was read from the server twice so far, so stale reads are not known")
    yield from _wrapped(_writes(report))
    for advice in report["advice"]:
        yield from _wrapped(f"→ {_change(advice)}: {formatting.printable(advice['why'])}", "  ")
    if len(report["advice"]) > 1:
        yield from _wrapped("each change is simulated alone: make one, and ask again after some traffic")
    if not report["advice"]:
        yield f"{_INDENT}nothing should be changed"


def _tables(report: Mapping[str, Any], width: int | None) -> Iterator[str]:
    """Yield the points, sizes beside TTLs, or above them where the terminal is narrow."""
    now = report["now"]
    sizes = [
        (_mark(each[SIZE], now[SIZE]), _size(each[SIZE]), formatting.share(each["hit_rate"]))
        for each in report["by_size"]
    ]
    ttls = [
        (
            _mark(each[TTL] or 0, now[TTL]),
            _ttl(each[TTL]),
            formatting.share(each["hit_rate"]),
            formatting.per_second(each["upstream_per_second"]),
            formatting.share(each["stale_reads"]),
        )
        for each in report["by_ttl"]
    ]
    if width is not None and width < _SIDE_BY_SIDE:
        yield from table(_SIZE_HEADINGS, sizes, width)
        yield from table(_TTL_HEADINGS, ttls, width)
        return
    rows = [
        [*(size or [""] * len(_SIZE_HEADINGS)), *(ttl or [""] * len(_TTL_HEADINGS))]
        for size, ttl in itertools.zip_longest(sizes, ttls)
    ]
    yield from table([*_SIZE_HEADINGS, *_TTL_HEADINGS], rows, None)


def _writes(report: Mapping[str, Any]) -> str:
    written = report["cached_key_writes"]
    text = f"written while cached: {counted(written, 'write')}"
    if not written:
        return text
    text += f", {formatting.share(report['known_stale_hits'])} of the hits known to be stale"
    prefixes = report["written_prefixes"]
    if prefixes is None:
        return f"{text}; administrators see the keys' prefixes"
    if not prefixes:
        return text
    shown = ", ".join(formatting.printable(each, _PREFIX_CHARACTERS) for each in prefixes[:_MOST_PREFIXES])
    more = f" and {len(prefixes) - _MOST_PREFIXES} more" if len(prefixes) > _MOST_PREFIXES else ""
    return f"{text}; keys that begin with {shown}{more}"


def _change(advice: Mapping[str, Any]) -> str:
    return f"{advice['what']} = {'no bound' if advice['to'] is None else advice['to']}"


def _across_lines(
    across: Sequence[Mapping[str, Any]],
    reports: Mapping[str, Mapping[str, Any]],
    width: int | None,
    total_kb: int | None,
) -> Iterator[str]:
    step = "" if total_kb is None else f": {formatting.byte_size(total_kb * 1024 / 10)}"
    yield f"another 10 % of all memory (max_total_cache_kb{step}), given to a cache or taken from it"
    rows = []
    for each in across:
        report = reports.get(each["cache"], {})
        seconds = report.get("seconds") or 0
        rate = report["lookups"] / seconds if seconds else None
        gain, loss = each["gain_of_10_percent"], each["loss_of_10_percent"]
        rows.append(
            [
                formatting.printable(each["cache"], _SHORT_NAME_CHARACTERS),
                _points(gain),
                formatting.per_second(None if rate is None else rate * gain),
                _points(-loss),
                formatting.per_second(None if rate is None else rate * loss),
            ]
        )
    yield from table(("cache", "gains", "hits/s", "loses", "hits/s"), rows, width)
    gains, loses = across[0], min(across, key=lambda each: each["loss_of_10_percent"])
    most, least = (formatting.printable(each["cache"], _SHORT_NAME_CHARACTERS) for each in (gains, loses))
    nothing = [each for each in across if not round(each["loss_of_10_percent"], _DIGITS_OF_POINTS)]
    gainers = f"{most} gains most" if gains["gain_of_10_percent"] > 0 else "none gains anything"
    losers = f"{counted(len(nothing), 'cache')} lose nothing" if len(nothing) > 1 else f"{least} loses least"
    yield f"{_INDENT}{gainers}, {losers}"


def _points(change: float) -> str:
    """Return a difference of two shares as `+3.4 points`; one that is not seen has no sign."""
    shown = round(change, _DIGITS_OF_POINTS)
    return f"{shown * 100:+.1f} points" if shown else "0.0 points"


def _mark(value: int | None, now: int) -> str:
    return _NOW if value == now else ""


def _size(max_cache_kb: int | None) -> str:
    return "no bound" if max_cache_kb is None else formatting.byte_size(max_cache_kb * 1024)


def _ttl(entry_ttl_ms: int | None) -> str:
    return formatting.ttl(entry_ttl_ms or 0)


def _wrapped(text: str, hang: str = "") -> Iterator[str]:
    """Yield the lines of a text. A number and its unit stay on one line."""
    for line in textwrap.wrap(
        _NUMBER_AND_UNIT.sub(_KEPT_TOGETHER, text),
        _COLUMNS,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT + hang,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield line.replace(_KEPT_TOGETHER, " ")
