"""Requests by deadline: cheap to add and to take out, because almost every request is answered in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from glidecached.loop import Loop

_SECOND_NS = 1_000_000_000
_HORIZON_NS = 86_400 * _SECOND_NS

# (how far away, how wide the slots are): what is due late need not be exact, and there are some 20,000 slots at most,
# whatever deadlines clients think of.
_WIDTHS_NS = (
    (10 * _SECOND_NS, 5_000_000),
    (1_000 * _SECOND_NS, 100_000_000),
    (_HORIZON_NS, 10 * _SECOND_NS),
)


class Expiring(Protocol):
    """Something that has to end when its time has come."""

    @property
    def deadline_ns(self) -> int:
        """When, on CLOCK_MONOTONIC."""

    def expire(self) -> None:
        """The deadline has passed."""


class Deadlines:
    """Slots of time, each a set with one timer: an expiry comes up to one slot late (5 ms; 1 % later on), never early.

    A request that was answered is taken out of its slot at once, so what stands here is what is open. Nothing stays
    longer than a day.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Expiring]] = {}

    def add(self, request: Expiring, now_ns: int) -> set[Expiring]:
        """Have `expire` called after the deadline; the returned slot is what `discard` takes the request out of."""
        deadline_ns = min(request.deadline_ns, now_ns + _HORIZON_NS)
        width_ns = _width_ns(deadline_ns - now_ns)
        due_ns = (deadline_ns // width_ns + 1) * width_ns
        slot = self._slots.get(due_ns)
        if slot is None:
            slot = self._slots[due_ns] = set()
            self._loop.call_at(due_ns, self._expire, due_ns)
        slot.add(request)
        return slot

    def _expire(self, due_ns: int) -> None:
        for request in list(self._slots.pop(due_ns)):
            request.expire()


def _width_ns(distance_ns: int) -> int:
    for reach_ns, width_ns in _WIDTHS_NS:
        if distance_ns <= reach_ns:
            return width_ns
    return _WIDTHS_NS[-1][1]
