"""Access: a peer's identity, and lists of the users that are allowed, by uid or by group (architecture 12)."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_LARGEST_ID = 2**32 - 2
"""The kernel's numbers have 32 bits, and the last one means no particular user or group."""


class Peer(NamedTuple):
    """The process that connected, as the kernel saw it at that moment.

    `groups` are its supplementary groups; None when it has too many to be read.
    """

    uid: int
    gid: int
    pid: int
    groups: tuple[int, ...] | None = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A list of uids and gids. An empty one allows all users that can open the socket; root is always allowed."""

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    @property
    def restricts(self) -> bool:
        """Return whether the list keeps any user out."""
        return bool(self.uids or self.gids)

    def covers(self, other: Access) -> bool:
        """Return whether this list allows all users that `other` allows: no user loses access by the change."""
        if not self.restricts:
            return True
        return other.restricts and self.uids >= other.uids and self.gids >= other.gids

    def allows(self, peer: Peer) -> bool:
        """Return whether the peer's user is listed, or one of its groups.

        Groups are those that its process had when it connected: the kernel lets it open the pools' files by the same
        ones. They are looked up in the system's database only if the process has more groups than the kernel reports.
        """
        if not self.restricts or peer.uid == 0 or peer.uid in self.uids:
            return True
        return bool(self.gids) and not self.gids.isdisjoint(_groups(peer))

    def allows_user(self, uid: int) -> bool:
        """Return the same for a user without a connection, by the groups in the system's database."""
        try:
            gid = pwd.getpwuid(uid).pw_gid
        except KeyError:
            return not self.restricts or uid == 0 or uid in self.uids
        return self.allows(Peer(uid, gid, 0, groups=None))

    def allows_group(self, gid: int) -> bool:
        """Return whether the list allows every member of that group."""
        return not self.restricts or gid in self.gids


def find_uid(user: str) -> int:
    """Return the uid of a user name, or of a number in digits. Raises `ValueError`."""
    if user.isascii() and user.isdigit():
        return _checked_number(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        message = f"there is no user {user!r} on this host"
        raise ValueError(message) from None


def find_gid(group: str) -> int:
    """Return the gid of a group name, or of a number in digits. Raises `ValueError`."""
    if group.isascii() and group.isdigit():
        return _checked_number(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        message = f"there is no group {group!r} on this host"
        raise ValueError(message) from None


def _checked_number(digits: str) -> int:
    number = int(digits)
    if number > _LARGEST_ID:
        message = f"{digits} is not a user's or group's number; the largest is {_LARGEST_ID}"
        raise ValueError(message)
    return number


def _groups(peer: Peer) -> Iterable[int]:
    if peer.groups is not None:
        return (peer.gid, *peer.groups)
    try:
        user = pwd.getpwuid(peer.uid).pw_name
    except KeyError:  # a uid without an entry is only in the group of its process
        return (peer.gid,)
    return (peer.gid, *os.getgrouplist(user, peer.gid))
