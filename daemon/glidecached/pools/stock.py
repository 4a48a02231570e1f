"""The pools that there are: how they are made and ended, and the bound over all of them (contract C19, C20)."""

from __future__ import annotations

import itertools
import logging
import time
from typing import TYPE_CHECKING

from glidecache_shared.pool.errors import PoolFull
from glidecached.pools.permissions import PermissionsError
from glidecached.pools.pool import Pool
from glidecached.pools.remains import Remains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from glidecached.loop import Loop
    from glidecached.pools.leftovers import Leftover, Leftovers
    from glidecached.pools.origin import Admission, PoolKey
    from glidecached.pools.settings import PoolSettings
    from glidecached.upstream.identity import Identity

logger = logging.getLogger(__name__)


class CacheRefusedError(Exception):
    """A pool may not be joined, or cannot be made: `args[0]` says why, and what would be right."""


class PoolStock:
    """Pools by their keys. For the loop's thread.

    `max_total_cache_kb` may be set anew at any time. `leftovers` are an earlier daemon's pools, which those that are
    made go on with. With them, `close` leaves the pools to the next daemon; without, all of them end.
    """

    def __init__(
        self,
        loop: Loop,
        directory: Path,
        *,
        instance_id: int,
        grace_ms: int,
        max_total_cache_kb: int,
        next_number: Callable[[], int],
        leftovers: Leftovers | None,
    ) -> None:
        self._directory = directory
        self._instance_id = instance_id
        self._grace_ms = grace_ms
        self.max_total_cache_kb = max_total_cache_kb
        self._next_number = next_number
        self._leftovers = leftovers
        self._remains = Remains(loop, grace_ms)
        self._generations = itertools.count(1 if leftovers is None else leftovers.last_generation + 1)
        self._by_key: dict[PoolKey, Pool] = {}

    def __iter__(self) -> Iterator[Pool]:
        """All pools, as they are now: they may end meanwhile."""
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: PoolKey) -> Pool | None:
        """The pool of that key, if there is one."""
        return self._by_key.get(key)

    def next_generation(self) -> int:
        """A number that no generation of any pool in this directory has had."""
        return next(self._generations)

    def make(
        self,
        key: PoolKey,
        identity: Identity,
        settings: PoolSettings,
        admission: Admission,
        *,
        configured: bool,
    ) -> Pool:
        """Make the pool of a key that has none. Raises `CacheRefusedError`."""
        self._check_total(key, settings)
        leftover = None if self._leftovers is None else self._leftovers.claim(key)
        try:
            pool = Pool(
                key,
                identity,
                settings,
                directory=self._directory,
                next_generation=self.next_generation,
                instance_id=self._instance_id,
                grace_ms=self._grace_ms,
                next_number=self._next_number,
                dispose=self._remains.add,
                configured=configured,
                inheritable=self._leftovers is not None,
                admission=admission,
                leftover=leftover,
            )
        except (OSError, PermissionsError, PoolFull, ValueError) as error:
            if self._leftovers is not None and leftover is not None:
                self._leftovers.discard(leftover)
            message = f"{key} cannot be made in {self._directory}: {error}"
            raise CacheRefusedError(message) from error
        self._by_key[key] = pool
        logger.info("%s is served: %d KB, %s", key, settings.max_cache_kb, identity)
        return pool

    def remove(self, key: PoolKey) -> Pool | None:
        """Take a pool out, if there is one; to end it is the caller's."""
        return self._by_key.pop(key, None)

    def end(self, key: PoolKey, reason: str) -> None:
        """End a pool, if there is one, whoever holds it."""
        pool = self.remove(key)
        if pool is not None:
            pool.end()
            logger.info("%s ended: %s", key, reason)

    def end_unheld(self, *, handed_out_before_ns: int) -> None:
        """End the unnamed pools that no process holds any more (contract C20)."""
        for key, pool in list(self._by_key.items()):
            if key.name is None and pool.handed_out_ns < handed_out_before_ns and pool.end_if_unheld():
                del self._by_key[key]
                logger.info("%s ended: nobody holds it any more", key)

    def unclaimed(self) -> list[Leftover]:
        """What is left of the earlier daemon's pools, named ones first."""
        return [] if self._leftovers is None else self._leftovers.unclaimed()

    def discard(self, leftover: Leftover, reason: str) -> None:
        """Remove one of those."""
        if self._leftovers is not None:
            self._leftovers.discard(leftover)
            logger.info("%s of the daemon before is removed: %s", leftover.origin.key, reason)

    def claimed_kb(self, but: Pool | None = None) -> int:
        """What all pools, but that one, may grow to."""
        return sum(pool.claimed_kb for pool in self._by_key.values() if pool is not but)

    def coming_kb(self, but: Pool | None = None) -> int:
        """The same once those that are changing have changed."""
        return sum(pool.coming_kb for pool in self._by_key.values() if pool is not but)

    def close(self) -> None:
        """Leave all pools to the next daemon, or end them: then readers leave at once, and the files are removed."""
        for pool in self:
            try:
                if self._leftovers is None:
                    pool.end()
                else:
                    pool.leave()
            except Exception:
                logger.exception("%s could not be left in order; the others are", pool.key)
        self._by_key.clear()
        self._remains.close()

    def _check_total(self, key: PoolKey, settings: PoolSettings) -> None:
        if self.claimed_kb() + settings.max_cache_kb > self.max_total_cache_kb:
            self.end_unheld(handed_out_before_ns=time.monotonic_ns())
        total_kb = self.claimed_kb()
        if total_kb + settings.max_cache_kb > self.max_total_cache_kb:
            message = (
                f"{key} asks for max_cache_kb={settings.max_cache_kb}, and {total_kb} KB of the daemon's "
                f"max_total_cache_kb={self.max_total_cache_kb} are in use: ask for less, drop a cache, or raise it"
            )
            raise CacheRefusedError(message)
