"""Trust in a directory by its whole path: no other user can replace any part of it.

The rule (I11). Every directory on the path, links resolved one component after the other, belongs to root or to the
user of the checking process. It is writable only by its owner, or sticky. In a sticky directory, the next component,
even a link, must itself belong to root or to that user. The last directory may belong to another user, where its
parents pass.

A directory's access control list needs no check of its own. With a list, the mode's middle digit is the list's mask: a
list that lets another user write shows as writable by the group, and `chmod g-w` takes that away.

Only `os` and `stat` are imported: the stub imports this module at its own import.
"""

from __future__ import annotations

import errno
import os
import stat

_MOST_LINKS = 40
"""The limit of links: the kernel's own."""

_MOST_IDS = 2**32 - 1
"""The number of ids that are mapped outside of any user namespace but the host's."""

_OVERFLOW_UID = 65_534
"""The kernel's default for an owner that a user namespace does not map."""

UNMAPPED = " (not mapped into this user namespace)"
"""The meaning of such a number, behind it in a text."""


def check_directory(path: str, *, last_owner: int | None = None, friend: int | None = None) -> os.stat_result:
    """Return the status of the directory at `path`, an absolute path, if its whole path can be trusted.

    last_owner: another user that may own the directory itself, where its parents pass.
    friend: a user whose directories and links count as one's own: a daemon's uid that is known to be trusted. For
    pools, which are in `/dev/shm`: in a user namespace without the host's root, that root counts as root here.
    Raises `PermissionError` without an `errno` for a path that cannot be trusted; it names the directory and the right
    state. Raises the kernel's error for a missing, closed or circular one: `OSError` with an `errno`.
    """
    if not path.startswith("/"):
        message = f"{path!r} is not an absolute path"
        raise ValueError(message)
    judge = _Judge(path, friend)
    here, status = _walk(path, judge)
    if last_owner is None or status.st_uid != last_owner:
        judge.check_owner(here, status)
    judge.check_mode(here, status)
    if not os.path.samestat(os.stat(path), status):
        message = f"{path} leads elsewhere than a moment ago: another process changes directories on its way"
        raise PermissionError(message)
    return status


def _walk(path: str, judge: _Judge) -> tuple[str, os.stat_result]:
    """Walk along the path, judging each directory before the next lookup in it. Return the last one, and its status."""
    pending = _components(path)
    here, status = "/", os.lstat("/")
    links = 0
    while pending:
        judge.check_owner(here, status)
        judge.check_mode(here, status)
        name = pending.pop()
        if name == os.pardir:  # all links so far are resolved, so the text gives the parent
            here = os.path.dirname(here)
            status = os.lstat(here)
            continue
        following = os.path.join(here, name)
        found = os.lstat(following)
        if status.st_mode & stat.S_ISVTX:
            judge.check_in_sticky(here, following, found)
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(following)
            pending += _components(target)
            if target.startswith("/"):
                here, status = "/", os.lstat("/")
        elif stat.S_ISDIR(found.st_mode):
            here, status = following, found
        else:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), following)
    return here, status


class _Judge:
    """A check of the directories on the way to `path`."""

    __slots__ = ("_friend", "_own_uids", "_path")

    def __init__(self, path: str, friend: int | None) -> None:
        self._path = path
        self._friend = friend
        self._own_uids = (0, os.geteuid(), friend)

    def check_owner(self, here: str, status: os.stat_result) -> None:
        """Refuse a directory whose owner may replace its contents."""
        if self._is_own(here, status):
            return
        if self._friend is not None and status.st_mode & stat.S_ISVTX and _is_from_outside(status):
            return
        message = (
            f"{self._on_the_way(here)} belongs to uid {status.st_uid}{_aside(status)}, who can replace its contents; "
            f"it must belong to root or to this process's uid {os.geteuid()}"
        )
        raise PermissionError(message)

    def check_mode(self, here: str, status: os.stat_result) -> None:
        """Refuse a directory that others can write, unless only owners can replace their own files in it."""
        mode = status.st_mode
        if mode & stat.S_ISVTX or not mode & (stat.S_IWGRP | stat.S_IWOTH):
            return
        who = ("g" if mode & stat.S_IWGRP else "") + ("o" if mode & stat.S_IWOTH else "")
        named = {"g": "its group", "o": "others", "go": "its group and others"}[who]
        message = (
            f"{self._on_the_way(here)} can be written by {named} (mode {stat.S_IMODE(mode):04o}), who could replace "
            f"its contents: chmod {who}-w {here}"
        )
        raise PermissionError(message)

    def check_in_sticky(self, here: str, following: str, found: os.stat_result) -> None:
        """Refuse another user's directory or link in a sticky directory: any user may make one there."""
        if self._is_own(following, found):
            return
        message = (
            f"{self._on_the_way(following)} belongs to uid {found.st_uid}{_aside(found)}, in the sticky directory "
            f"{here}: it must belong to root or to this process's uid {os.geteuid()}; choose a directory that no "
            "other user can make"
        )
        raise PermissionError(message)

    def _on_the_way(self, here: str) -> str:
        return f"the directory {here}" if here == self._path else f"{here}, on the way to {self._path},"

    def _is_own(self, path: str, status: os.stat_result) -> bool:
        """Return whether it belongs to root, to this process's user or to the friend."""
        if status.st_uid in self._own_uids:
            return True
        # In a user namespace, root of the host, like every user from outside of it, appears as the overflow uid.
        return (
            stat.S_ISDIR(status.st_mode)
            and _is_from_outside(status)
            and not os.access(path, os.W_OK, effective_ids=True)
        )


def _components(path: str) -> list[str]:
    """Return the components of a path, the first one last."""
    return [name for name in reversed(path.split("/")) if name not in ("", os.curdir)]


def is_unmapped(number: int) -> bool:
    """Return whether a uid or gid is the one for all that this process's user namespace does not map."""
    return number == _overflow_uid() and _is_in_user_namespace()


def _is_from_outside(status: os.stat_result) -> bool:
    """Return whether the owner may be a user that this process's user namespace does not map."""
    return is_unmapped(status.st_uid)


def _aside(status: os.stat_result) -> str:
    """Return the meaning of an owner's number that no user has."""
    return UNMAPPED if _is_from_outside(status) else ""


def _overflow_uid() -> int:
    try:
        # As bytes: a codec may have to be imported, which a process that changed its user may be unable to do.
        with open("/proc/sys/kernel/overflowuid", "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return _OVERFLOW_UID


def _is_in_user_namespace() -> bool:
    try:
        with open("/proc/self/uid_map", "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return False
    return [line.split() for line in lines if line] != [[b"0", b"0", b"%d" % _MOST_IDS]]
