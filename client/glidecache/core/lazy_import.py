"""Modules that are imported late: workers that are forked before they use the cache need none of them.

What a call needs is imported when the client attaches, not during the call. A process without a free descriptor cannot
import anything by then, and an exception from outside could interrupt an import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_OF_CALLS = (
    "logging",
    "msgpack",
    "glidecache.batch",
    "glidecache.commands.cluster_scan",
    "glidecache.commands.batched",
    "glidecache.commands.cluster_only",
    "glidecache.commands.custom_command",
    "glidecache.commands.geo",
    "glidecache.commands.hashes",
    "glidecache.commands.keys",
    "glidecache.commands.lists",
    "glidecache.commands.scripting",
    "glidecache.commands.server",
    "glidecache.commands.sets",
    "glidecache.commands.sorted_sets",
    "glidecache.commands.standalone_only",
    "glidecache.commands.streams",
    "glidecache.commands.strings",
    "glidecache.core.pool_faults",
    "glidecache.routes",
)
_imported: list[str] = []


def import_ahead() -> None:
    """Import the modules that calls need, once per process."""
    if len(_imported) == len(_OF_CALLS):
        return
    from importlib import import_module

    for name in _OF_CALLS[len(_imported) :]:
        import_module(name)
        _imported.append(name)


class LazyModule:
    """A placeholder for a module. A name that was used once is an attribute of this object from then on."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        from importlib import import_module

        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value
