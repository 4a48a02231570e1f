"""The rules by which clients join pools and pools end (contract C18 to C20)."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from glidecache_shared.pool.store import PoolFull
from glidecached.attached import lease_takers
from glidecached.pools.origin import OPEN, Admission, PoolKey
from glidecached.pools.permissions import PermissionsError
from glidecached.pools.pool import Pool
from glidecached.pools.renewals import Renewals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from glidecached.access import Access
    from glidecached.loop import Loop
    from glidecached.pools.leftovers import Leftover, Leftovers
    from glidecached.pools.settings import PoolSettings
    from glidecached.upstream.identity import Identity

logger = logging.getLogger(__name__)

_PROBE_MS = 1_000
_BEAT_MS = 1_000
_HANDOUT_NS = 3_000_000_000
"""A client that was just told of a pool has not taken its lease yet."""


class CacheRefusedError(Exception):
    """A client may not join: `args[0]` says why, and what would be right."""


class UnknownCacheError(Exception):
    """No pool is called so: `args[0]` says which there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredCache:
    """A cache of the configuration: clients join it by its name alone."""

    name: str
    identity: Identity
    settings: PoolSettings
    admission: Admission = OPEN


class PoolRegistry:
    """All pools. For the loop's thread; `start` sets the timers that renew heartbeats and end unheld pools.

    `max_total_cache_kb` may be set anew at any time. `leftovers` are an earlier daemon's pools: `configure` goes on
    with those of the configuration, `inherit` with the others. With them, `close` leaves the pools to the next daemon;
    without, all of them end.
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
        leftovers: Leftovers | None = None,
    ) -> None:
        self._loop = loop
        self._directory = directory
        self._instance_id = instance_id
        self._grace_ms = grace_ms
        self.max_total_cache_kb = max_total_cache_kb
        self._next_number = next_number
        self._pools: dict[PoolKey, Pool] = {}
        self._renewals = Renewals(loop, self._renewal_failed)
        self._configured: dict[str, ConfiguredCache] = {}
        self._leftovers = leftovers
        self._generations = itertools.count(1 if leftovers is None else leftovers.last_generation + 1)

    def start(self) -> None:
        """Begin to renew heartbeats, and to look for pools that nobody holds."""
        self._beat()
        self._probe()

    def configure(self, cache: ConfiguredCache) -> None:
        """Make a cache of the configuration. Where its files find no room now, the next client to join tries again."""
        self._configured[cache.name] = cache
        try:
            self._make_configured(cache)
        except CacheRefusedError as error:
            logger.warning("%s", error)

    def reconfigure(self, cache: ConfiguredCache) -> None:
        """Make or change a cache of the configuration. Its entries stay, unless they are another identity's.

        Where there is no room for the change, the cache stays as it is; the log says so.
        """
        before = self._configured.get(cache.name)
        pool = self._pools.get(PoolKey(cache.name, None))
        if before is None or before.identity != cache.identity:
            # One that clients have made by this name ends as well: the name is the configuration's now.
            self._end(PoolKey(cache.name, None), "the configuration defines the name anew")
            self.configure(cache)
            return
        self._configured[cache.name] = cache
        if pool is not None and (pool.settings, pool.admission) != (cache.settings, cache.admission):
            self._renew(pool, cache.settings, cache.admission)

    def unconfigure(self, name: str) -> None:
        """The configuration has that cache no more: it ends, and whoever uses it is told so at his next request."""
        del self._configured[name]
        self._end(PoolKey(name, None), "it is no longer in the configuration")

    def readmit(self, accesses: Mapping[str, Access]) -> None:
        """Give the pools that clients have made by way of a configured upstream to its users, whoever these are now.

        `accesses` as for `inherit`: pools of an upstream that is not there any more end.
        """
        for pool in list(self._pools.values()):
            name = pool.admission.upstream
            if pool.configured or name is None:
                continue
            if name not in accesses:
                self._end(pool.key, f"its upstream {name!r} is no longer in the configuration")
            elif pool.admission.access != accesses[name]:
                self._renew(pool, pool.settings, Admission(upstream=name, access=accesses[name]))

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Call once all pools have what `reconfigure` and `readmit` were told."""
        self._renewals.when_settled(callback)

    def inherit(self, accesses: Mapping[str, Access]) -> None:
        """Go on with the earlier daemon's pools that clients had made, and remove what nobody can join any more.

        `accesses` are the configured upstreams' by their names: pools are their users', whoever these are now.
        """
        if self._leftovers is None:
            return
        for leftover in self._leftovers.unclaimed():
            origin = leftover.origin
            if origin.configured:
                self._discard(self._leftovers, leftover, "it is no longer in the configuration")
            elif origin.key.name is None and not leftover.held:
                self._discard(self._leftovers, leftover, "nobody holds it any more")
            elif (upstream := origin.admission.upstream) is not None and upstream not in accesses:
                self._discard(
                    self._leftovers, leftover, f"its upstream {upstream!r} is no longer in the configuration"
                )
            else:
                admission = (
                    OPEN if upstream is None else Admission(upstream=upstream, access=accesses[upstream])
                )
                try:
                    self._make(origin.key, origin.identity, origin.settings, admission)
                except CacheRefusedError as error:
                    self._discard(self._leftovers, leftover, str(error))

    def join_configured(self, name: str, identity: Identity) -> Pool:
        """The configuration's cache of that name, for a client with its identity. Raises `CacheRefusedError`."""
        cache = self._configured.get(name)
        if cache is None:
            known = ", ".join(sorted(self._configured)) or "none"
            message = f"the daemon's configuration has no cache {name!r}; it has: {known}"
            raise CacheRefusedError(message)
        key = PoolKey(name, None)
        if identity != cache.identity:
            message = (
                f"{key} belongs to another upstream identity: {_list(cache.identity.differences(identity))}"
            )
            raise CacheRefusedError(message)
        return self._pools.get(key) or self._make_configured(cache)

    def join(
        self, key: PoolKey, identity: Identity, settings: PoolSettings, admission: Admission = OPEN
    ) -> Pool:
        """The pool of that key with that identity and these settings, made if there is none.

        A pool that is different is replaced if nobody holds it (contract C19); a client that was told of it and has not
        taken its lease yet notices, and attaches again. Raises `CacheRefusedError`.
        """
        if key.name is not None and key.name in self._configured:
            message = (
                f"{key} is defined by the daemon's configuration: use ClientSideCache.named({key.name!r})"
            )
            raise CacheRefusedError(message)
        pool = self._pools.get(key)
        if pool is None:
            return self._make(key, identity, settings, admission)
        foreign = pool.identity.differences(identity)
        differing = pool.settings.differences(settings)
        if pool.admission.access != admission.access:
            # One list stands on the files: what one client's users may read, another's must not bring or see.
            differing.append(f"{_name(pool.admission)} and its users, not {_name(admission)} and its users")
        if not foreign and not differing:
            return pool
        if not pool.end_if_unheld():
            reason = (
                f"another upstream identity: {_list(foreign)}"
                if foreign
                else f"other settings: {_list(differing)}"
            )
            message = f"{key} is in use with {reason}"
            raise CacheRefusedError(message)
        del self._pools[key]
        return self._make(key, identity, settings, admission)

    def find(self, label: str) -> Pool:
        """The pool of that name, or of the cache object with that id. Raises `UnknownCacheError`."""
        for key in (PoolKey(label, None), PoolKey(None, label)):
            pool = self._pools.get(key)
            if pool is not None:
                return pool
        known = ", ".join(sorted(pool.label for pool in self._pools.values())) or "none"
        message = f"there is no cache {label!r}; there are: {known}"
        raise UnknownCacheError(message)

    def drop(self, label: str) -> None:
        """End a pool, whoever holds it. Raises `UnknownCacheError`."""
        pool = self.find(label)
        del self._pools[pool.key]
        pool.end()
        logger.info("cache %s dropped", label)

    def stats(self, connected: Mapping[Pool, set[int]] | None = None) -> list[dict[str, Any]]:
        """One map per pool. `connected`: the processes that are known to use it, besides those that took its lease."""
        takers = lease_takers()
        return [
            pool.stats((connected or {}).get(pool, set()) | takers.get(pool.lease_file, set()))
            for pool in self._pools.values()
        ]

    def close(self) -> None:
        """Leave all pools to the next daemon, or end them: then readers leave at once, and the files are removed."""
        for pool in self._pools.values():
            if self._leftovers is None:
                pool.end()
            else:
                pool.leave()
        self._pools.clear()

    def __len__(self) -> int:
        return len(self._pools)

    def _make_configured(self, cache: ConfiguredCache) -> Pool:
        return self._make(PoolKey(cache.name, None), cache.identity, cache.settings, cache.admission)

    def _make(self, key: PoolKey, identity: Identity, settings: PoolSettings, admission: Admission) -> Pool:
        self._check_total(key, settings)
        leftover = None if self._leftovers is None else self._leftovers.claim(key)
        try:
            pool = Pool(
                key,
                identity,
                settings,
                directory=self._directory,
                generation=next(self._generations),
                instance_id=self._instance_id,
                grace_ms=self._grace_ms,
                next_number=self._next_number,
                configured=key.name in self._configured,
                inheritable=self._leftovers is not None,
                admission=admission,
                leftover=leftover,
            )
        except (OSError, PermissionsError, PoolFull, ValueError) as error:
            if self._leftovers is not None and leftover is not None:
                self._leftovers.discard(leftover)
            message = f"{key} cannot be made in {self._directory}: {error}"
            raise CacheRefusedError(message) from error
        self._pools[key] = pool
        logger.info("%s made: %d KB, %s", key, settings.max_cache_kb, identity)
        return pool

    def _check_total(self, key: PoolKey, settings: PoolSettings) -> None:
        if self._total_kb() + settings.max_cache_kb > self.max_total_cache_kb:
            self._end_unheld(handed_out_before_ns=time.monotonic_ns())
        total_kb = self._total_kb()
        if total_kb + settings.max_cache_kb > self.max_total_cache_kb:
            message = (
                f"{key} asks for max_cache_kb={settings.max_cache_kb}, and {total_kb} KB of the daemon's "
                f"max_total_cache_kb={self.max_total_cache_kb} are in use: ask for less, drop a cache, or raise it"
            )
            raise CacheRefusedError(message)

    def _renew(self, pool: Pool, settings: PoolSettings, admission: Admission) -> None:
        others_kb = self._total_kb() - pool.claimed_kb
        if settings.max_cache_kb > pool.settings.max_cache_kb and (
            others_kb + settings.max_cache_kb > self.max_total_cache_kb
        ):
            logger.warning(
                "%s keeps %d KB: max_cache_kb=%d, and %d KB of max_total_cache_kb=%d are in use by others",
                pool.key,
                pool.settings.max_cache_kb,
                settings.max_cache_kb,
                others_kb,
                self.max_total_cache_kb,
            )
            settings = replace(settings, max_cache_kb=pool.settings.max_cache_kb)
        readmitted = admission != pool.admission
        try:
            pool.renew(settings, admission, next(self._generations))
        except (OSError, PermissionsError, PoolFull, ValueError) as error:
            logger.warning("%s cannot be changed now: %s", pool.key, error)
            if readmitted:
                self._begin_anew(pool)
            return
        if pool.is_renewing:
            self._renewals.add(pool)

    def _renewal_failed(self, pool: Pool) -> None:
        if pool.readmitting:
            self._begin_anew(pool)

    def _begin_anew(self, pool: Pool) -> None:
        """Without its entries, because users who may not read them any more have the files mapped."""
        self._end(pool.key, "other users may use it now, and there is no room to keep the entries")
        cache = self._configured.get(pool.key.name or "")
        if cache is not None:
            self.configure(cache)

    def _end(self, key: PoolKey, reason: str) -> None:
        pool = self._pools.pop(key, None)
        if pool is not None:
            pool.end()
            logger.info("%s ended: %s", key, reason)

    def _discard(self, leftovers: Leftovers, leftover: Leftover, reason: str) -> None:
        leftovers.discard(leftover)
        logger.info("%s of the daemon before is removed: %s", leftover.origin.key, reason)

    def _total_kb(self) -> int:
        return sum(pool.claimed_kb for pool in self._pools.values())

    def _end_unheld(self, *, handed_out_before_ns: int) -> None:
        """End the unnamed pools that no process holds any more (contract C20)."""
        for key, pool in list(self._pools.items()):
            if key.name is None and pool.handed_out_ns < handed_out_before_ns and pool.end_if_unheld():
                del self._pools[key]
                logger.info("%s ended: nobody holds it any more", key)

    def _probe(self) -> None:
        self._loop.call_later(_PROBE_MS, self._probe)
        self._end_unheld(handed_out_before_ns=time.monotonic_ns() - _HANDOUT_NS)

    def _beat(self) -> None:
        """Four beats within the readers' grace, at least one a second."""
        self._loop.call_later(min(_BEAT_MS, self._grace_ms / 4), self._beat)
        for pool in self._pools.values():
            pool.beat()


def _name(admission: Admission) -> str:
    return "clients' own addresses" if admission.upstream is None else f"the upstream {admission.upstream!r}"


def _list(differences: list[str]) -> str:
    return "; ".join(differences)
