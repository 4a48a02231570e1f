"""A directory of which one daemon at a time is the owner, kept by a lock file that leaves with it."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOCK_NAME = "glidecached.lock"


class DirectoryLockedError(Exception):
    """Another daemon owns the directory: `args[0]` says which, and its pid if it can be read."""


class DirectoryLock:
    """Ownership of `directory` from construction until `release` or the process's death.

    Raises `DirectoryLockedError`, or `OSError`.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / LOCK_NAME
        self._descriptor = self._acquire()
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give the directory up, and remove the lock file while it is still ours. Idempotent."""
        if self._descriptor >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def _acquire(self) -> int:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                message = f"{self.path.parent} belongs to another glidecached" + (
                    f" (pid {holder})" if holder else ""
                )
                raise DirectoryLockedError(message) from None
            if self._still_leads_to(descriptor):
                return descriptor
            # The last owner removed its file between our opening and locking it: begin again with the next one.
            os.close(descriptor)

    def _still_leads_to(self, descriptor: int) -> bool:
        try:
            found = self.path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        own = os.fstat(descriptor)
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
