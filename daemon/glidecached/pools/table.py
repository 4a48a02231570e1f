"""The pool table: making and ending pools, and the limit over all of them (contract C19, C20)."""

from __future__ import annotations

import errno
import functools
import itertools
import logging
import time
from typing import TYPE_CHECKING

from glidecache_shared.pool.generation import PoolFull
from glidecached.pools.cache_shares import PoolShares
from glidecached.pools.file_access import PermissionsError
from glidecached.pools.free_space import Reserve, RoomWatch
from glidecached.pools.lazy_free import LazyFree
from glidecached.pools.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from glidecached.pools.cache_shares import Maker
    from glidecached.pools.metadata import Admission, PoolKey, PoolSettings
    from glidecached.pools.warm_restart import PreviousPool, PreviousPools
    from glidecached.process.loop import Loop
    from glidecached.sequence import Sequence
    from glidecached.upstream.target import Identity

logger = logging.getLogger(__name__)

DEFAULT_MAX_POOLS = 4_096

LEASE_WAIT_NS = 3_000_000_000
"""A client that just received a pool may take this long to take its lease."""

_UNUSED_NS = 250_000_000
"""The same for pools whose end loses nothing."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class CacheRefusedError(Exception):
    """A pool may not be joined, or cannot be made: `args[0]` is the reason, and what would be right."""


class CacheBusyError(CacheRefusedError):
    """A pool cannot be made or given out now, but perhaps later: `args[0]` names what is full, for which user (I9)."""


class PoolTable:
    """The pools by their keys. For the loop's thread.

    `max_total_cache_kb` may be set at any time. `previous_pools` are an earlier daemon's pools, which new pools of the
    same keys continue. With them, `close` leaves the pools to the next daemon; without, all of them end.
    """

    def __init__(
        self,
        loop: Loop,
        directory: Path,
        *,
        instance_id: int,
        grace_ms: int,
        max_total_cache_kb: int,
        next_number: Sequence,
        previous_pools: PreviousPools | None,
        max_pools: int = DEFAULT_MAX_POOLS,
        restore_directory: Callable[[], object] = lambda: None,
    ) -> None:
        self._directory = directory
        self._restore_directory = restore_directory
        self.shares = PoolShares(max_pools)
        self._unhealed: set[PoolKey] = set()
        self._reserve = Reserve(directory)
        self._room = RoomWatch(directory)
        self._instance_id = instance_id
        self._grace_ms = grace_ms
        self.max_total_cache_kb = max_total_cache_kb
        self._next_number = next_number
        self._previous_pools = previous_pools
        self._lazy_free = LazyFree(loop, grace_ms)
        self._generations = itertools.count(
            1 if previous_pools is None else previous_pools.last_generation + 1
        )
        self._by_key: dict[PoolKey, Pool] = {}
        self._sampled = False

    def __iter__(self) -> Iterator[Pool]:
        """Iterate over a copy of all pools: they may end meanwhile."""
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: PoolKey) -> Pool | None:
        """Return the pool of that key, or None."""
        return self._by_key.get(key)

    @property
    def sampled(self) -> bool:
        """Return whether pools' traffic is sampled for advice. It may be set at any time, for all pools."""
        return self._sampled

    @sampled.setter
    def sampled(self, wanted: bool) -> None:
        self._sampled = wanted
        for pool in self:
            pool.sample(wanted=wanted)

    def next_generation(self) -> int:
        """Return a number that no generation of any pool in this directory has had."""
        return next(self._generations)

    def make(
        self,
        key: PoolKey,
        identity: Identity,
        settings: PoolSettings,
        admission: Admission,
        *,
        configured: bool,
        maker: Maker | None = None,
        inherited: bool = False,
    ) -> Pool:
        """Make the pool of a key that has none. Raises `CacheRefusedError`, and `CacheBusyError` if there is no room.

        The pool counts in the share of `maker`; an `inherited` pool counts, too, but is never refused for that.
        """
        self._check_total(key, settings)
        if maker is not None and not inherited:
            self._check_share(key, settings, maker)
        previous = None if self._previous_pools is None else self._previous_pools.claim(key)
        make = functools.partial(
            Pool,
            key,
            identity,
            settings,
            directory=self._directory,
            next_generation=self.next_generation,
            instance_id=self._instance_id,
            grace_ms=self._grace_ms,
            next_number=self._next_number,
            dispose=self._lazy_free.add,
            configured=configured,
            inheritable=self._previous_pools is not None,
            admission=admission,
            maker=maker,
            previous=previous,
            sampled=self._sampled,
        )
        try:
            pool = make() if previous is not None else self._reserve.make(make)
        except (OSError, PermissionsError, PoolFull, ValueError) as error:
            if self._previous_pools is not None and previous is not None:
                self._previous_pools.discard(previous)
            message = f"{key} cannot be made in {self._directory}: {error}"
            if isinstance(error, PoolFull) or (isinstance(error, OSError) and error.errno in _FULL):
                raise CacheBusyError(message) from error
            raise CacheRefusedError(message) from error
        self._by_key[key] = pool
        if maker is not None:
            pool.counted_kb = settings.max_cache_kb
            self.shares.add(maker, pool.counted_kb)
        logger.info(
            "pool ready",
            extra={
                "cache": key.label,
                "max_cache_kb": settings.max_cache_kb,
                "upstream": str(identity),
            },
        )
        return pool

    def remove(self, key: PoolKey) -> Pool | None:
        """Remove a pool from the table, if there is one; the caller must end it."""
        pool = self._by_key.pop(key, None)
        if pool is not None:
            self._unhealed.discard(key)
            if pool.maker is not None:
                self.shares.remove(pool.maker, pool.counted_kb)
        return pool

    def end(self, key: PoolKey, reason: str) -> None:
        """End a pool, if there is one, even if processes hold it."""
        pool = self.remove(key)
        if pool is not None:
            pool.end()
            logger.info("pool ended", extra={"cache": key.label, "reason": reason})

    def end_unheld(self, *, attached_before_ns: int) -> None:
        """End the unnamed pools that no process holds any more (contract C20)."""
        for key, pool in list(self._by_key.items()):
            if key.name is None and pool.last_attach_ns < attached_before_ns and pool.end_if_unheld():
                self.remove(key)
                logger.info("pool ended", extra={"cache": key.label, "reason": "no process holds it"})

    def end_idle(self) -> bool:
        """End the least recently used pool with a client's own name, of those that no process holds.

        Its entries are lost: only for when there is no other room (isolation I9). Return whether there was one.
        """
        now_ns = time.monotonic_ns()
        for pool in sorted(self._by_key.values(), key=lambda each: each.last_attach_ns):
            if _is_idle(pool, now_ns) and pool.end_if_unheld():
                self.remove(pool.key)
                logger.warning(
                    "pool ended",
                    extra={
                        "cache": pool.label,
                        "reason": "no process holds it, and other pools need its room",
                    },
                )
                return True
        return False

    def look_after_room(self) -> None:
        """Log that a file system has become full, or has room again. Keep a reserve for new pools."""
        self._room.look(self)
        self._reserve.refill()

    def look_after_files(self, pools: Iterable[Pool]) -> None:
        """Replace those pools whose files have vanished (isolation I13), if possible; log it once."""
        for pool in pools:
            if pool.ended:
                continue
            try:
                self.heal(pool)
            except Exception as error:  # noqa: BLE001  # on any error, its holders continue
                if pool.key not in self._unhealed:
                    self._unhealed.add(pool.key)
                    logger.warning(
                        "pool files vanished, cannot be made again now",
                        extra={"cache": pool.label, "reason": error},
                    )
            else:
                self._unhealed.discard(pool.key)

    def heal(self, pool: Pool) -> None:
        """Replace one pool if its files vanished. Raises `DirectoryLockedError`, `PoolDirectoryError`, or as `make`."""
        if pool.lost_file is not None:
            self._restore_directory()
            self._reserve.make(pool.replace_lost)

    def unclaimed(self) -> list[PreviousPool]:
        """Return the earlier daemon's pools that are still unclaimed, named ones first."""
        return [] if self._previous_pools is None else self._previous_pools.unclaimed()

    def discard(self, previous: PreviousPool, reason: str) -> None:
        """Remove one of the earlier daemon's pools."""
        if self._previous_pools is not None:
            self._previous_pools.discard(previous)
            logger.info(
                "removed previous pool",
                extra={"cache": previous.metadata.key.label, "reason": reason},
            )

    def claimed_kb(self, but: Pool | None = None) -> int:
        """Return the KB that all pools, except that one, may grow to."""
        return sum(pool.claimed_kb for pool in self._by_key.values() if pool is not but)

    def coming_kb(self, but: Pool | None = None) -> int:
        """Return the same for the time after the changes in progress."""
        return sum(pool.coming_kb for pool in self._by_key.values() if pool is not but)

    def close(self) -> None:
        """Leave all pools to the next daemon, or end them: then readers detach at once, and the files are removed."""
        for pool in self:
            try:
                if self._previous_pools is None:
                    pool.end()
                else:
                    pool.detach()
            except Exception:
                logger.exception("pool not closed cleanly", extra={"cache": pool.label})
        self._by_key.clear()
        self._lazy_free.close()
        self._reserve.close()

    def _check_total(self, key: PoolKey, settings: PoolSettings) -> None:
        wanted_kb = settings.max_cache_kb
        if self.claimed_kb() + wanted_kb > self.max_total_cache_kb:
            self.end_unheld(attached_before_ns=time.monotonic_ns())
        while (total_kb := self.claimed_kb()) + wanted_kb > self.max_total_cache_kb:
            unheld_kb = self._idle_kb()
            if total_kb - unheld_kb + wanted_kb > self.max_total_cache_kb or not self.end_idle():
                message = (
                    f"{key} asks for max_cache_kb={wanted_kb}, and {total_kb} KB of the daemon's "
                    f"max_total_cache_kb={self.max_total_cache_kb} are in use: ask for less, drop a cache, or raise it"
                )
                raise CacheRefusedError(message)

    def _check_share(self, key: PoolKey, settings: PoolSettings, maker: Maker) -> None:
        configured = sum(pool.maker is None for pool in self._by_key.values())
        if self.shares.is_full(configured):
            self.end_unheld(attached_before_ns=time.monotonic_ns())
            if self.shares.is_full(configured):
                self.end_idle()
        while full := self.shares.refusal(
            maker, settings.max_cache_kb, configured=configured, total_kb=self.max_total_cache_kb
        ):
            if not self._make_room_for(maker):
                message = f"{key} cannot be made now: {full}"
                raise CacheBusyError(message)

    def _make_room_for(self, maker: Maker) -> bool:
        """End a pool that counts for the same maker, and that no process holds. Return whether there was one.

        Pools that were never used come first; their end loses nothing. A client that just received such a pool, and has
        not taken its lease yet, notices and attaches again. Then come idle pools, also those of the user's other
        processes if the maker has few itself.
        """
        by_age = sorted(self._by_key.values(), key=lambda each: each.last_attach_ns)
        idle_since_ns = time.monotonic_ns() - LEASE_WAIT_NS
        own = [pool for pool in by_age if pool.maker == maker]
        unused = [pool for pool in own if pool.unused]
        idle = [pool for pool in own if pool.key.name is not None and pool.last_attach_ns < idle_since_ns]
        if not self.shares.has_its_share(maker):
            idle += [
                pool
                for pool in by_age
                if pool.maker is not None
                and pool.maker.uid == maker.uid
                and pool.key.name is not None
                and pool.last_attach_ns < idle_since_ns
            ]
        for pool in (*unused, *idle):
            if pool.end_if_unheld():
                self.remove(pool.key)
                logger.info(
                    "pool ended",
                    extra={
                        "cache": pool.label,
                        "reason": "no process holds it, and its user wants another",
                    },
                )
                return True
        return False

    def _idle_kb(self) -> int:
        """Return the KB of the pools that `end_idle` may end."""
        now_ns = time.monotonic_ns()
        return sum(
            pool.claimed_kb for pool in self._by_key.values() if _is_idle(pool, now_ns) and not pool.held()
        )


def _is_idle(pool: Pool, now_ns: int) -> bool:
    """Return whether it may end to make room for others' pools, if no process holds it; its name is then free."""
    if pool.key.name is None or pool.configured:
        return False
    # The end of an unused pool loses nothing; a client that just received it attaches again.
    at_once = pool.maker is not None and pool.unused
    return now_ns - pool.last_attach_ns >= (_UNUSED_NS if at_once else LEASE_WAIT_NS)
