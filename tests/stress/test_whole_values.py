"""C21 under load: whatever the writer does, a hit is one whole value of that very key, not expired."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import STRING
from stress.churn import TRIMMING_GRACE_MS, churn, swell_and_shrink
from support.pool_model import NS_PER_MS

if TYPE_CHECKING:
    from stress.conftest import MakeStore, StartWorker

READERS = 2
KEYS = 240
TTL_MS = 40


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("policy", "ttl_ms"), [("LRU", TTL_MS), ("LFU", 0)])
def test_c21_no_hit_is_torn_foreign_or_expired_while_the_writer_overwrites_and_evicts(
    make_store: MakeStore, start_worker: StartWorker, stress_seconds: float, policy: str, ttl_ms: int
) -> None:
    store = make_store(eviction_policy=policy, entry_ttl_ms=ttl_ms)
    readers = [
        start_worker(
            "read_stamped",
            pool_path=store.pool_path,
            board_path=store.board_path,
            seconds=stress_seconds,
            keys=KEYS,
            ttl_ns=ttl_ms * NS_PER_MS,
            seed=seed,
        )
        for seed in range(READERS)
    ]
    give_up = time.monotonic() + stress_seconds + 30
    churned = churn(
        store,
        keys=KEYS,
        ttl_ms=ttl_ms,
        seed=11,
        going_on=lambda: any(reader.running for reader in readers) and time.monotonic() < give_up,
    )
    results = [reader.result() for reader in readers]
    assert [result["failures"] for result in results] == [[]] * READERS
    for found_of_kind in zip(*(result["found"] for result in results), strict=True):
        assert sum(found_of_kind) > 1_000 * stress_seconds
    assert sum(sum(result["found"]) for result in results) < sum(result["lookups"] for result in results)
    assert churned.stored > 1_000 * stress_seconds
    metrics = store.metrics()
    assert metrics.evictions > 500 * stress_seconds
    assert (metrics.expirations > 0) is bool(ttl_ms)


@pytest.mark.timeout(0)
def test_c21_no_hit_is_torn_or_foreign_while_memory_is_given_back_under_it(
    make_store: MakeStore, start_worker: StartWorker, stress_seconds: float
) -> None:
    keys = 12_000
    store = make_store(max_cache_kb=4 * 1024, eviction_policy="LFU", grace_ms=TRIMMING_GRACE_MS)
    readers = [
        start_worker(
            "read_stamped",
            pool_path=store.pool_path,
            board_path=store.board_path,
            seconds=2 * stress_seconds,
            keys=keys,
            ttl_ns=0,
            seed=seed,
        )
        for seed in range(READERS)
    ]
    give_up = time.monotonic() + 2 * stress_seconds + 30
    turns = swell_and_shrink(
        store,
        keys=keys,
        seed=12,
        going_on=lambda: any(reader.running for reader in readers) and time.monotonic() < give_up,
    )
    results = [reader.result() for reader in readers]
    assert [result["failures"] for result in results] == [[]] * READERS
    assert sum(sum(result["found"]) for result in results) > 1_000 * stress_seconds
    assert turns > stress_seconds


@pytest.mark.timeout(0)
def test_c21_lookups_find_their_keys_while_the_index_grows_under_them(
    make_store: MakeStore, start_worker: StartWorker, stress_seconds: float
) -> None:
    entries = 250_000
    store = make_store(max_cache_kb=64 * 1024)
    readers = [
        start_worker(
            "read_growing",
            pool_path=store.pool_path,
            board_path=store.board_path,
            seconds=stress_seconds + 30,
            until=entries,
            seed=seed,
        )
        for seed in range(READERS)
    ]
    pace_s = stress_seconds / entries
    started = time.monotonic()
    for number in range(entries):
        store.insert(b"%d" % number, STRING, b"value of %d" % number, number + 1)
        if number % 500 == 0:
            time.sleep(max(started + number * pace_s - time.monotonic(), 0))
    for result in [reader.result() for reader in readers]:
        assert result["failures"] == []
        assert result["there"] == entries
        assert result["found"] > 10_000
        # A lookup whose bounded retries the writer outruns is a miss; what a split loses would be missed for good.
        assert result["missing"] <= result["found"] / 1_000
    reader = PoolReader(store.pool_path, store.board_path)
    assert all(reader.lookup(number, STRING) == b"value of %d" % number for number in range(entries))
