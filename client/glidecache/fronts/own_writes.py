"""The writes of one client that the daemon has not seen (contract C22; docs/design/0025-fronts.md)."""

from __future__ import annotations

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class OwnWrites:
    """The record of ended commands that are not known reads, and of the daemon's knowledge of them. For any thread.

    A request for a miss takes `last` before it is sent, and carries `own_writes` unless it is `told`. Once it was
    answered, what it took becomes `told`. Both are objects that are compared by identity: each end of a command makes a
    new one, so no count can be lost between threads.
    """

    __slots__ = ("__weakref__", "_pipelines", "last", "told")

    def __init__(self) -> None:
        self.last = self.told = object()
        self._pipelines: set[weakref.ref[Any]] = set()

    def note(self) -> None:
        """Note that a command has ended."""
        self.last = object()

    def is_told(self, last: object) -> bool:
        """Return whether the daemon knows of all that had ended when `last` was taken."""
        return last is self.told and not self._pipelines

    def watch(self, pipeline: object) -> None:
        """Count a pipeline's commands: they may end at any time while it exists."""
        pipelines, this = self._pipelines, weakref.ref(self)

        def ended(reference: weakref.ref[Any]) -> None:
            writes = this()
            if writes is not None:
                writes.note()
            pipelines.discard(reference)

        pipelines.add(weakref.ref(pipeline, ended))
