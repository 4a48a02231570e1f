"""The daemon's side of the runtime directory: owning it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from glidecache_shared.runtime_dir import ensure_runtime_dir, socket_path
from glidecached.process.runtime_lock import DirectoryLock


class OwnedRuntimeDir:
    """The runtime directory, made if it was missing and locked, from construction until `release`.

    The lock comes before everything else that a daemon does, so that a second one changes nothing. Raises
    `DirectoryLockedError`, `OSError` or `ValueError` (architecture, failure model: "two daemons").
    """

    def __init__(self, directory: str) -> None:
        self.path = Path(directory)
        self.socket_path = Path(socket_path(directory))
        self._made = not self.path.is_dir()
        ensure_runtime_dir(directory)
        self._lock = DirectoryLock(self.path)
        self.socket_path.unlink(missing_ok=True)  # a killed daemon's: it would have the lock if it lived

    def restore(self) -> bool:
        """Make and lock the directory again if it, or the lock in it, has vanished. Return whether that was so (I13).

        Raises as construction does, `DirectoryLockedError` if another daemon has it by now; then nothing has changed.
        """
        if not self._lock.lost:
            return False
        ensure_runtime_dir(str(self.path))
        before, self._lock = self._lock, DirectoryLock(self.path)
        before.release()
        return True

    def release(self) -> None:
        """Give it up; a directory that was made here and is empty leaves too. Idempotent."""
        self._lock.release()
        if self._made:
            with contextlib.suppress(OSError):  # something else lives there now
                self.path.rmdir()
