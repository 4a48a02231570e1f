"""One name for one thing: a class or a module name is used once in the whole product."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePath
from typing import TYPE_CHECKING

from support.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOTS = ("client", "daemon", "shared")
MIRRORED_CLASSES = {"GlideClient", "GlideClusterClient"}
"""The asyncio and the blocking client have GLIDE's names."""

MIRRORED_MODULES = {
    "client": "aio, sync, and the clients' configuration",
    "cluster_client": "aio, sync",
    "connection": "aio, sync, what both share, its configuration, and the daemon's to a server",
    "server": "commands and their options, and the daemon's server",
    "watch": "the client's part, and its handlers in the daemon",
}
_CLASS = re.compile(r"^(?:cdef )?class (\w+)", re.MULTILINE)


def sources() -> Iterator[Path]:
    for root in ROOTS:
        for source in sorted((ROOT / root).rglob("*.py*")):
            if (
                source.suffix in {".py", ".pyx"}
                and source.stem != "__init__"
                and "_generated" not in source.parts
            ):
                yield source


def places(names: Iterator[tuple[str, Path]]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name, source in names:
        found[name].append(str(PurePath(source).relative_to(ROOT)))
    return {name: files for name, files in found.items() if len(files) > 1}


def test_class_names_are_used_once() -> None:
    found = places(
        (name, source)
        for source in sources()
        for name in _CLASS.findall(source.read_text())
        if name[0] != "_"
    )
    assert {name: files for name, files in found.items() if name not in MIRRORED_CLASSES} == {}


def test_module_names_are_used_once() -> None:
    found = places((source.stem, source) for source in sources())
    assert {name: files for name, files in found.items() if name not in MIRRORED_MODULES} == {}
