"""STATS' numbers as text for a terminal."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from glidecached import formatting
from glidecached.formatting import counted
from glidecached.stats.figures import percentile_us, upstream_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAME_CHARACTERS = 40

_UPSTREAM_HEADINGS = (
    "upstream",
    "requests",
    "failed",
    "p50",
    "p95",
    "p99",
    "in flight",
    "queued",
    "sessions",
)
_CACHE_HEADINGS = (
    "cache",
    "hit rate",
    "lookups",
    "entries",
    "memory",
    "of bound",
    "evicted",
    "expired",
    "forgotten",
    "policy",
    "TTL",
    "processes",
)


def report(numbers: dict[str, Any], width: int | None = None) -> Iterator[str]:
    """Yield the lines of `glidecache stats`, `width` columns wide, or as wide as needed."""
    yield from _daemon(numbers["daemon"])
    yield "\nupstreams"
    yield from table(_UPSTREAM_HEADINGS, [_upstream(each) for each in numbers["upstreams"]], width)
    for upstream in numbers["upstreams"]:
        yield f"  {upstream_label(upstream)}: {formatting.printable(upstream_state(upstream))}"
    if not numbers["caches"]:
        yield "\nno caches"
        return
    yield "\ncaches"
    by_name = sorted(
        numbers["caches"], key=lambda cache: (cache["name"] is None, cache["name"] or cache["id"])
    )
    yield from table(_CACHE_HEADINGS, [_cache(each) for each in by_name], width)


def upstream_label(upstream: dict[str, Any]) -> str:
    """Return the label of an upstream: its name, or the addresses of a client's own upstream."""
    label = upstream["name"] or ", ".join(upstream["addresses"])
    return formatting.printable(label, _NAME_CHARACTERS)


def cache_label(cache: dict[str, Any]) -> str:
    """Return the label of a cache: its name, or its object's id."""
    return formatting.printable(cache["name"] or cache["id"], _NAME_CHARACTERS)


def _daemon(daemon: dict[str, Any]) -> Iterator[str]:
    refused = ", ".join(f"{number:,} {cause}" for cause, number in sorted(daemon["refused"].items()))
    yield (
        f"glidecached {daemon['version']}, pid {daemon['pid']}, up {formatting.duration(daemon['uptime_seconds'])}"
    )
    yield (
        f"  {counted(daemon['sessions'], 'session')}, {counted(daemon['accepted_requests'], 'request')} accepted, "
        f"{daemon['open_requests']:,} open; refused: {refused or 'none'}"
    )


def _upstream(upstream: dict[str, Any]) -> list[str]:
    latency = upstream["latency"]
    percentiles = [
        percentile_us(latency["bounds_us"], latency["counts"], fraction) for fraction in (0.5, 0.95, 0.99)
    ]
    return [
        upstream_label(upstream),
        formatting.count(upstream["requests"]),
        formatting.count(upstream["failed"]),
        *map(formatting.latency, percentiles),
        formatting.count(upstream["in_flight"]),
        formatting.count(upstream["queued"]),
        formatting.count(upstream["sessions"]),
    ]


def _cache(cache: dict[str, Any]) -> list[str]:
    metrics, settings = cache["metrics"], cache["settings"]
    counted = settings["enable_metrics"]
    lookups = metrics["hits"] + metrics["misses"]
    return [
        cache_label(cache),
        formatting.share(metrics["hit_rate"] if counted and lookups else None),
        formatting.count(lookups if counted else None),
        formatting.count(metrics["entry_count"]),
        formatting.byte_size(cache["charged_bytes"]),
        (
            f"{formatting.share(cache['charged_bytes'] / cache['max_bytes'])} of "
            f"{formatting.byte_size(cache['max_bytes'])}"
        ),
        formatting.count(metrics["evictions"] if counted else None),
        formatting.count(metrics["expirations"] if counted else None),
        formatting.count(metrics.get("forgotten") if counted else None),  # an earlier daemon has none
        settings["eviction_policy"],
        formatting.cache_ttl(settings),
        formatting.count(cache["attached_processes"]),
    ]


_GAP = "  "
_INDENT = "  "


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> Iterator[str]:
    """Yield the lines of a table: the first column to the left, the others to the right.

    `width` None: as wide as needed.
    """
    lines = [list(headings), *map(list, rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(headings))]
    if width is not None and len(_INDENT) + sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        yield from _one_below_the_other(headings, rows)
        return
    for line in lines:
        first, *others = line
        cells = [first + " " * (widths[0] - _width(first))]
        cells += [" " * (size - _width(cell)) + cell for size, cell in zip(widths[1:], others, strict=True)]
        yield (_INDENT + _GAP.join(cells)).rstrip()


def _one_below_the_other(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widest = max(map(_width, headings))
    for row in rows:
        yield f"{_INDENT}{row[0]}"
        for heading, cell in zip(headings[1:], row[1:], strict=True):
            yield f"{_INDENT}{_INDENT}{heading:<{widest}}  {cell}"


def _width(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    return sum(_columns(each) for each in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
