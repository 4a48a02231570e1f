"""Pipelines whose writes are noted in the shared pool as they are sent (docs/design/0028-advice.md)."""

from __future__ import annotations

import weakref

from glidecache.fronts.command_classes import is_known_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from glidecache.fronts.shared_reads import SharedReads

_noted_classes: dict[type, type] = {}
_writes: weakref.WeakKeyDictionary[Any, PipelineWrites] = weakref.WeakKeyDictionary()


class PipelineWrites:
    """The commands of one pipeline that may write, until it is executed."""

    __slots__ = ("commands", "reads")

    def __init__(self, reads: SharedReads) -> None:
        self.reads = reads
        self.commands: list[tuple[Any, ...]] = []

    def note(self) -> None:
        """Note them as written, and forget them."""
        commands, self.commands = self.commands, []
        for command in commands:
            self.reads.note_write(command)


def note_writes_of(pipeline: Any, reads: SharedReads) -> None:
    """Note what the pipeline writes, each time it is executed.

    It becomes an object of a subclass of its class: nothing that its library keeps in it is touched, and nothing refers
    to it, so its end is noticed.
    """
    kind = type(pipeline)
    noted = _noted_classes.get(kind)
    if noted is None:
        noted = _noted_classes.setdefault(kind, _noted_class(kind))
    pipeline.__class__ = noted
    _writes[pipeline] = PipelineWrites(reads)


def _noted_class(kind: type[Any]) -> type:
    def execute_command(pipeline: Any, *args: Any, **options: Any) -> Any:
        writes = _writes.get(pipeline)
        if writes is not None and args and not is_known_read(args):
            if getattr(pipeline, "watching", False) and not getattr(pipeline, "explicit_transaction", False):
                writes.reads.note_write(args)  # sent at once
            else:
                writes.commands.append(args)
        return kind.execute_command(pipeline, *args, **options)

    def execute(pipeline: Any, *args: Any, **options: Any) -> Any:
        writes = _writes.get(pipeline)
        if writes is not None:
            writes.note()
        return kind.execute(pipeline, *args, **options)

    def reset(pipeline: Any, *args: Any, **options: Any) -> Any:
        writes = _writes.get(pipeline)
        if writes is not None:
            writes.commands.clear()
        return kind.reset(pipeline, *args, **options)

    contents: dict[str, Any] = {
        "__slots__": (),
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "execute_command": execute_command,
        "execute": execute,
    }
    if hasattr(kind, "reset"):
        contents["reset"] = reset
    return type(kind.__name__, (kind,), contents)
