"""Positions and order: options of lists, and of commands that sort."""

from __future__ import annotations

from enum import Enum


class Limit:
    """A part of a result: `count` elements from the zero-based `offset` on; a negative count means all of them."""

    __slots__ = ("count", "offset")

    def __init__(self, offset: int, count: int) -> None:
        self.offset = offset
        self.count = count

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command."""
        return [b"LIMIT", b"%d" % self.offset, b"%d" % self.count]


class OrderBy(Enum):
    """The order of results: ascending or descending."""

    ASC = "ASC"
    DESC = "DESC"


class ListDirection(Enum):
    """An end of a list."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"


class InsertPosition(Enum):
    """The side of the pivot (`LINSERT`)."""

    BEFORE = "BEFORE"
    AFTER = "AFTER"
