"""Work for the end of a turn of the loop: what was submitted in the turn leaves together.

The tasks are linked to one another, so planning one makes no object.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import cython

logger = logging.getLogger(__name__)


class Deferred:
    """A task that can be planned for the end of a turn."""

    behind: Deferred | None
    is_waiting: cython.bint

    def end_turn(self) -> None:
        """Do what was planned. Implemented by subclasses."""
        raise NotImplementedError


class DeferredCall(Deferred):
    """A callback that is called once."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback

    def __repr__(self) -> str:
        return repr(self._callback)

    def end_turn(self) -> None:
        """Implement `Deferred`."""
        self._callback()


class TurnEnd:
    """The tasks for the end of this turn, in the order of planning. For the loop's thread."""

    def __init__(self) -> None:
        self.first: Deferred | None = None
        self.last: Deferred | None = None

    def __bool__(self) -> bool:
        return self.first is not None

    def add(self, task: Deferred) -> None:
        """Plan a task, unless it is planned already."""
        if task.is_waiting:
            return
        task.is_waiting = True
        if self.last is None:
            self.first = task
        else:
            self.last.behind = task
        self.last = task

    def carry_out(self) -> None:
        """Do the tasks that are planned now; those that they plan are for the next turn."""
        task: Deferred | None = self.first
        following: Deferred | None
        self.first = self.last = None
        while task is not None:
            following = task.behind
            task.behind = None
            task.is_waiting = False
            try:
                task.end_turn()
            except Exception:
                logger.exception("a callback failed; the loop continues", extra={"callback": repr(task)})
            task = following
