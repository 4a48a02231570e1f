"""The processes that use a pool: those that took its lease, and those that are connected and use its sessions.

Either alone would miss some. A worker that was forked after its parent attached took no lease of its own. A worker
with hits only has no connection. Both miss a fork that has never sent a request.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.client_session import Sessions
    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop
    from glidecached.upstream.interface import Upstream

logger = logging.getLogger(__name__)

_LOCKS = Path("/proc/locks")
_FIELDS = 8
_MOST_CACHES = 4
"""Enough to find the programs that name a wrong server."""
_FORGET_MS = 60_000


class UpstreamUsers(NamedTuple):
    """The processes that use an upstream now, and the names or ids of the caches that they asked for."""

    processes: set[int]
    caches: set[str]

    def stats(self) -> dict[str, Any]:
        """Return a few of the caches, and numbers, for the operator."""
        return {"processes": len(self.processes), "asked_by": sorted(self.caches)[:_MOST_CACHES]}


NO_USERS = UpstreamUsers(set(), set())


class ClientProcesses:
    """A count of processes by pool. For the loop's thread.

    `connected` returns the ids of the processes that are connected now.
    """

    def __init__(self, loop: Loop, sessions: Sessions, connected: Callable[[], set[int]]) -> None:
        self._loop = loop
        self._sessions = sessions
        self._connected = connected
        loop.call_later(_FORGET_MS, self._forget)

    def by_pool(self) -> dict[Pool, set[int]]:
        """Return, for each pool, the processes that are connected and used a session of it."""
        return self.users()[0]

    def users(self) -> tuple[dict[Pool, set[int]], dict[Upstream, UpstreamUsers]]:
        """Return the same, and for each upstream with such processes also the caches that they asked for."""
        connected = self._connected()
        of_pools: dict[Pool, set[int]] = {}
        of_upstreams: dict[Upstream, UpstreamUsers] = {}
        for session in self._sessions:
            session.processes &= connected
            if session.pool is not None:
                of_pools.setdefault(session.pool, set()).update(session.processes)
            if session.processes:
                users = of_upstreams.setdefault(session.upstream, UpstreamUsers(set(), set()))
                users.processes.update(session.processes)
                if session.cache_label is not None:
                    users.caches.add(session.cache_label)
        return of_pools, of_upstreams

    def _forget(self) -> None:
        """Remove processes that have ended: a session that outlives many workers must not remember all of them."""
        self._loop.call_later(_FORGET_MS, self._forget)
        self.by_pool()


def lease_takers() -> dict[tuple[int, int], set[int]]:
    """Return the processes that took a `flock` and are visible from here, by the locked file's device and inode.

    The result is empty where the kernel does not report locks. It lacks forks that inherited a lock.
    """
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError as error:
        logger.debug("the kernel's locks cannot be read", extra={"path": _LOCKS, "reason": str(error)})
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
            continue  # a lock for which the kernel does not report the file
    return takers
