# cython: boundscheck=False, wraparound=False
"""A queue of calls, for compiled code: what `collections.deque` does, without a look-up of its methods by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cython

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from glidecached.upstream.call import Call

_FIRST_ROOM = 16


class CallQueue:
    """Calls in their order, with the methods of a `deque`. Each of them takes constant time, except `remove`.

    A place is found by a mask of the ring's length, so it is always within the ring: bounds need no check.
    """

    count: cython.Py_ssize_t
    """The number of calls."""

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self.ring: list[Call | None] = [None] * _FIRST_ROOM
        self.head: cython.Py_ssize_t = 0
        self.extend(calls)

    def __len__(self) -> int:
        return int(self.count)

    def __bool__(self) -> bool:
        return bool(self.count)

    def __iter__(self) -> Iterator[Call]:
        return iter([self.at(place) for place in range(self.count)])

    def __getitem__(self, place: int) -> Call:
        if not -self.count <= place < self.count:
            raise IndexError(place)
        call: Call = self.at(place % self.count)
        return call

    def append(self, call: Call) -> None:
        """Add a call at the end."""
        if self.count == len(self.ring):
            self.grow()
        self.ring[(self.head + self.count) & (len(self.ring) - 1)] = call
        self.count += 1

    def appendleft(self, call: Call) -> None:
        """Add a call at the head."""
        if self.count == len(self.ring):
            self.grow()
        self.head = (self.head - 1) & (len(self.ring) - 1)
        self.ring[self.head] = call
        self.count += 1

    def popleft(self) -> Call:
        """Remove and return the call at the head. Raises `IndexError` if there is none."""
        if self.count == 0:
            message = "no call waits"
            raise IndexError(message)
        call: Call = cython.cast("Call", self.ring[self.head])
        self.ring[self.head] = None
        self.head = (self.head + 1) & (len(self.ring) - 1)
        self.count -= 1
        return call

    def extend(self, calls: Iterable[Call]) -> None:
        """Add calls at the end, in their order."""
        for call in calls:
            self.append(call)

    def extendleft(self, calls: Iterable[Call]) -> None:
        """Add calls at the head, one after another: the last one is the first then."""
        for call in calls:
            self.appendleft(call)

    def remove(self, call: Call) -> None:
        """Remove a call, wherever it is. Raises `ValueError` if it is not there."""
        calls = list(self)
        calls.remove(call)
        self.clear()
        self.extend(calls)

    def clear(self) -> None:
        """Remove all calls."""
        self.ring = [None] * _FIRST_ROOM
        self.head = self.count = 0

    def at(self, place: cython.Py_ssize_t) -> Call:
        """Return the call at that place, which is below `count`."""
        call: Call = cython.cast("Call", self.ring[(self.head + place) & (len(self.ring) - 1)])
        return call

    def grow(self) -> None:
        """Double the room."""
        calls = list(self)
        self.ring = [*calls, *[None] * len(self.ring)]
        self.head = 0
