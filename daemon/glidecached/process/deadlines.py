"""Requests by deadline: cheap to add and to remove, because almost every request is answered in time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import cython

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.process.loop import Loop

SECOND_NS = cython.declare(cython.longlong, 1_000_000_000)
HORIZON_NS = cython.declare(cython.longlong, 86_400 * 1_000_000_000)


class Expiring:
    """An object that has to end at its deadline. It is in one slot at most."""

    deadline_ns: int
    """The deadline in ns, on CLOCK_MONOTONIC."""
    slot: DeadlineSlot | None
    slot_before: Expiring | None
    slot_behind: Expiring | None

    def expire(self) -> None:
        """End: the deadline has passed. Implemented by subclasses."""
        raise NotImplementedError


class DeadlineSlot:
    """The objects whose deadlines are in one slot of time, linked to one another."""

    due_ns: int
    first: Expiring | None

    def __iter__(self) -> Iterator[Expiring]:
        found: list[Expiring] = []
        request: Expiring | None = self.first
        while request is not None:
            found.append(request)
            request = request.slot_behind
        return iter(found)

    def put(self, request: Expiring) -> None:
        """Add an object that is in no slot."""
        request.slot = self
        request.slot_behind = self.first
        if self.first is not None:
            self.first.slot_before = request
        self.first = request

    def discard(self, request: Expiring) -> None:
        """Remove an object that was added, unless it has been removed."""
        before: Expiring | None = request.slot_before
        behind: Expiring | None = request.slot_behind
        if request.slot is not self:
            return
        request.slot = request.slot_before = request.slot_behind = None
        if before is None:
            self.first = behind
        else:
            before.slot_behind = behind
        if behind is not None:
            behind.slot_before = before


class Deadlines:
    """The slots of time, each with one timer: expiry is up to one slot late (5 ms; 1 % later on), never early.

    An answered request is removed from its slot at once, so the slots contain exactly the open requests. No request
    stays longer than a day.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.slots: dict[int, DeadlineSlot] = {}
        self.latest: DeadlineSlot | None = None

    def __len__(self) -> int:
        """Return the present number of slots."""
        return len(self.slots)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the objects whose deadlines are to come."""
        return itertools.chain.from_iterable(list(self.slots.values()))

    def add(self, request: Expiring, now_ns: cython.longlong) -> DeadlineSlot:
        """Arrange for `expire` to be called after the deadline. Return the slot: `discard` the request from it."""
        slot: DeadlineSlot = self.slot_for(request.deadline_ns, now_ns)
        slot.put(request)
        return slot

    def slot_for(self, deadline_ns: cython.longlong, now_ns: cython.longlong) -> DeadlineSlot:
        """Return the slot of a deadline, a new one with a timer if there was none."""
        deadline_ns = min(deadline_ns, now_ns + HORIZON_NS)
        width_ns: cython.longlong = width_of(deadline_ns - now_ns)
        due_ns: cython.longlong = (deadline_ns // width_ns + 1) * width_ns
        slot: DeadlineSlot | None = self.latest
        if slot is not None and slot.due_ns == due_ns:
            return slot
        slot = self.slots.get(due_ns)
        if slot is None:
            slot = DeadlineSlot.__new__(DeadlineSlot)
            slot.due_ns = due_ns
            self.slots[due_ns] = slot
            self.loop.call_at(due_ns, self._expire, due_ns)
        self.latest = slot
        return slot

    def _expire(self, due_ns: int) -> None:
        slot: DeadlineSlot = self.slots.pop(due_ns)
        request: Expiring
        if slot is self.latest:
            self.latest = None
        for request in slot:
            # It may have been answered by what the ones before it have caused.
            if request.slot is slot:
                slot.discard(request)
                request.expire()


def width_of(distance_ns: cython.longlong) -> cython.longlong:
    """Return the width of the slots at that distance.

    Late deadlines need not be exact. So there are some 20,000 slots at most, for any deadlines that clients choose.
    """
    if distance_ns <= 10 * SECOND_NS:
        return 5_000_000
    return 100_000_000 if distance_ns <= 1_000 * SECOND_NS else 10 * SECOND_NS
