"""Misses by cause: what the daemon found when it looked up (and what it goes on with after a restart)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import HASH, STRING

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {
    "max_cache_kb": 64,
    "entry_ttl_ms": 1_000,
    "eviction_policy": "LRU",
    "enable_metrics": True,
    "instance_id": 1,
    "grace_ms": 5_000,
}
NOW_NS = 10**15


def miss_in_each_way(store: PoolStore) -> None:
    store.insert(b"k", STRING, b"v", 5, NOW_NS)
    assert store.lookup(b"nothing", STRING, 0, NOW_NS) is None
    assert store.lookup(b"k", HASH, 0, NOW_NS) is None
    assert store.lookup(b"k", STRING, 5, NOW_NS) is None
    assert store.lookup(b"k", STRING, 4, NOW_NS) == b"v"
    assert store.lookup(b"k", STRING, 0, NOW_NS + 1_000_000_000) is None


def test_every_miss_has_one_cause(tmp_path: Path) -> None:
    store = PoolStore.create(str(tmp_path), "p", 1, **SETTINGS)
    miss_in_each_way(store)
    store.lookup(b"k", STRING, 0, NOW_NS + 1_000_000_000)  # what had expired has gone with the miss before
    assert store.misses_by_cause() == {"absent": 2, "expired": 1, "other_kind": 1, "own_write": 1}
    assert store.metrics().misses == 5
    store.close()


def test_the_next_daemon_goes_on_counting(tmp_path: Path) -> None:
    store = PoolStore.create(str(tmp_path), "p", 1, **SETTINGS)
    miss_in_each_way(store)
    before = store.misses_by_cause()
    assert store.seal()
    store = PoolStore.take_over(str(tmp_path), "p", 1, **SETTINGS)
    assert store.misses_by_cause() == before
    store.lookup(b"nothing", STRING)
    assert store.misses_by_cause() == {**before, "absent": before["absent"] + 1}
    store.close()


def test_nothing_is_counted_where_metrics_are_off(tmp_path: Path) -> None:
    store = PoolStore.create(str(tmp_path), "p", 1, **{**SETTINGS, "enable_metrics": False})
    miss_in_each_way(store)
    assert set(store.misses_by_cause().values()) == {0}
    store.close()
