"""Leases: the kernel's record of the processes that hold a pool (architecture 8, contract C20).

A pool has one small file, its lease. Each holder has it open with a shared `flock`. Forks inherit the open file and
with it the lock. The kernel drops the lock when its last descriptor closes, however the process ends. The daemon
tries the exclusive lock to find out whether any holder is left.

No holder ever unlocks: `LOCK_UN` in a forked child would drop its parent's lock too. Closing is
enough.
"""

from __future__ import annotations

import fcntl
import os
import time

from glidecache_shared.owned_descriptor import OwnedDescriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

# The daemon's probe has the exclusive lock for some microseconds: a holder that meets it tries again.
_LOCK_ATTEMPTS = 50
_LOCK_PAUSE_SECONDS = 0.001


class Lease:
    """A shared hold on one pool, from `hold` until `close` or the death of the last process that has it.

    Forks inherit it, each with its own descriptor: closing one leaves the others' hold. Not inherited by `exec`.
    Closing is idempotent, and safe from any one thread. An object that is garbage collected closes itself. A descriptor
    whose number belongs to another file by now is left alone (isolation, I16).
    """

    __slots__ = ("_file",)

    def __init__(self, file: OwnedDescriptor | int) -> None:
        """Take over `file`: the open lease, or its descriptor."""
        self._file: OwnedDescriptor | None = (
            file if isinstance(file, OwnedDescriptor) else OwnedDescriptor(file)
        )

    def close(self) -> None:
        """Release this process's hold. Never raises."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    @property
    def closed(self) -> bool:
        """Return whether `close` was called in this process."""
        return self._file is None or self._file.number < 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def hold(path: str, inode: int) -> Lease | None:
    """Take a shared hold on the lease at `path`, or None when the pool has ended or was replaced: attach again.

    `inode` is the number that the daemon sent with the pool. The path is checked again once the lock is held. The
    daemon unlinks a lease only while it has the exclusive lock. So a lock on a file that the path still leads to is a
    lock on a live pool. (If the file system reuses inode numbers, it may be the pool that took the old one's place:
    then the files of the old one are gone.) Waits at most some 50 ms for the daemon's own probe. Raises `OSError` when
    the file exists and cannot be opened (permissions).
    """
    try:
        file = OwnedDescriptor.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    descriptor = file.number
    if _lock_shared(descriptor) and os.fstat(descriptor).st_ino == inode and _inode_at(path) == inode:
        return Lease(file)
    file.close()
    return None


def create(path: str, mode: int = 0o640) -> int:
    """Make a new, unheld lease. Return the daemon's descriptor of it, which `has_holders` and `end` use.

    `mode` is set exactly, whatever the umask. Raises `FileExistsError` when the path exists, and `OSError`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        os.fchmod(descriptor, mode)
    except OSError:
        os.unlink(path)
        _close(descriptor)
        raise
    return descriptor


def reopen(path: str) -> int:
    """Open the lease that an earlier daemon made, as `create` would have: its holders still count.

    Raises `FileNotFoundError` when there is none, and `OSError`.
    """
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def inode(descriptor: int) -> int:
    """Return the inode number that `hold` checks, of a lease that `create` made."""
    return os.fstat(descriptor).st_ino


def is_in_place(path: str, descriptor: int) -> bool:
    """Return whether the path still leads to the lease. For the daemon; True if the file system gives no answer."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return os.path.samestat(found, os.fstat(descriptor))


def has_holders(descriptor: int) -> bool:
    """Return whether any process holds the lease now. For the daemon: the exclusive lock is taken and released at once.

    Unlocking is right here: the daemon's descriptor came from its own `open`, and no fork shares it.
    """
    if not _lock_exclusive(descriptor):
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def end(path: str, descriptor: int) -> bool:
    """Unlink the lease and close the daemon's descriptor if no process holds it. Return whether that was so.

    The path is removed only while the exclusive lock is held. So a client that opens the file meanwhile either has
    its shared lock first (then this returns False and the pool continues), or finds that the path is gone.
    """
    if not _lock_exclusive(descriptor):
        return False
    try:
        if _inode_at(path) == os.fstat(descriptor).st_ino:
            os.unlink(path)
    finally:
        _close(descriptor)
    return True


def _lock_shared(descriptor: int) -> bool:
    for attempt in range(_LOCK_ATTEMPTS):
        if attempt:
            time.sleep(_LOCK_PAUSE_SECONDS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _lock_exclusive(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _inode_at(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_ino
    except (FileNotFoundError, NotADirectoryError):
        return -1


def _close(descriptor: int) -> None:
    try:  # noqa: SIM105 - contextlib is one import that the stub does without
        os.close(descriptor)
    except OSError:
        pass  # Linux has released the descriptor all the same, and with it the lock
