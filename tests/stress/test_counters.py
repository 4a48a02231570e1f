"""C13 over processes: no lost updates, also not from processes that were killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import STRING
from stress.churn import churn

if TYPE_CHECKING:
    from glidecache_shared.pool.store import PoolStore
    from stress.conftest import MakeStore, StartWorker

KEYS = 60
HITS = 300_000
KILLS = 20


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c13_the_sum_over_processes_and_threads_is_exact_at_rest(
    make_store: MakeStore, start_worker: StartWorker, policy: str
) -> None:
    store = make_store(eviction_policy=policy)
    store.insert(b"k", STRING, b"v", 1)
    files = {"pool_path": store.pool_path, "board_path": store.board_path}
    workers = [
        start_worker("count_hits", **files, hits=60_000, threads=threads, key="k") for threads in (1, 2, 3)
    ]
    daemon_hits = daemon_misses = 0
    while any(worker.running for worker in workers):
        daemon_hits += store.lookup(b"k", STRING) is not None
        daemon_misses += store.lookup(b"absent", STRING) is None
    assert [worker.result()["hits"] for worker in workers] == [60_000, 120_000, 180_000]
    metrics = store.metrics()
    assert (metrics.hits, metrics.misses) == (360_000 + daemon_hits, daemon_misses)
    assert PoolReader(store.pool_path, store.board_path).metrics() == metrics


def test_c13_processes_whose_counts_share_a_cache_line_lose_none(
    make_store: MakeStore, start_worker: StartWorker
) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"v", 1)
    result = hit_together(store, start_worker, key="k", one_shard=True)
    assert result == {"statuses": [0, 0]}
    assert store.metrics().hits == 2 * HITS


def test_c11_lfu_counts_of_several_processes_are_not_lost(
    make_store: MakeStore, start_worker: StartWorker
) -> None:
    """Two processes hit one entry at once; it must outlive one that got a single access less."""
    store = make_store(eviction_policy="LFU", max_cache_kb=1)
    for flight, key in enumerate([b"a", b"b", b"c"], 1):
        store.insert(key, STRING, b"v" * 250, flight)
    result = hit_together(store, start_worker, key="a", one_shard=False)
    assert result == {"statuses": [0, 0]}
    reader = PoolReader(store.pool_path, store.board_path)
    for _ in range(2 * HITS - 1):
        assert reader.get("b") is not None
    for _ in range(2 * HITS + 1):
        assert reader.get("c") is not None
    store.insert(b"d", STRING, b"v" * 250, 4)
    assert {key for key, _ in store.entries()} == {b"a", b"c", b"d"}


def hit_together(store: PoolStore, start_worker: StartWorker, *, key: str, one_shard: bool) -> dict[str, Any]:
    """`HITS` hits in each of two processes at once."""
    return start_worker(
        "hit_together",
        pool_path=store.pool_path,
        board_path=store.board_path,
        hits=HITS,
        processes=2,
        one_shard=one_shard,
        key=key,
    ).result()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c13_processes_killed_anywhere_lose_no_count_but_that_of_their_last_call(
    make_store: MakeStore, start_worker: StartWorker, stress_seconds: float, policy: str
) -> None:
    store = make_store(eviction_policy=policy)
    graveyard = start_worker(
        "die_reading",
        pool_path=store.pool_path,
        board_path=store.board_path,
        seconds=stress_seconds,
        at_least=KILLS,
        keys=KEYS,
        children=3,
        seed=5,
    )
    give_up = time.monotonic() + stress_seconds + 60
    churned = churn(
        store, keys=KEYS, ttl_ms=0, seed=6, going_on=lambda: graveyard.running and time.monotonic() < give_up
    )
    result = graveyard.result()
    assert result["strange"] == []
    assert result["kills"] >= KILLS
    assert result["recorded"] > 100 * KILLS
    assert 0 <= store.metrics().hits - churned.hits - result["recorded"] <= result["kills"]
