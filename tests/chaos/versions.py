"""The time at which each version of a key was written or forgotten: tables that the writer and all workers map."""

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
        self._numbers = _map(path, keys * _COLUMNS)

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

    def written_ns(self, key: int) -> int:
        """When the newest version was acknowledged; 0 if it is not yet."""
        return self.replaced_ns(key, self.newest(key) - 1)

    def oldest(self, key: int) -> int:
        """The oldest version that the server can still have now: that before the newest, until that is acknowledged."""
        newest = self.newest(key)
        return newest if self.written_ns(key) else newest - 1

    def replaced_ns(self, key: int, version: int) -> int:
        """When `version` was surely replaced, on the monotonic clock; 0 if it may still be the server's."""
        if self.newest(key) - version >= HISTORY:
            return _LONG_AGO_NS
        return self._numbers[key * _COLUMNS + _REPLACED + version % HISTORY]


class Floors:
    """The oldest version of each key that may still be read through one cache, since it was forgotten there (C25).

    Any number of processes raise them. Of two at once the lower may remain: then less is demanded, never too much.
    """

    def __init__(self, path: Path, keys: int) -> None:
        self._numbers = _map(path, keys)

    def raise_to(self, key: int, version: int) -> None:
        """FORGET was answered, and had been asked for when the server had this version or a newer one."""
        self._numbers[key] = max(self._numbers[key], version)

    def of(self, key: int) -> int:
        """The oldest version that a read which begins now may give."""
        return self._numbers[key]


def _map(path: Path, numbers: int) -> memoryview[int]:
    with path.open("a+b") as file:
        file.truncate(numbers * 8)
        return memoryview(mmap.mmap(file.fileno(), numbers * 8)).cast("q")
