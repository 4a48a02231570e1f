"""A full file system: the reserve for new pools, and one log message per episode."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import TypeVar

    from glidecached.pools.pool import Pool

    Made = TypeVar("Made")

logger = logging.getLogger(__name__)

_RESERVE_BYTES = 256 << 10
"""For some ten pools: an empty one has 20 KB."""
_SMALLEST_BYTES = 32 << 10
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_QUIET_LOOKS = 5
_ROOM_BYTES = 1 << 20
_NAMED = 3
"""The number of caches that the event names."""


class Reserve:
    """A part of the pools' file system that belongs to no pool, for new pools when there is no other memory.

    Existing pools grow into all that is left, so that a new one would find no memory at all. The reserve's file has no
    name, so it leaves nothing behind. On a file system without such files there is no reserve. For the loop's thread.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor = -1
        self.held_bytes = 0
        with contextlib.suppress(OSError):
            self._descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self.refill()

    def refill(self) -> None:
        """Take as much of it as is available."""
        wanted_bytes = _RESERVE_BYTES
        while self._descriptor >= 0 and self.held_bytes < wanted_bytes >= _SMALLEST_BYTES:
            try:
                os.posix_fallocate(self._descriptor, 0, wanted_bytes)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    self.close()
                wanted_bytes //= 2
            else:
                self.held_bytes = wanted_bytes

    def make(self, make: Callable[[], Made]) -> Made:
        """Call `make`. If it reports a full file system, give the reserve up and call it once more."""
        try:
            return make()
        except Exception as error:
            if not self.held_bytes or not says_full(error):
                raise
        os.ftruncate(self._descriptor, 0)
        self.held_bytes = 0
        try:
            return make()
        finally:
            self.refill()

    def close(self) -> None:
        """Give the reserve up for good. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self.held_bytes = -1, 0


class RoomWatch:
    """A watch on memory: it logs that pools are refused memory, and that there is room again. For the loop's thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._is_full = False
        self._quiet_looks = 0

    def look(self, pools: Iterable[Pool]) -> None:
        """Check whether pools were refused memory since the last check; called with the heartbeats."""
        refused = [pool for pool in pools if pool.take_refusals()]
        if refused:
            self._quiet_looks = 0
            if not self._is_full:
                self._is_full = True
                logger.warning(
                    "file system full, pools cannot grow",
                    extra={
                        "path": str(self._directory),
                        "caches": ", ".join(pool.label for pool in refused[:_NAMED]),
                        "refused_pools": len(refused),
                    },
                )
        elif self._is_full:
            self._quiet_looks += 1
            if self._quiet_looks >= _QUIET_LOOKS and self._free_bytes() >= _ROOM_BYTES:
                self._is_full = False
                logger.info("file system has room again", extra={"path": str(self._directory)})

    def _free_bytes(self) -> int:
        try:
            status = os.statvfs(self._directory)
        except OSError:
            return 0
        # A file system without a size, such as ramfs, is never full.
        return status.f_bavail * status.f_frsize if status.f_blocks else _ROOM_BYTES


def says_full(error: BaseException) -> bool:
    """Return whether the error, or its cause, is that the file system has no room."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            return True
        cause = cause.__cause__
    return False
