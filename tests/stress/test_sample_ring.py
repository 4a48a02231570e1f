"""The sample ring under real processes: what each has left arrives, through forks and kills; the loss is exact."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import STRING
from glidecached.advice.pool_sampling import PoolSampling
from stress.stamped import Stamp, stamped
from stress.workers import churned_key
from support.sample_ring import RingFile
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache_shared.pool.store import PoolStore
    from stress.conftest import MakeStore, StartWorker

NEVER_NS = 1 << 62


@pytest.fixture
def sampled(make_store: MakeStore) -> Callable[..., tuple[PoolStore, PoolSampling]]:
    def make(keys: list[bytes], max_cache_kb: int = 32_768) -> tuple[PoolStore, PoolSampling]:
        store = make_store(max_cache_kb=max_cache_kb)
        for number, key in enumerate(keys, 1):
            store.insert(key, STRING, stamped(STRING, key, Stamp(number, 0), 10), number)
        return store, PoolSampling(store, store.max_bytes, 0, "LRU", server_ttl=False)

    return make


def settle(sampling: PoolSampling) -> None:
    """Take what there is; what was left empty is looked at twice."""
    for _ in range(2):
        while sampling.turn(NEVER_NS):
            pass
        sampling.report()


def files(store: PoolStore) -> dict[str, str]:
    return {"pool_path": store.pool_path, "board_path": store.board_path}


def test_hits_of_several_processes_arrive_each_once(
    sampled: Callable[..., Any], start_worker: StartWorker
) -> None:
    store, sampling = sampled([b"k"])
    result = start_worker(
        "hit_together", **files(store), hits=700, processes=4, one_shard=False, key="k"
    ).result()
    assert result["statuses"] == [0] * 4
    settle(sampling)
    assert store.metrics().hits == 2_800
    assert (sampling.arrived, sampling.lost, sampling.invalid) == (2_800, 0, 0)


def test_hits_that_are_left_while_the_ring_is_read_arrive_each_once(
    sampled: Callable[..., Any], start_worker: StartWorker
) -> None:
    """Such a hit is later than the turn that takes it."""
    store, sampling = sampled([b"k"])
    worker = start_worker("count_hits", **files(store), hits=2_000_000, threads=1, key="k")
    while worker.running:
        sampling.turn(NEVER_NS)
    assert worker.result()["hits"] == 2_000_000
    settle(sampling)
    with RingFile.open(store.pool_path, store.board_path) as ring:
        assert sampling.arrived == ring.next > 5_000
    assert (sampling.invalid, sampling.lost, sampling.late) == (0, 0, 0)


def test_hits_of_threads_and_forks_arrive_each_once(
    sampled: Callable[..., Any], start_worker: StartWorker
) -> None:
    store, sampling = sampled([b"k"])
    result = start_worker("fork_and_count", **files(store), hits=150, generations=2, key="k").result()
    assert result["statuses"] == [0, 0]
    settle(sampling)
    assert store.metrics().hits == 2 * 150 + 4 * 3 * 150
    assert (sampling.arrived, sampling.lost, sampling.invalid) == (2_100, 0, 0)


def test_of_workers_that_are_killed_at_any_instant_at_most_one_sample_each_is_lost(
    sampled: Callable[..., Any], start_worker: StartWorker, stress_seconds: float
) -> None:
    keys = [churned_key(number) for number in range(20)]
    store, sampling = sampled(keys, max_cache_kb=1_024)
    worker = start_worker(
        "die_reading", **files(store), seconds=stress_seconds, at_least=40, keys=20, children=3, seed=4
    )
    while worker.running:
        sampling.turn(NEVER_NS)
        time.sleep(0.02)  # so that windows end, too
    result = worker.result()
    assert result["strange"] == []
    settle(sampling)
    with RingFile.open(store.pool_path, store.board_path) as ring:
        # Every position that was taken has arrived or is lost: none twice, none forgotten.
        assert sampling.arrived + sampling.lost + sampling.late == ring.next
    assert sampling.lost <= result["kills"]
    assert sampling.arrived > 1_000


def test_a_reader_whose_store_is_gone_stops_by_itself(
    sampled: Callable[..., Any], start_worker: StartWorker
) -> None:
    store, sampling = sampled([b"k"])
    with RingFile.open(store.pool_path, store.board_path) as ring:
        start_worker("count_hits", **files(store), hits=20_000, threads=1, key="k").result()
        taken = ring.next
        assert taken == ring.published.until, "the daemon has taken nothing meanwhile"
    assert store.metrics().hits == 20_000
    settle(sampling)
    assert sampling.arrived == taken
    wait_until(lambda: sampling.turn(NEVER_NS) or sampling.open, "the next window is open")
