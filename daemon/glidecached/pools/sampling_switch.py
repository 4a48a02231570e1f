"""Whether a pool's traffic is sampled for advice, and by which settings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from glidecached.advice.pool_sampling import PoolSampling

if TYPE_CHECKING:
    from glidecached.pools.pool import Pool

logger = logging.getLogger(__name__)


def follow_settings(pool: Pool, *, wanted: bool) -> None:
    """Begin to sample a pool, or stop, or tell the sampling which settings are in force now.

    A pool without metrics is not sampled.
    """
    settings, sampling = pool.settings, pool.entries.sampling
    if not wanted or not settings.enable_metrics:
        stop_sampling(pool)
        return
    bound, ttl_ns = settings.max_cache_kb * 1024, settings.entry_ttl_ms * 1_000_000
    if sampling is None:
        try:
            sampling = PoolSampling(
                pool.entries.store, bound, ttl_ns, settings.eviction_policy, server_ttl=settings.server_ttl
            )
        except Exception:
            logger.exception("the traffic of a cache cannot be sampled", extra={"cache": pool.entries.label})
            return
        pool.sampling = pool.entries.sampling = sampling
    else:
        sampling.set_pool(bound, ttl_ns, settings.eviction_policy, server_ttl=settings.server_ttl)


def stop_sampling(pool: Pool) -> None:
    """Sample a pool no more."""
    sampling = pool.entries.sampling
    pool.sampling = pool.entries.sampling = None
    if sampling is not None:
        sampling.stop()
