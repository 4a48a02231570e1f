"""Ownership of the runtime directory, for the daemon."""

from __future__ import annotations

import contextlib
from pathlib import Path

from glidecache_shared.runtime_dir import ensure_runtime_dir, socket_path
from glidecached.process.runtime_lock import DirectoryLock


class OwnedRuntimeDir:
    """The runtime directory, made if it was missing, and locked from construction until `release`.

    A daemon takes the lock before everything else, so that a second daemon changes nothing. Raises
    `DirectoryLockedError`, `OSError` or `ValueError` (architecture, failure model: "two daemons").
    """

    def __init__(self, directory: str) -> None:
        self.path = Path(directory)
        self.socket_path = Path(socket_path(directory))
        self._made = not self.path.is_dir()
        ensure_runtime_dir(directory)
        self._lock = DirectoryLock(self.path)
        self.socket_path.unlink(missing_ok=True)  # a killed daemon's: a living one would have the lock

    def restore(self) -> bool:
        """Make and lock the directory again if it, or the lock in it, has vanished. Return whether that was so (I13).

        Raises as construction does; `DirectoryLockedError` if another daemon has it by now. Then nothing has changed.
        """
        if not self._lock.lost:
            return False
        ensure_runtime_dir(str(self.path))
        before, self._lock = self._lock, DirectoryLock(self.path)
        before.release()
        return True

    def release(self) -> None:
        """Give the directory up, and remove it if it was made here and is empty. Idempotent."""
        self._lock.release()
        if self._made:
            with contextlib.suppress(OSError):  # something else lives there now
                self.path.rmdir()
