"""The switch of a pool's sampling for advice, by its settings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from glidecached.advice.pool_sampling import PoolSampling

if TYPE_CHECKING:
    from glidecached.pools.entries import PoolEntries
    from glidecached.pools.metadata import PoolSettings

logger = logging.getLogger(__name__)


def follow_settings(entries: PoolEntries, settings: PoolSettings, *, wanted: bool) -> PoolSampling | None:
    """Begin to sample a pool, or stop, or tell the sampling which settings are in force now. Return the sampling.

    A pool without metrics is not sampled.
    """
    sampling = entries.sampling
    if not wanted or not settings.enable_metrics:
        stop_sampling(entries)
        return None
    bound, ttl_ns = settings.max_cache_kb * 1024, settings.entry_ttl_ms * 1_000_000
    if sampling is None:
        try:
            sampling = PoolSampling(
                entries.store, bound, ttl_ns, settings.eviction_policy, server_ttl=settings.server_ttl
            )
        except Exception:
            logger.exception("the traffic of a cache cannot be sampled", extra={"cache": entries.label})
            return None
        entries.sampling = sampling
    else:
        sampling.set_pool(bound, ttl_ns, settings.eviction_policy, server_ttl=settings.server_ttl)
    return sampling


def stop_sampling(entries: PoolEntries) -> None:
    """Sample a pool no more."""
    sampling = entries.sampling
    entries.sampling = None
    if sampling is not None:
        sampling.stop()
