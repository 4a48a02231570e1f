"""The rules by which clients join pools and pools end (contract C18 to C20)."""

from __future__ import annotations

import itertools
import logging
import time
from typing import TYPE_CHECKING, Any

from glidecached.advice.sampling_turns import SamplingTurns
from glidecached.client_processes import lease_takers
from glidecached.pools.background_work import Flush
from glidecached.pools.cache_shares import Maker, maker_of
from glidecached.pools.metadata import OPEN, Admission, PoolKey
from glidecached.pools.pool_stats import pool_stats
from glidecached.pools.reconfigure import PoolReconfiguration
from glidecached.pools.table import (
    DEFAULT_MAX_POOLS,
    LEASE_WAIT_NS,
    CacheBusyError,
    CacheRefusedError,
    PoolTable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from glidecached.access import Access
    from glidecached.pools.metadata import ConfiguredCache, PoolSettings
    from glidecached.pools.pool import Pool
    from glidecached.pools.warm_restart import PreviousPool, PreviousPools
    from glidecached.process.loop import Loop
    from glidecached.sequence import Sequence
    from glidecached.shares import Holder
    from glidecached.upstream.target import Identity

logger = logging.getLogger(__name__)

_PROBE_MS = 1_000
_BEAT_MS = 1_000
_POOLS_A_TURN = 200
"""The number of pools whose files are checked in some 2 ms."""

_MOST_NAMES = 20
"""The number of caches that the error names when a client asks for an unknown one."""


class UnknownCacheError(Exception):
    """No pool has that name: `args[0]` lists existing ones."""


class PoolManager:
    """The pool manager. For the loop's thread; `start` sets the timers that renew heartbeats and end unheld pools.

    `changes` makes and changes the pools of the configuration. `previous_pools` are an earlier daemon's pools:
    `changes.configure` continues those of the configuration, `inherit` the others.
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
        previous_pools: PreviousPools | None = None,
        max_pools: int = DEFAULT_MAX_POOLS,
        restore_directory: Callable[[], object] = lambda: None,
        advice_enabled: bool = True,
    ) -> None:
        self._loop = loop
        self._grace_ms = grace_ms
        self._table = PoolTable(
            loop,
            directory,
            instance_id=instance_id,
            grace_ms=grace_ms,
            max_total_cache_kb=max_total_cache_kb,
            next_number=next_number,
            previous_pools=previous_pools,
            max_pools=max_pools,
            restore_directory=restore_directory,
        )
        self._table.sampled = advice_enabled
        self._sampling_turns = SamplingTurns(loop, self._table)
        self._configured: dict[str, ConfiguredCache] = {}
        self._unseen: list[Pool] = []
        self.changes = PoolReconfiguration(loop, self._table, self._configured)

    @property
    def max_total_cache_kb(self) -> int:
        """Return the limit over all pools. It may be set at any time; existing pools stay, even above it."""
        return self._table.max_total_cache_kb

    @max_total_cache_kb.setter
    def max_total_cache_kb(self, total_kb: int) -> None:
        self._table.max_total_cache_kb = total_kb

    @property
    def advice_enabled(self) -> bool:
        """Return whether the traffic of pools with metrics is sampled. It may be set at any time."""
        return self._table.sampled

    @advice_enabled.setter
    def advice_enabled(self, enabled: bool) -> None:
        if enabled != self._table.sampled:
            self._table.sampled = enabled

    @property
    def max_pools(self) -> int:
        """Return the limit of pools. It may be set at any time; existing pools stay."""
        return self._table.shares.max_pools

    @max_pools.setter
    def max_pools(self, count: int) -> None:
        self._table.shares.max_pools = count

    def start(self) -> None:
        """Begin to renew heartbeats, and to look for pools that no process holds."""
        self._beat()
        self._probe()
        self._sampling_turns.start()

    def inherit(self, accesses: Mapping[str, Access]) -> None:
        """Continue the earlier daemon's pools that clients had made, and remove pools that no client can join any more.

        `accesses` are the access lists of the configured upstreams by name: pools get the users that these now allow.
        """
        for previous in self._table.unclaimed():
            metadata = previous.metadata
            upstream = metadata.admission.upstream
            if metadata.configured:
                self._table.discard(previous, "it is no longer in the configuration")
            elif metadata.key.name is None and not previous.held:
                self._table.discard(previous, "no process holds it any more")
            elif upstream is not None and upstream not in accesses:
                reason = f"its upstream {upstream!r} is no longer in the configuration"
                self._table.discard(previous, reason)
            else:
                admission = (
                    OPEN if upstream is None else Admission(upstream=upstream, access=accesses[upstream])
                )
                self._continue_with(previous, admission)

    def _continue_with(self, previous: PreviousPool, admission: Admission) -> None:
        metadata, held = previous.metadata, previous.held
        if self._table.shares.is_full(len(self._configured)) and not held:
            self._table.discard(
                previous, "there is no room for so many (max_pools, or the limit of open files)"
            )
            return
        maker = None if metadata.maker_uid is None else Maker(metadata.maker_uid, 0)
        try:
            pool = self._table.make(
                metadata.key,
                metadata.identity,
                metadata.settings,
                admission,
                configured=False,
                maker=maker,
                inherited=True,
            )
        except CacheRefusedError as error:
            self._table.discard(previous, str(error))
            return
        if maker is not None and not held and pool.unused and pool.end_if_unheld():
            # Names that a client took and never used must not block other clients after a restart, either.
            self._table.end(metadata.key, "nothing was ever looked up in it, and no process holds it")

    def join_configured(self, name: str, identity: Identity) -> Pool:
        """Return the configured cache of that name, for a client with its identity. Raises `CacheRefusedError`."""
        cache = self._configured.get(name)
        if cache is None:
            known = ", ".join(sorted(self._configured)) or "none"
            message = f"the daemon's configuration has no cache {name!r}; it has: {known}"
            raise CacheRefusedError(message)
        if identity != cache.identity:
            differences = _list(cache.identity.differences(identity))
            message = (
                f"{cache.key} of the daemon's configuration is for {_ANOTHER_SERVER}: {differences}; name the server "
                "as the configuration does, or choose another cache name"
            )
            raise CacheRefusedError(message)
        pool = self._table.get(cache.key)
        return self.changes.make(cache) if pool is None else self._healed(pool)

    def join(
        self,
        key: PoolKey,
        identity: Identity,
        settings: PoolSettings,
        admission: Admission = OPEN,
        peer: Holder | None = None,
    ) -> Pool:
        """Return the pool of that key with that identity and these settings, made if there is none; `peer` asks for it.

        A pool that is different is replaced if no process holds it (contract C19). A client that just received it, and
        has not taken its lease yet, notices and attaches again. Only a client with the same upstream identity and
        access may replace another user's pool (I11). Raises `CacheRefusedError`, and `CacheBusyError` without room.
        """
        if key.name is not None and key.name in self._configured:
            message = (
                f"{key} is defined by the daemon's configuration: use ClientSideCache.named({key.name!r})"
            )
            raise CacheRefusedError(message)
        pool = self._table.get(key)
        maker = maker_of(peer)
        if pool is None:
            return self._make(key, identity, settings, admission, maker)
        foreign = pool.identity.differences(identity)
        differing = pool.settings.differences(settings)
        if pool.admission.access != admission.access:
            # The files have one access list: clients with other users must neither fill nor read the pool.
            differing.append(f"{_name(pool.admission)} and its users, not {_name(admission)} and its users")
        if not foreign and not differing:
            return self._healed(pool)
        stays = self._is_kept_from(pool, maker) and bool(foreign or pool.admission.access != admission.access)
        if pool.held() or stays or not pool.end_if_unheld():
            raise CacheRefusedError(_refusal(pool, foreign, differing, stays=stays))
        self._table.remove(key)
        return self._make(key, identity, settings, admission, maker)

    def identity_of(self, key: PoolKey | None, configured: str | None) -> Identity | None:
        """Return the identity to which the pool of a key, or of a configured name, is bound; None if there is none."""
        if configured is not None:
            cache = self._configured.get(configured)
            return None if cache is None else cache.identity
        pool = None if key is None else self._table.get(key)
        return None if pool is None else pool.identity

    def find(self, label: str) -> Pool:
        """Return the pool of that name, or of the cache object with that id. Raises `UnknownCacheError`."""
        for key in (PoolKey(label, None), PoolKey(None, label)):
            pool = self._table.get(key)
            if pool is not None:
                return pool
        known = sorted(pool.label for pool in self._table)
        more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
        message = (
            f"there is no cache {label[:200]!r}; there are: {', '.join(known[:_MOST_NAMES]) or 'none'}{more}"
        )
        raise UnknownCacheError(message)

    def flush(self, label: str, done: Callable[[int], object]) -> None:
        """Remove all entries of a pool, then call `done` with their number. Raises `UnknownCacheError`."""
        Flush(self._loop, self.find(label), done)

    def drop(self, label: str) -> None:
        """End a pool, even if processes hold it. Raises `UnknownCacheError`."""
        pool = self.find(label)
        self._table.remove(pool.key)
        pool.end()

    def stats(
        self, connected: Mapping[Pool, set[int]] | None = None, most: int | None = None
    ) -> list[dict[str, Any]]:
        """Return one map per pool, of the `most` oldest.

        `connected`: the processes that are known to use it, besides those that took its lease.
        """
        takers = lease_takers()
        return [
            pool_stats(pool, (connected or {}).get(pool, set()) | takers.get(pool.lease_file, set()))
            for pool in itertools.islice(self._table, most)
        ]

    def file_ids(self) -> dict[PoolKey, str]:
        """Return the file ids of all pools: only for users who may open any of them."""
        return {pool.key: pool.file_id for pool in self._table}

    def close(self) -> None:
        """Leave all pools to the next daemon, or end them: then readers detach at once, and the files are removed."""
        self._table.close()

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Pool]:
        """Iterate over a copy of all pools, the oldest first."""
        return iter(self._table)

    def _make(
        self,
        key: PoolKey,
        identity: Identity,
        settings: PoolSettings,
        admission: Admission,
        maker: Maker | None,
    ) -> Pool:
        return self._table.make(key, identity, settings, admission, configured=False, maker=maker)

    @staticmethod
    def _is_kept_from(pool: Pool, maker: Maker | None) -> bool:
        """Return whether another user has made it."""
        return (pool.maker and pool.maker.uid) != (maker and maker.uid)

    def _healed(self, pool: Pool) -> Pool:
        """Return a pool whose files are where clients look for them. Raises `CacheBusyError`."""
        try:
            self._table.heal(pool)
        except Exception as error:
            message = f"{pool.key} has lost its files, and new ones cannot be made now: {error}"
            raise CacheBusyError(message) from error
        return pool

    def _probe(self) -> None:
        self._loop.call_later(_PROBE_MS, self._probe)
        self._table.end_unheld(attached_before_ns=time.monotonic_ns() - LEASE_WAIT_NS)

    def _beat(self) -> None:
        """Renew all heartbeats: four times within the readers' grace period, at least once a second."""
        self._loop.call_later(min(_BEAT_MS, self._grace_ms / 4), self._beat)
        for pool in self._table:
            pool.beat()
        self._table.look_after_room()
        if not self._unseen:
            self._unseen = list(self._table)
            self._look_after_files()

    def _look_after_files(self) -> None:
        """Check for vanished files, of some pools in each turn of the loop: there may be thousands."""
        seen, self._unseen = self._unseen[:_POOLS_A_TURN], self._unseen[_POOLS_A_TURN:]
        self._table.look_after_files(seen)
        if self._unseen:
            self._loop.defer(self._look_after_files)


_ANOTHER_SERVER = "another server, database or user"
_SAME_WORDS = (
    "; all programs that share a cache name its server in the same words (localhost is not 127.0.0.1), with the same "
    "database and user: do so, or choose another cache name"
)


def _name(admission: Admission) -> str:
    return "clients' own addresses" if admission.upstream is None else f"the upstream {admission.upstream!r}"


def _refusal(pool: Pool, foreign: list[str], differing: list[str], *, stays: bool) -> str:
    reason = (
        f"for {_ANOTHER_SERVER}: {_list(foreign)}" if foreign else f"with other settings: {_list(differing)}"
    )
    if not stays or pool.held():
        return f"{pool.key} is in use {reason}{_SAME_WORDS if foreign else ''}"
    owner = "another user's" if pool.maker is None else f"uid {pool.maker.uid}'s"
    return (
        f"{pool.key} is {owner}, {reason}; only a client of the same server, database and user, with the same access, "
        "may replace it: choose another name, or have it dropped (glidecache drop)"
    )


def _list(differences: list[str]) -> str:
    return "; ".join(differences)
