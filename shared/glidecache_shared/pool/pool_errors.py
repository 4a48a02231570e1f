"""The failures of making a pool, or of continuing with one."""

from __future__ import annotations

import errno


class PoolFull(Exception):  # noqa: N818 - it says what is the case, as `queue.Full`
    """The pool's file system has no room: for even an empty pool, or for a second generation beside the first."""


class TakeOverError(Exception):
    """An earlier daemon's files cannot be taken over: `args[0]` says why. Their readers have been told to leave."""


class PoolDamagedError(Exception):
    """A pool's file contradicts its daemon's own record of it: no part of it may be used any more.

    Another process has written to it, or memory has failed. The store can still be retired, unlinked and closed.
    """

    def __init__(self, path: str, entries: int) -> None:
        super().__init__(f"{path} is damaged, with {entries} entries in it")
        self.path = path
        self.entries = entries


def raise_full(error: BaseException, directory: str) -> None:
    """Raise `error`, as `PoolFull` if the file system reported that it is full."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        message = f"no room for a new pool in {directory}: {error.strerror}"
        raise PoolFull(message) from error
    raise error
