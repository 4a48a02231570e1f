"""Changes to pools in use, as a reload of the configuration requires them (docs/design/0013-resizing.md)."""

from __future__ import annotations

import functools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from glidecache_shared.pool.generation import PoolFull
from glidecached.pools.background_work import BackgroundCopies
from glidecached.pools.file_access import PermissionsError
from glidecached.pools.metadata import Admission, PoolKey
from glidecached.pools.table import CacheRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from glidecached.access import Access
    from glidecached.pools.metadata import ConfiguredCache, PoolSettings
    from glidecached.pools.pool import Pool
    from glidecached.pools.table import PoolTable
    from glidecached.process.loop import Loop

logger = logging.getLogger(__name__)


class PoolReconfiguration:
    """The part that makes, changes and ends the configuration's caches in the pool table. For the loop's thread.

    Memory that pools give back is available once they have changed: a cache that needs it waits for that. `configured`
    maps names to caches, and is kept up to date.
    """

    def __init__(self, loop: Loop, table: PoolTable, configured: dict[str, ConfiguredCache]) -> None:
        self._table = table
        self._configured = configured
        self._copies = BackgroundCopies(loop, self._resize_failed)

    def configure(self, cache: ConfiguredCache) -> None:
        """Make a cache of the configuration. Without room for its files now, the next client to join tries again."""
        self._configured[cache.name] = cache
        try:
            self.make(cache)
        except CacheRefusedError as error:
            if self._has_room_later(None, cache.settings):
                self._copies.when_settled(functools.partial(self._try_again, cache))
            else:
                logger.warning("configured cache not created", extra={"cache": cache.name, "reason": error})

    def make(self, cache: ConfiguredCache) -> Pool:
        """Make the pool of a cache of the configuration. Raises `CacheRefusedError`."""
        return self._table.make(cache.key, cache.identity, cache.settings, cache.admission, configured=True)

    def reconfigure(self, cache: ConfiguredCache) -> None:
        """Make or change a cache of the configuration. Its entries stay, unless its identity changes.

        Without room for the change, the cache stays as it is, and a warning is logged.
        """
        before = self._configured.get(cache.name)
        if before is None or before.identity != cache.identity:
            # A client's pool of this name ends as well: the name belongs to the configuration now.
            self._table.end(cache.key, "the configuration defines the name")
            self.configure(cache)
            return
        self._configured[cache.name] = cache
        pool = self._table.get(cache.key)
        if pool is not None and (pool.settings, pool.admission) != (cache.settings, cache.admission):
            self._change(pool, cache.settings, cache.admission)

    def unconfigure(self, name: str) -> None:
        """End a cache that the configuration no longer has; its clients learn that at their next request."""
        del self._configured[name]
        self._table.end(PoolKey(name, None), "it is no longer in the configuration")

    def readmit(self, accesses: Mapping[str, Access]) -> None:
        """Give the pools that clients have made through a configured upstream to that upstream's present users.

        `accesses` are the access lists of the configured upstreams by name: pools of a removed upstream end.
        """
        for pool in self._table:
            name = pool.admission.upstream
            if pool.configured or name is None:
                continue
            if name not in accesses:
                self._table.end(pool.key, f"its upstream {name!r} is no longer in the configuration")
            elif pool.admission.access != accesses[name]:
                self._change(pool, pool.settings, Admission(upstream=name, access=accesses[name]))

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Call `callback` once the changes of `reconfigure` and `readmit` are done."""
        self._copies.when_settled(callback)

    def _try_again(self, cache: ConfiguredCache) -> None:
        """Change a cache again: the memory that other pools gave back is available now."""
        if self._configured.get(cache.name) != cache:
            return
        if self._table.get(cache.key) is None:
            self.configure(cache)
        else:
            self.reconfigure(cache)

    def _change(self, pool: Pool, settings: PoolSettings, admission: Admission) -> None:
        settings = self._within_total(pool, settings)
        try:
            if admission != pool.admission:
                pool.admit(admission)
        except (OSError, PermissionsError) as error:
            logger.warning("pool access not changed", extra={"cache": pool.label, "reason": error})
            self._start_empty(pool)
            return
        starts_empty = settings.server_ttl and not pool.settings.server_ttl
        try:
            pool.resize(settings, self._table.next_generation())
        except (OSError, PermissionsError, PoolFull, ValueError) as error:
            logger.warning("pool not resized", extra={"cache": pool.label, "reason": error})
            self._resize_failed(pool)
            return
        if starts_empty:
            logger.info(
                "pool starts empty",
                extra={
                    "cache": pool.label,
                    "reason": "server_ttl is on now, and no entry knows what its key had left",
                },
            )
        if pool.is_resizing:
            self._copies.add(pool)

    def _within_total(self, pool: Pool, settings: PoolSettings) -> PoolSettings:
        """Return the settings with the limit that the pool may have now. If it may have more later, plan that."""
        others_kb = self._table.claimed_kb(but=pool)
        total_kb = self._table.max_total_cache_kb
        kept_kb = pool.settings.max_cache_kb
        if settings.max_cache_kb <= kept_kb or others_kb + settings.max_cache_kb <= total_kb:
            return settings
        cache = self._configured.get(pool.key.name or "")
        if cache is not None and self._has_room_later(pool, settings):
            self._copies.when_settled(functools.partial(self._try_again, cache))
        else:
            logger.warning(
                "pool not enlarged, max_total_cache_kb is in use",
                extra={
                    "cache": pool.label,
                    "kept_kb": kept_kb,
                    "max_cache_kb": settings.max_cache_kb,
                    "others_kb": others_kb,
                    "max_total_cache_kb": total_kb,
                },
            )
        return replace(settings, max_cache_kb=kept_kb)

    def _has_room_later(self, pool: Pool | None, settings: PoolSettings) -> bool:
        """Return whether there will be enough room once other pools have become smaller."""
        coming_kb = self._table.coming_kb(but=pool)
        return (
            coming_kb < self._table.claimed_kb(but=pool)
            and coming_kb + settings.max_cache_kb <= self._table.max_total_cache_kb
        )

    def _resize_failed(self, pool: Pool) -> None:
        if pool.shuts_out:
            self._start_empty(pool)

    def _start_empty(self, pool: Pool) -> None:
        """Replace a pool, without its entries: users who may not read it any more have the files mapped."""
        self._table.end(pool.key, "access has changed, and previous users have its files mapped")
        cache = self._configured.get(pool.key.name or "")
        if cache is not None:
            self.configure(cache)
