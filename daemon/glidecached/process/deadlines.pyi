"""Requests by deadline: cheap to add and to remove, because almost every request is answered in time."""

from typing import Protocol

from glidecached.process.loop import Loop

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

    def __init__(self, loop: Loop) -> None: ...
    def __len__(self) -> int:
        """Return the present number of slots."""

    def add(self, request: Expiring, now_ns: int) -> set[Expiring]:
        """Arrange for `expire` to be called after the deadline. Return the slot: `discard` the request from it."""
