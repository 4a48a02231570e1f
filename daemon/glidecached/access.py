"""Which users may do something: by uid, or by a group that the user is in (architecture 12)."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glidecached.front.peers import Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A list of uids and gids. An empty one allows everybody who can open the socket; root is always allowed."""

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def allows(self, peer: Peer) -> bool:
        """Whether the peer's user is listed, or in a listed group.

        Groups are the user's own, from the system's database (which may ask a directory service, once per question).
        """
        if not self.uids and not self.gids:
            return True
        if peer.uid == 0 or peer.uid in self.uids:
            return True
        return bool(self.gids) and not self.gids.isdisjoint(_groups(peer))


def find_uid(user: str) -> int:
    """The uid of a user name, or of a number in digits. Raises `ValueError`."""
    if user.isascii() and user.isdigit():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        message = f"there is no user {user!r} on this host"
        raise ValueError(message) from None


def find_gid(group: str) -> int:
    """The gid of a group name, or of a number in digits. Raises `ValueError`."""
    if group.isascii() and group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        message = f"there is no group {group!r} on this host"
        raise ValueError(message) from None


def _groups(peer: Peer) -> set[int]:
    try:
        user = pwd.getpwuid(peer.uid).pw_name
    except KeyError:  # a uid without an entry is in the one group that it came with
        return {peer.gid}
    return {peer.gid, *os.getgrouplist(user, peer.gid)}
