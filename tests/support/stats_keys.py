"""The keys of `glidecache stats --json`: those that an answer has, and those that the page promises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from support.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "operator.md"
OPEN_MAPS = ("daemon.refused", "upstreams[].redirections", "caches[].advice")
"""Maps with a key for each thing that has happened, and parts that another page describes."""


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Each key below, as `caches[].metrics.hits`; of a list that is empty nothing is known."""
    if isinstance(value, dict) and path not in OPEN_MAPS:
        for name, content in value.items():
            yield from keys(content, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for each in value:
            yield from keys(each, f"{path}[]")
    elif value != []:
        yield path


def promised(only_of_a_cluster: bool | None = None) -> set[str]:
    """The keys on the page: all, or those that are (not) in the rows of a cluster's."""
    section = PAGE.read_text().partition("### As JSON")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", section, re.MULTILINE)
    return {
        key
        for names, meaning in rows
        if only_of_a_cluster in (None, meaning.startswith("of a cluster"))
        for key in re.findall(r"`([^`]+)`", names)
    }
