"""Requests by deadline: cheap to add and to take out, because almost every request is answered in time."""

from typing import Protocol

from glidecached.process.loop import Loop

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

    def __init__(self, loop: Loop) -> None: ...
    def __len__(self) -> int:
        """How many slots there are just now."""

    def add(self, request: Expiring, now_ns: int) -> set[Expiring]:
        """Have `expire` called after the deadline; the returned slot is what `discard` takes the request out of."""
