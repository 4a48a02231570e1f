"""The lane: room beside the budget for one message at a time that is larger than a process's share of it."""

from __future__ import annotations


class OversizeLane:
    """The holder of the lane, and those that wait for it, in the order of asking. For the loop's thread."""

    def __init__(self) -> None:
        self.holder: object | None = None
        self._waiting: dict[object, None] = {}

    def enter(self, who: object) -> bool:
        """Take the lane, or join the queue for it: ask again later. One that waits no longer must `leave`."""
        if self.holder is who:
            return True
        if self.holder is None and (not self._waiting or next(iter(self._waiting)) is who):
            self._waiting.pop(who, None)
            self.holder = who
            return True
        self._waiting[who] = None
        return False

    def enter_now(self, who: object) -> bool:
        """Take the lane if it is free, ahead of those that wait."""
        if self.holder is None:
            self._waiting.pop(who, None)
            self.holder = who
        return self.holder is who

    def leave(self, who: object) -> None:
        """Give the lane back, or leave the queue for it. Idempotent."""
        self._waiting.pop(who, None)
        if self.holder is who:
            self.holder = None
