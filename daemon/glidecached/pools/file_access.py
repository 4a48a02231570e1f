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

if TYPE_CHECKING:
    from glidecached.access import Access

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
