"""What a worker has done so far, where the one who kills it can still read it."""

from __future__ import annotations

import enum
import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Count(enum.IntEnum):
    """The numbers of one lane: a thread or a task of a worker, which makes one call after the other."""

    BEGUN_NS = 0
    """When the call began that is going on; 0 between calls."""
    READS = enum.auto()
    WRITES = enum.auto()
    FORGETS = enum.auto()
    """Keys that the daemon answered to have forgotten."""
    TIMEOUTS = enum.auto()
    """Calls that ended with `TimeoutError`, and so on."""
    CONNECTIONS = enum.auto()
    UNAVAILABLE = enum.auto()
    REFUSED = enum.auto()
    LONGEST_NS = enum.auto()
    """The call that took longest."""
    LONGEST_ENDED_NS = enum.auto()
    STALEST_NS = enum.auto()
    """How long after its replacement a value was read at most."""
    COMPLAINTS = enum.auto()
    """Lines in the worker's book of complaints."""
    INSTANCE = enum.auto()
    """The daemon process by which the last write was acknowledged; 0 if it went directly."""
    ACKNOWLEDGED_NS = enum.auto()
    """When that was."""


_ROW = len(Count)


class Tally:
    """A file of one row for each lane of a worker. Each number has one writer and is written in one piece."""

    def __init__(self, path: Path, lanes: int) -> None:
        with path.open("a+b") as file:
            file.truncate(lanes * _ROW * 8)
            numbers = memoryview(mmap.mmap(file.fileno(), lanes * _ROW * 8)).cast("q")
        self.lanes = [numbers[lane * _ROW : (lane + 1) * _ROW] for lane in range(lanes)]

    def total(self, count: Count) -> int:
        """The sum over all lanes."""
        return sum(row[count] for row in self.lanes)
