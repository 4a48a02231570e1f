"""Pipelines with so many commands that splitting them by slot in one go would delay others (isolation I10)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.process.loop import Loop


class LongPipelines:
    """The long pipelines, split one after another in steps.

    Each step has a turn of the loop in which nothing else happens. For the loop's thread.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[Iterator[None]] = deque()

    @property
    def busy(self) -> bool:
        """Return whether a pipeline is being split and sent: later commands that need an order wait for it."""
        return bool(self._waiting)

    def start(self, steps: Iterator[None]) -> None:
        """Do the steps, behind those of earlier pipelines."""
        self._waiting.append(steps)
        if len(self._waiting) == 1:
            self._loop.when_idle(self._step)

    def _step(self) -> None:
        steps = self._waiting.popleft()
        try:
            next(steps)
        except StopIteration:
            pass
        else:
            self._waiting.appendleft(steps)
        finally:
            # The loop logs the exceptions of a step; the other pipelines continue.
            if self._waiting:
                self._loop.when_idle(self._step)
