"""Pools without servers: settings, identities, and a configured cache "catalog" whose changes are run step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecached.access import Access
from glidecached.pools.metadata import Admission, ConfiguredCache, PoolSettings
from glidecached.upstream.target import Address, Identity

if TYPE_CHECKING:
    from glidecached.pools.manager import PoolManager

ENTRIES = 700  # several slices' worth of steps


def identity(database: int = 0, user: str = "default") -> Identity:
    return Identity(addresses=frozenset({Address("h", 1)}), tls="off", database=database, user=user)


def settings(max_cache_kb: int = 64, entry_ttl_ms: int = 0, **others: Any) -> PoolSettings:
    return PoolSettings(max_cache_kb=max_cache_kb, entry_ttl_ms=entry_ttl_ms, **others)


def catalog(database: int = 0, access: Access | None = None, **changed: Any) -> ConfiguredCache:
    return ConfiguredCache(
        name="catalog",
        identity=identity(database),
        settings=settings(**{"max_cache_kb": 1024, **changed}),
        admission=Admission(upstream="default", access=access or Access()),
    )


def settle(registry: PoolManager, loop: Any) -> None:
    """Run what is deferred, until no pool is on its way."""
    settled: list[bool] = []
    registry.changes.when_settled(lambda: settled.append(True))
    for _ in range(10_000):
        if settled:
            return
        deferred, loop.deferred = loop.deferred, []
        for callback in deferred:
            callback()
    pytest.fail("never settled")


def count(registry: PoolManager) -> int:
    entries: int = registry.find("catalog").entries.store.metrics().entry_count
    return entries
