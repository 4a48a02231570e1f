"""Long work in slices, in turns of the loop in which nothing else happens: other requests go first (I10)."""

from __future__ import annotations

import logging
import time
from collections import deque
from sys import getrefcount
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.process.loop import Loop

logger = logging.getLogger(__name__)

_TURN_NS = 300_000
"""The longest time for all work together in one turn; a step that has begun is finished."""

_SHARED_MS = 20.0
_RELEASED_AT_ONCE = 5_000
_PATIENCE_TURNS = 1_500
_FEW = 16
_MINE_ALONE = 2
"""The result of `getrefcount` for a value with one owner: that owner, and the call's own argument."""


class SlicedWork:
    """The work in progress, each piece an iterator of steps. For the loop's thread.

    A step yields None to continue in this turn or the next, or a number of milliseconds to sleep.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._ready: deque[Iterator[float | None]] = deque()
        self._planned = False

    def start(self, steps: Iterator[float | None]) -> None:
        """Do the work. Its exceptions are logged."""
        self._ready.append(steps)
        self._plan()

    def release(self, values: list[Any] | dict[Any, Any] | set[Any]) -> None:
        """Free a large container, and the lists in it, in slices, once nothing else refers to it."""
        self.start(_release([values]))

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            self._loop.when_idle(self._run)

    def _run(self) -> None:
        self._planned = False
        until_ns = time.monotonic_ns() + _TURN_NS
        while self._ready:
            steps = self._ready.popleft()
            try:
                pause_ms = next(steps)
            except StopIteration:
                pass
            except Exception:
                logger.exception("sliced work failed")
            else:
                if pause_ms is None:
                    self._ready.append(steps)
                else:
                    self._loop.call_later(pause_ms, self.start, steps)
            if time.monotonic_ns() >= until_ns:
                break
        if self._ready:
            self._plan()


def _release(stack: list[Any]) -> Iterator[float | None]:
    """Empty containers from their ends, once this is their only owner."""
    for _ in range(_PATIENCE_TURNS):
        if not _is_shared(stack):
            break
        yield _SHARED_MS
    else:
        return
    while stack:
        values = stack[-1]
        left = _RELEASED_AT_ONCE
        while values and left > 0:
            value = values.popitem() if type(values) is dict else values.pop()
            left -= 1
            if type(value) is list and getrefcount(value) <= _MINE_ALONE:
                if len(value) > left:
                    stack.append(value)
                    values = value
                else:
                    left -= len(value)
        value = None
        if not values:
            stack.pop()
        if left <= 0:
            yield None


def _is_shared(stack: list[Any]) -> bool:
    """Return whether others refer to the container, or to one of the few in it."""
    if getrefcount(stack[0]) > _MINE_ALONE:
        return True
    values = stack[0]
    if type(values) is not list or len(values) > _FEW:
        return False
    return any(
        type(values[at]) is list and getrefcount(values[at]) > _MINE_ALONE for at in range(len(values))
    )
