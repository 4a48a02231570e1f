"""One pool's numbers for the operator."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from glidecached.pools.pool import Pool


def pool_stats(pool: Pool, processes: Collection[int] = ()) -> dict[str, Any]:
    """Return a pool's part of STATS. `processes`: those that are known to use the pool."""
    store = pool.entries.store
    metrics = store.metrics()
    held = pool.held()
    return {
        "name": pool.key.name,
        "id": pool.key.cache_id,
        "configured": pool.configured,
        "identity": str(pool.identity),
        "generation": pool.generation,
        "settings": asdict(pool.settings),
        "metrics": {
            **metrics._asdict(),
            "forgotten": store.forgotten,
            "hit_rate": metrics.hit_rate,
        },
        "misses_by_cause": store.misses_by_cause(),
        "charged_bytes": store.charged_bytes,
        "max_bytes": store.max_bytes,
        "resident_bytes": store.resident_bytes,
        "file_system_full": store.file_system_full,
        "flights": len(pool.flights),
        "ttl_failures": pool.entries.ttl_failures,
        "held": held,
        # A holder that cannot be seen from here, as in another container, counts as well.
        "attached_processes": max(len(processes), int(held)),
    }
