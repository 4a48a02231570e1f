"""The directory of the pool files: a directory of this daemon's own, on tmpfs."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import time
from pathlib import Path

from glidecache_shared.trusted_path import check_directory
from glidecached.pools.abandoned_dirs import mark, remove_abandoned, unmark
from glidecached.process.runtime_lock import DirectoryLockedError, lock_exclusively

logger = logging.getLogger(__name__)

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the directory below it is checked to be this user's own
_MODE = 0o710
"""The mode: clients open files by path, so they need neither list the directory nor be able to lock it."""

_PATIENCE_SECONDS = 1.0
_PAUSE_SECONDS = 0.01


class PoolDirectoryError(Exception):
    """The directory cannot be used: `args[0]` is the reason, and what would be right."""


def default_pool_dir(runtime_dir: Path, uid: int | None = None) -> Path:
    """Return the directory that belongs to the daemon of this runtime directory, so that two daemons never share one.

    `uid` is the daemon's; the caller's own when None.
    """
    digest = hashlib.sha256(bytes(runtime_dir.resolve())).hexdigest()[:12]
    return _SHARED_MEMORY / f"glidecached-{os.geteuid() if uid is None else uid}-{digest}"


class PoolDirectory:
    """The directory, locked for this daemon, from construction until `release`. Its contents are left alone.

    If it is empty at the end, the daemon removes it when it is `disposable`, or when it was made here. Raises
    `PoolDirectoryError`, `glidecached.process.runtime_lock.DirectoryLockedError`, or `OSError`.
    """

    def __init__(self, path: Path, *, disposable: bool, runtime_dir: Path | None = None) -> None:
        """Use a directory. `runtime_dir`: record it as the owner of this default, and remove abandoned ones (I13)."""
        self.path = path
        self._runtime_dir = runtime_dir
        made, self._descriptor = self._take()
        self._disposable = made or disposable
        if runtime_dir is not None:
            remove_abandoned(path.parent, uid=os.geteuid())

    def _take(self) -> tuple[bool, int]:
        """Make the directory if it is missing, and lock it. Return whether it was made, and its descriptor."""
        until = time.monotonic() + _PATIENCE_SECONDS
        made = False
        while True:
            try:
                made = _make(self.path) or made
                _check_path(self.path)
                descriptor = _lock(self.path)
            except FileNotFoundError:
                if time.monotonic() >= until:
                    raise
                continue  # another daemon removed it as abandoned in between
            except DirectoryLockedError:
                # A daemon that checks whether it is abandoned has it for a moment.
                if self._runtime_dir is None or time.monotonic() >= until:
                    raise
                time.sleep(_PAUSE_SECONDS)
                continue
            if _leads_to(self.path, descriptor):
                break
            os.close(descriptor)
        if self._runtime_dir is not None:
            mark(self.path, self._runtime_dir)
        return made, descriptor

    def identity(self) -> list[int] | None:
        """Return the directory's device and inode, by which other processes know it again; None if it has vanished."""
        if self._descriptor < 0 or not _leads_to(self.path, self._descriptor):
            return None
        found = os.fstat(self._descriptor)
        return [found.st_dev, found.st_ino]

    def restore(self) -> bool:
        """Make and lock the directory again if it has vanished. Return whether that was so (I13).

        Raises as construction does; `DirectoryLockedError` if another daemon has it by now. Then nothing has changed.
        """
        if self._descriptor < 0 or _leads_to(self.path, self._descriptor):
            return False
        before = self._descriptor
        _, self._descriptor = self._take()
        os.close(before)
        logger.warning("pool directory restored", extra={"path": str(self.path)})
        return True

    def release(self) -> None:
        """Give the directory up. Idempotent."""
        if self._descriptor < 0:
            return
        if self._disposable:
            unmark(self.path)
            with contextlib.suppress(OSError):  # pools for the next daemon, or an operator's files
                self.path.rmdir()
        os.close(self._descriptor)
        self._descriptor = -1


def _make(path: Path) -> bool:
    """Make the directory if it is missing. Return whether it was."""
    try:
        path.mkdir(mode=_MODE)
    except FileNotFoundError as error:
        message = (
            f"pool_dir {path} cannot be made: {path.parent} does not exist; choose a directory on a tmpfs"
        )
        raise PoolDirectoryError(message) from error
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            message = (
                f"pool_dir {path} is not a directory (nor may it be a link); remove it, or choose another one"
            )
            raise PoolDirectoryError(message) from None
        if found.st_uid != os.geteuid():
            message = f"pool_dir {path} belongs to uid {found.st_uid}; it must belong to this daemon's, {os.geteuid()}"
            raise PoolDirectoryError(message) from None
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            # A user who can put files there could leave a forged pool for the next daemon to continue.
            message = (
                f"pool_dir {path} can be written by others than its owner (mode "
                f"{stat.S_IMODE(found.st_mode):04o}); set its mode to 0710"
            )
            raise PoolDirectoryError(message) from None
        return False
    path.chmod(_MODE)
    return True


def _check_path(path: Path) -> None:
    """Refuse a directory that another user can replace (I11)."""
    try:
        check_directory(str(path), friend=os.geteuid())
    except PermissionError as error:
        message = f"pool_dir {path} cannot be trusted: {error}"
        raise PoolDirectoryError(message) from error


def _leads_to(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _lock(path: Path) -> int:
    """Lock the directory: two daemons with one configured `pool_dir` would remove each other's pools."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    if lock_exclusively(descriptor):
        return descriptor
    os.close(descriptor)
    message = f"pool_dir {path} is another glidecached's; give each daemon one of its own"
    raise DirectoryLockedError(message)
