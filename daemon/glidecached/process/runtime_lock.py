"""Directories with one owning daemon at a time, by the kernel's file locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from glidecache_shared.runtime_dir import ensure_runtime_dir, socket_path

LOCK_NAME = "glidecached.lock"
POOL_DIR_LINK = "pool-directory"
"""The record of the daemon's pool directory for the next daemon (`glidecached.pools.previous_dir`)."""


class DirectoryLockedError(Exception):
    """Another daemon owns the directory: `args[0]` names it."""


class DirectoryLock:
    """The ownership of `directory` from construction until `release` or the process's death.

    The lock is on a file in it that contains the owner's pid. Only the owner can open the file: others could hold the
    lock, and keep the daemon from starting. Raises `DirectoryLockedError`, or `OSError`.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / LOCK_NAME
        self._descriptor = self._acquire()
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give the directory up, and remove the lock file while it is still ours. Idempotent."""
        if self._descriptor >= 0:
            # If the file was removed by others, the present one may be the next owner's by now.
            if self._still_leads_to(self._descriptor):
                self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def lost(self) -> bool:
        """Return whether the lock's file has lost its name: another daemon could own the directory by now."""
        try:
            return self._descriptor >= 0 and not self._still_leads_to(self._descriptor)
        except OSError:  # the kernel gives no answer, as for a directory that is closed for a while
            return False

    def _acquire(self) -> int:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(self.path, flags, 0o600)
            if not _is_own(descriptor):
                os.close(descriptor)
                message = (
                    f"{self.path} is not this daemon's own file; find out who can write there, and remove it"
                )
                raise DirectoryLockedError(message)
            if not lock_exclusively(descriptor):
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                message = f"{self.path.parent} belongs to another glidecached (pid {holder or 'unknown'})"
                raise DirectoryLockedError(message)
            if self._still_leads_to(descriptor):
                return descriptor
            # The last owner removed its file between our opening and locking it: try again with the next file.
            os.close(descriptor)

    def _still_leads_to(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self.path.stat(follow_symlinks=False), os.fstat(descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False


def _is_own(descriptor: int) -> bool:
    """Return whether no other user put the file there: to hold the lock, or as a link to a file to be overwritten."""
    found = os.fstat(descriptor)
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink <= 1


def lock_exclusively(descriptor: int) -> bool:
    """Lock the open file or directory until it is closed. Return False when another process has the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
        """Give the directory up, and remove it if it was made here and holds nothing but the record. Idempotent."""
        self._lock.release()
        if self._made:
            with contextlib.suppress(OSError):  # something else lives there now
                if [path.name for path in self.path.iterdir()] == [POOL_DIR_LINK]:
                    (self.path / POOL_DIR_LINK).unlink()
                self.path.rmdir()
