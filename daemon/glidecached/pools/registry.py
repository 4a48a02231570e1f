"""The rules by which clients join pools and pools end (contract C18 to C20)."""

from __future__ import annotations

import itertools
import logging
import time
from typing import TYPE_CHECKING, Any

from glidecached.attached import lease_takers
from glidecached.pools.changes import PoolChanges
from glidecached.pools.flush import Flush
from glidecached.pools.origin import OPEN, Admission, PoolKey
from glidecached.pools.stock import CacheRefusedError, PoolStock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from glidecached.access import Access
    from glidecached.loop import Loop
    from glidecached.pools.configured import ConfiguredCache
    from glidecached.pools.leftovers import Leftovers
    from glidecached.pools.pool import Pool
    from glidecached.pools.settings import PoolSettings
    from glidecached.upstream.identity import Identity

logger = logging.getLogger(__name__)

_PROBE_MS = 1_000
_BEAT_MS = 1_000
_HANDOUT_NS = 3_000_000_000
"""A client that was just told of a pool has not taken its lease yet."""

_MOST_NAMES = 20
"""So many caches are named to whoever asks for one that there is not."""


class UnknownCacheError(Exception):
    """No pool is called so: `args[0]` says which there are."""


class PoolRegistry:
    """All pools. For the loop's thread; `start` sets the timers that renew heartbeats and end unheld pools.

    `changes` makes and changes those of the configuration. `leftovers` are an earlier daemon's pools:
    `changes.configure` goes on with those of the configuration, `inherit` with the others.
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
        self._grace_ms = grace_ms
        self._stock = PoolStock(
            loop,
            directory,
            instance_id=instance_id,
            grace_ms=grace_ms,
            max_total_cache_kb=max_total_cache_kb,
            next_number=next_number,
            leftovers=leftovers,
        )
        self._configured: dict[str, ConfiguredCache] = {}
        self.changes = PoolChanges(loop, self._stock, self._configured)

    @property
    def max_total_cache_kb(self) -> int:
        """The bound over all pools. It may be set anew at any time; pools that are there stay, also above it."""
        return self._stock.max_total_cache_kb

    @max_total_cache_kb.setter
    def max_total_cache_kb(self, total_kb: int) -> None:
        self._stock.max_total_cache_kb = total_kb

    def start(self) -> None:
        """Begin to renew heartbeats, and to look for pools that nobody holds."""
        self._beat()
        self._probe()

    def inherit(self, accesses: Mapping[str, Access]) -> None:
        """Go on with the earlier daemon's pools that clients had made, and remove what nobody can join any more.

        `accesses` are the configured upstreams' by their names: pools are their users', whoever these are now.
        """
        for leftover in self._stock.unclaimed():
            origin = leftover.origin
            upstream = origin.admission.upstream
            if origin.configured:
                self._stock.discard(leftover, "it is no longer in the configuration")
            elif origin.key.name is None and not leftover.held:
                self._stock.discard(leftover, "nobody holds it any more")
            elif upstream is not None and upstream not in accesses:
                reason = f"its upstream {upstream!r} is no longer in the configuration"
                self._stock.discard(leftover, reason)
            else:
                admission = (
                    OPEN if upstream is None else Admission(upstream=upstream, access=accesses[upstream])
                )
                try:
                    self._make(origin.key, origin.identity, origin.settings, admission)
                except CacheRefusedError as error:
                    self._stock.discard(leftover, str(error))

    def join_configured(self, name: str, identity: Identity) -> Pool:
        """The configuration's cache of that name, for a client with its identity. Raises `CacheRefusedError`."""
        cache = self._configured.get(name)
        if cache is None:
            known = ", ".join(sorted(self._configured)) or "none"
            message = f"the daemon's configuration has no cache {name!r}; it has: {known}"
            raise CacheRefusedError(message)
        if identity != cache.identity:
            differences = _list(cache.identity.differences(identity))
            message = f"{cache.key} belongs to another upstream identity: {differences}"
            raise CacheRefusedError(message)
        return self._stock.get(cache.key) or self.changes.make(cache)

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
        pool = self._stock.get(key)
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
        self._stock.remove(key)
        return self._make(key, identity, settings, admission)

    def find(self, label: str) -> Pool:
        """The pool of that name, or of the cache object with that id. Raises `UnknownCacheError`."""
        for key in (PoolKey(label, None), PoolKey(None, label)):
            pool = self._stock.get(key)
            if pool is not None:
                return pool
        known = sorted(pool.label for pool in self._stock)
        more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
        message = (
            f"there is no cache {label[:200]!r}; there are: {', '.join(known[:_MOST_NAMES]) or 'none'}{more}"
        )
        raise UnknownCacheError(message)

    def flush(self, label: str, done: Callable[[int], object]) -> None:
        """Remove all entries of a pool, then call `done` with their number. Raises `UnknownCacheError`."""
        Flush(self._loop, self.find(label), done)

    def drop(self, label: str) -> None:
        """End a pool, whoever holds it. Raises `UnknownCacheError`."""
        pool = self.find(label)
        self._stock.remove(pool.key)
        pool.end()

    def stats(
        self, connected: Mapping[Pool, set[int]] | None = None, most: int | None = None
    ) -> list[dict[str, Any]]:
        """One map per pool, of the `most` oldest.

        `connected`: the processes that are known to use it, besides those that took its lease.
        """
        takers = lease_takers()
        return [
            pool.stats((connected or {}).get(pool, set()) | takers.get(pool.lease_file, set()))
            for pool in itertools.islice(self._stock, most)
        ]

    def file_ids(self) -> dict[PoolKey, str]:
        """What the files of all pools are called: for those alone who may open any of them."""
        return {pool.key: pool.file_id for pool in self._stock}

    def close(self) -> None:
        """Leave all pools to the next daemon, or end them: then readers leave at once, and the files are removed."""
        self._stock.close()

    def __len__(self) -> int:
        return len(self._stock)

    def _make(self, key: PoolKey, identity: Identity, settings: PoolSettings, admission: Admission) -> Pool:
        return self._stock.make(key, identity, settings, admission, configured=False)

    def _probe(self) -> None:
        self._loop.call_later(_PROBE_MS, self._probe)
        self._stock.end_unheld(handed_out_before_ns=time.monotonic_ns() - _HANDOUT_NS)

    def _beat(self) -> None:
        """Four beats within the readers' grace, at least one a second."""
        self._loop.call_later(min(_BEAT_MS, self._grace_ms / 4), self._beat)
        for pool in self._stock:
            pool.beat()


def _name(admission: Admission) -> str:
    return "clients' own addresses" if admission.upstream is None else f"the upstream {admission.upstream!r}"


def _list(differences: list[str]) -> str:
    return "; ".join(differences)
