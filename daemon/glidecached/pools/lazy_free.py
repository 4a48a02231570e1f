"""What is left of pools and generations that have ended: their memory goes back to the file system a little at a time.

Freeing a file's pages takes the kernel more than half a second a gigabyte, in the thread that lets go of it last, and
requests have 250 ms. So the pages of a large one are punched out of it in steps first. That waits for a grace: a reader
may be in the middle of a lookup, and finds zeros afterwards, which is a miss. Workers that have it mapped and ask for
nothing do not keep its memory, either.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glidecache_shared.pool.store import PoolStore
    from glidecached.process.loop import Loop

_AT_ONCE_BYTES = 16 << 20
"""So much is freed in some milliseconds; descriptors of small ones, which may be many, are not kept."""


class LazyFree:
    """For the loop's thread."""

    def __init__(self, loop: Loop, grace_ms: int) -> None:
        self._loop = loop
        self._grace_ms = grace_ms
        self._resting: deque[PoolStore] = deque()
        self._leaving: deque[PoolStore] = deque()

    def add(self, store: PoolStore) -> None:
        """Remove the files of a store that is retired, and close it once their memory is given back."""
        store.unlink()
        if store.resident_bytes <= _AT_ONCE_BYTES:
            store.close()
            return
        self._resting.append(store)
        self._loop.call_later(self._grace_ms, self._begin)

    def close(self) -> None:
        """Close all of them now."""
        for store in (*self._resting, *self._leaving):
            store.close()
        self._resting.clear()
        self._leaving.clear()

    def _begin(self) -> None:
        if self._resting:
            self._leaving.append(self._resting.popleft())
            if len(self._leaving) == 1:
                self._loop.defer(self._turn)

    def _turn(self) -> None:
        if not self._leaving:
            return
        if self._leaving[0].give_back():
            self._leaving.popleft().close()
        if self._leaving:
            self._loop.defer(self._turn)
