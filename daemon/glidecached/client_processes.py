"""Which processes use which pool: those that took its lease, and those that are connected and ask on its behalf.

Either alone would miss some. A worker that was forked after its parent attached took no lease of its own; one that is
answered by hits alone has no connection. What both miss is a fork that has never asked for anything.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.client_session import Sessions
    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop

logger = logging.getLogger(__name__)

_LOCKS = Path("/proc/locks")
_FIELDS = 8
_FORGET_MS = 60_000


class AttachedProcesses:
    """Counts processes by pool. For the loop's thread.

    `connected` tells the ids of the processes that are connected now.
    """

    def __init__(self, loop: Loop, sessions: Sessions, connected: Callable[[], set[int]]) -> None:
        self._loop = loop
        self._sessions = sessions
        self._connected = connected
        loop.call_later(_FORGET_MS, self._forget)

    def by_pool(self) -> dict[Pool, set[int]]:
        """The processes that are connected and used a session of each pool."""
        connected = self._connected()
        found: dict[Pool, set[int]] = {}
        for session in self._sessions:
            session.processes &= connected
            if session.pool is not None:
                found.setdefault(session.pool, set()).update(session.processes)
        return found

    def _forget(self) -> None:
        """A session that outlives many workers must not remember all of them."""
        self._loop.call_later(_FORGET_MS, self._forget)
        self.by_pool()


def lease_takers() -> dict[tuple[int, int], set[int]]:
    """The processes that took a `flock` and are visible from here, by the locked file's device and inode.

    Nothing where the kernel does not tell. A fork that inherited a lock is not in it.
    """
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError as error:
        logger.debug("%s cannot be read: %s", _LOCKS, error)
        return {}
    takers: dict[tuple[int, int], set[int]] = {}
    for line in lines:
        # 1: FLOCK ADVISORY READ 1234 00:1b:511541 0 EOF
        fields = line.split()
        if len(fields) != _FIELDS or fields[1] != "FLOCK":
            continue
        try:
            major, minor, inode = fields[5].split(":")
            place = (int(major, 16) << 20 | int(minor, 16), int(inode))
            takers.setdefault(place, set()).add(int(fields[4]))
        except ValueError:
            continue  # a lock of which the kernel does not say on what it is
    return takers
