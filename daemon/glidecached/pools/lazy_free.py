"""Lazy free of pools and generations that have ended: their memory is returned to the file system in small steps.

Freeing a file's pages takes the kernel more than half a second per gigabyte, in the thread that closes it last.
Requests have 250 ms. So the pages of a large file are punched out of it in steps first. That waits for a grace
period: a reader may be in the middle of a lookup. Afterwards it finds zeros, which is a miss. Idle workers that have
the file mapped do not keep its memory, either.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glidecache_shared.pool.store import PoolStore
    from glidecached.process.loop import Loop

_AT_ONCE_BYTES = 16 << 20
"""The amount freed in a few milliseconds; descriptors of smaller files, which may be many, are not kept."""


class LazyFree:
    """The stores whose memory is being freed. For the loop's thread."""

    def __init__(self, loop: Loop, grace_ms: int) -> None:
        self._loop = loop
        self._grace_ms = grace_ms
        self._resting: deque[PoolStore] = deque()
        self._leaving: deque[PoolStore] = deque()

    def add(self, store: PoolStore) -> None:
        """Remove the files of a retired store, and close it once their memory is returned."""
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
        if self._leaving[0].free_some():
            self._leaving.popleft().close()
        if self._leaving:
            self._loop.defer(self._turn)
