"""Which version of which key was written when: a table that the writer and all workers map."""

from __future__ import annotations

import mmap
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = 128
"""Of how many versions of a key it is known when they were replaced."""

_NEWEST = 0
_REPLACED = 1
_COLUMNS = _REPLACED + HISTORY
_LONG_AGO_NS = 1


class Versions:
    """One row a key. One writer, any number of readers in any process; each number is written in one piece."""

    def __init__(self, path: Path, keys: int) -> None:
        size_bytes = keys * _COLUMNS * 8
        with path.open("a+b") as file:
            file.truncate(size_bytes)
            self._numbers = memoryview(mmap.mmap(file.fileno(), size_bytes)).cast("q")

    def begin(self, key: int, version: int) -> None:
        """From now on this version may be read, and nobody knows yet that it replaces the one before."""
        self._numbers[key * _COLUMNS + _REPLACED + version % HISTORY] = 0
        self._numbers[key * _COLUMNS + _NEWEST] = version

    def finish(self, key: int, version: int) -> None:
        """The server has acknowledged this version: it has replaced the one before."""
        self._numbers[key * _COLUMNS + _REPLACED + (version - 1) % HISTORY] = time.monotonic_ns()

    def newest(self, key: int) -> int:
        """The newest version that can have been written."""
        return self._numbers[key * _COLUMNS + _NEWEST]

    def replaced_ns(self, key: int, version: int) -> int:
        """When `version` was surely replaced, on the monotonic clock; 0 if it may still be the server's."""
        if self.newest(key) - version >= HISTORY:
            return _LONG_AGO_NS
        return self._numbers[key * _COLUMNS + _REPLACED + version % HISTORY]
