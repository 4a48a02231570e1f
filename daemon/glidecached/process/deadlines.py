"""Requests by deadline: cheap to add and to remove, because almost every request is answered in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import cython

if TYPE_CHECKING:
    from glidecached.process.loop import Loop

SECOND_NS = cython.declare(cython.longlong, 1_000_000_000)
HORIZON_NS = cython.declare(cython.longlong, 86_400 * 1_000_000_000)


class Expiring(Protocol):
    """An object that has to end at its deadline."""

    @property
    def deadline_ns(self) -> int:
        """Return the deadline in ns, on CLOCK_MONOTONIC."""

    def expire(self) -> None:
        """End: the deadline has passed."""


class Deadlines:
    """The slots of time, each a set with one timer: expiry is up to one slot late (5 ms; 1 % later on), never early.

    An answered request is removed from its slot at once, so the slots contain exactly the open requests. No request
    stays longer than a day.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.slots: dict[int, set[Expiring]] = {}

    def __len__(self) -> int:
        """Return the present number of slots."""
        return len(self.slots)

    def add(self, request: Expiring, now_ns: cython.longlong) -> set[Expiring]:
        """Arrange for `expire` to be called after the deadline. Return the slot: `discard` the request from it."""
        slot = self.slot_for(request.deadline_ns, now_ns)
        slot.add(request)
        return slot

    def slot_for(self, deadline_ns: cython.longlong, now_ns: cython.longlong) -> set[Expiring]:
        """Return the slot of a deadline, a new one with a timer if there was none."""
        deadline_ns = min(deadline_ns, now_ns + HORIZON_NS)
        width_ns: cython.longlong = width_of(deadline_ns - now_ns)
        due_ns: cython.longlong = (deadline_ns // width_ns + 1) * width_ns
        slot: set[Expiring] | None = self.slots.get(due_ns)
        if slot is None:
            slot = self.slots[due_ns] = set()
            self.loop.call_at(due_ns, self._expire, due_ns)
        return slot

    def _expire(self, due_ns: int) -> None:
        for request in list(self.slots.pop(due_ns)):
            request.expire()


def width_of(distance_ns: cython.longlong) -> cython.longlong:
    """Return the width of the slots at that distance.

    Late deadlines need not be exact. So there are some 20,000 slots at most, for any deadlines that clients choose.
    """
    if distance_ns <= 10 * SECOND_NS:
        return 5_000_000
    return 100_000_000 if distance_ns <= 1_000 * SECOND_NS else 10 * SECOND_NS
