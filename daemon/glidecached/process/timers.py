# cython: boundscheck=False, wraparound=False
"""The loop's timers, the next one first: a heap that compares C numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cython

if TYPE_CHECKING:
    from collections.abc import Callable


def no_callback() -> None:
    """Stand for the callback of a timer that has a task."""


class TimedTask:
    """A compiled object that has something to do at a time."""

    def run_timer(self) -> None:
        """Do it: the time has come. Implemented by subclasses."""
        raise NotImplementedError


class Timer:
    """One callback at one time; it may be cancelled until it has run."""

    task: TimedTask | None
    callback: Callable[..., object]
    arguments: tuple[Any, ...]
    cancelled: bool
    when_ns: int
    number: int

    def cancel(self) -> None:
        """Cancel the callback. Idempotent, and harmless after it ran."""
        self.cancelled = True

    def is_before(self, other: Timer) -> cython.bint:
        """Return whether it runs before the other."""
        if self.when_ns != other.when_ns:
            return self.when_ns < other.when_ns
        return self.number < other.number


class Timers:
    """The timers that have not run: by time, and those of one time in the order of asking."""

    def __init__(self) -> None:
        self.heap: list[Timer] = []
        self.numbers = 0

    def add(
        self, when_ns: cython.longlong, callback: Callable[..., object], arguments: tuple[Any, ...]
    ) -> Timer:
        """Add a timer, and return it."""
        timer: Timer = Timer.__new__(Timer)
        timer.callback = callback
        timer.arguments = arguments
        timer.when_ns = when_ns
        self.numbers += 1
        timer.number = self.numbers
        self.heap.append(timer)
        self.rise(len(self.heap) - 1)
        return timer

    def add_task(self, when_ns: cython.longlong, task: TimedTask) -> Timer:
        """Add a timer for a task."""
        timer: Timer = self.add(when_ns, no_callback, ())
        timer.task = task
        return timer

    def first(self) -> Timer | None:
        """Return the next timer that is not cancelled, or None. It stays."""
        timer: Timer
        while self.heap:
            timer = self.heap[0]
            if not timer.cancelled:
                return timer
            self.take_first()
        return None

    def take_first(self) -> Timer:
        """Remove and return the timer at the head. Only when there is one."""
        last: Timer = self.heap.pop()
        first: Timer
        if not self.heap:
            return last
        first = self.heap[0]
        self.heap[0] = last
        self.sink()
        return first

    def rise(self, place: cython.Py_ssize_t) -> None:
        """Move the timer at that place towards the head, as far as it is before those there."""
        heap: list[Timer] = self.heap
        timer: Timer = heap[place]
        above: Timer
        while place > 0:
            above = heap[(place - 1) >> 1]
            if not timer.is_before(above):
                break
            heap[place] = above
            place = (place - 1) >> 1
        heap[place] = timer

    def sink(self) -> None:
        """Move the timer at the head away from it, as far as others are before it."""
        heap: list[Timer] = self.heap
        timer: Timer = heap[0]
        place: cython.Py_ssize_t = 0
        below: cython.Py_ssize_t = 1
        count: cython.Py_ssize_t = len(heap)
        child: Timer
        other: Timer
        while below < count:
            child = heap[below]
            if below + 1 < count:
                other = heap[below + 1]
                if other.is_before(child):
                    child = other
                    below += 1
            if not child.is_before(timer):
                break
            heap[place] = child
            place = below
            below = 2 * place + 1
        heap[place] = timer
