"""Access to a pool's files: modes, and POSIX access control lists where users are listed (architecture 12).

A file with restricted access has this list, in the kernel's own form (`acl(5)`, `linux/posix_acl_xattr.h`):

```
owner rw-  ·  each user r--  ·  owning group ---  ·  each group r--  ·  mask r--  ·  others ---
```

A board has `rw-` in place of `r--`.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

from glidecache_shared import lease

if TYPE_CHECKING:
    from pathlib import Path

    from glidecached.access import Access
    from glidecached.pools.metadata import PoolMetadata

PRIVATE_MODE = 0o600
"""The mode of new files: until `permit` is called, no other user can open one."""

_READ = 4
_WRITE = 2
_OWNER_MODE = (_READ | _WRITE) << 6

_ATTRIBUTE = "system.posix_acl_access"
_VERSION = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_ACL_VERSION = 2
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NOBODY_IN_PARTICULAR = 0xFFFF_FFFF
_NO_LISTS = (errno.EOPNOTSUPP, errno.ENODATA)


class PermissionsError(Exception):
    """The file system cannot keep other users out: `args[0]` says what would be right."""


def permit(path: str, access: Access, *, writable: bool) -> None:
    """Let the users that `access` allows read the file, and write it if `writable`; without a restriction, its group.

    For a file of this process's own, which others may be about to open. Users that are allowed before and after are
    never kept out in between. Raises `PermissionsError`, leaving the file to its owner alone, and `OSError`.
    """
    allowed = _READ | _WRITE if writable else _READ
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not access.restricts:
            # With a list, a mode's middle digit is its mask: it stays as it was when the names are removed.
            _remove_list(descriptor)
            os.fchmod(descriptor, _OWNER_MODE | allowed << 3)
            return
        try:
            os.setxattr(
                descriptor, _ATTRIBUTE, _encode(access, allowed)
            )  # in the place of an existing list, if any
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            _give_to_group(descriptor, path, access, allowed)
    except BaseException:
        os.fchmod(descriptor, PRIVATE_MODE)  # a list's names stay, and its mask lets none of them in
        raise
    finally:
        os.close(descriptor)


def _encode(access: Access, allowed: int) -> bytes:
    """Return the list; the kernel requires users and groups in ascending order."""
    entries = [
        (_OWNER, _READ | _WRITE, _NOBODY_IN_PARTICULAR),
        *((_USER, allowed, uid) for uid in sorted(access.uids)),
        (_OWNING_GROUP, 0, _NOBODY_IN_PARTICULAR),
        *((_GROUP, allowed, gid) for gid in sorted(access.gids)),
        (_MASK, allowed, _NOBODY_IN_PARTICULAR),
        (_OTHERS, 0, _NOBODY_IN_PARTICULAR),
    ]
    return _VERSION.pack(_ACL_VERSION) + b"".join(_ENTRY.pack(*entry) for entry in entries)


def _give_to_group(descriptor: int, path: str, access: Access, allowed: int) -> None:
    """Give the file to the one allowed group, where the file system has no lists: a mode can express no more."""
    if access.uids or len(access.gids) != 1:
        message = (
            f"the file system of {path} has no access control lists, and a file's mode can name one group only: "
            "allow exactly one group and no user, or choose a pool_dir on a tmpfs that has them"
        )
        raise PermissionsError(message)
    (gid,) = access.gids
    try:
        os.fchown(descriptor, -1, gid)
    except PermissionError:
        message = (
            f"the file system of {path} has no access control lists, and the daemon, which is not in group {gid}, "
            "cannot give the file to it: add the daemon's user to it, or choose a pool_dir on a tmpfs that has them"
        )
        raise PermissionsError(message) from None
    os.fchmod(descriptor, _OWNER_MODE | allowed << 3)


def _remove_list(descriptor: int) -> None:
    try:
        os.removexattr(descriptor, _ATTRIBUTE)
    except OSError as error:
        if error.errno not in _NO_LISTS:
            raise


class PoolLease:
    """A lease, made or `inherited` as an earlier daemon's open descriptor, until `end_if_unheld`, `end` or `close`.

    `access`: the users that may take it. Construction raises `PermissionsError` and `OSError`; a new lease is removed
    then, an inherited one stays the caller's.
    """

    def __init__(self, directory: Path, file_id: str, access: Access, inherited: int | None = None) -> None:
        self.path = directory / f"{file_id}.lease"
        self._descriptor = lease.create(str(self.path), PRIVATE_MODE) if inherited is None else inherited
        try:
            self.permit(access)
        except (OSError, PermissionsError):
            if inherited is None:
                lease.end(str(self.path), self._descriptor)
            raise
        self.inode = lease.inode(self._descriptor)

    def permit(self, access: Access) -> None:
        """Change the users that may take it. Raises `PermissionsError`, `OSError`."""
        permit(str(self.path), access, writable=False)

    def describe(self, metadata: PoolMetadata) -> None:
        """Record the metadata for the next daemon. Raises `OSError`.

        The new text is written before the rest of a longer one is cut off: a kill between the two steps loses nothing.
        """
        text = metadata.encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    @property
    def held(self) -> bool:
        """Return whether any process holds it now."""
        return lease.has_holders(self._descriptor)

    @property
    def file(self) -> tuple[int, int]:
        """Return the device of its file, the numbers as 12 and 20 bits, and its inode."""
        status = os.fstat(self._descriptor)
        return os.major(status.st_dev) << 20 | os.minor(status.st_dev), status.st_ino

    @property
    def lost(self) -> bool:
        """Return whether it lost its name, or its name leads to another file: then no client can take it any more."""
        return not lease.is_in_place(str(self.path), self._descriptor)

    def end_if_unheld(self) -> bool:
        """Remove it unless a process holds it. Return whether it is gone."""
        return lease.end(str(self.path), self._descriptor)

    def end(self) -> None:
        """Remove it, even if processes hold it."""
        if not self.end_if_unheld():
            self.path.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Leave it to the next daemon."""
        lease.Lease(self._descriptor).close()
