"""Architecture decision 12: what readers get while a board is spoiled, and that it is whole again after a heartbeat."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import STRING
from stress.churn import churn

if TYPE_CHECKING:
    from stress.conftest import MakeStore, StartWorker

KEYS = 200
READERS = 2
CUTS_PER_SECOND = 10
SPOILING = ["noise", "ones", "zeros", "hammer"]
"""All attacks that leave the file its length. (Truncating it can take peers along, as the architecture says.)"""


@pytest.mark.timeout(0)
@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c21_readers_get_whole_values_of_their_keys_while_the_board_is_spoiled(
    make_store: MakeStore, start_worker: StartWorker, stress_seconds: float, policy: str
) -> None:
    store = make_store(eviction_policy=policy)
    readers = [
        start_worker(
            "read_stamped",
            pool_path=store.pool_path,
            board_path=store.board_path,
            seconds=stress_seconds,
            keys=KEYS,
            ttl_ns=0,
            seed=seed,
        )
        for seed in range(READERS)
    ]
    attacker = start_worker(
        "hammer",
        module="stress.spoilt_board",
        board_path=store.board_path,
        attacks=SPOILING,
        seconds=stress_seconds,
        seed=7,
    )
    give_up = time.monotonic() + stress_seconds + 30
    churned = churn(
        store,
        keys=KEYS,
        ttl_ms=0,
        seed=13,
        going_on=lambda: any(reader.running for reader in readers) and time.monotonic() < give_up,
    )
    results = [reader.result() for reader in readers]
    assert [result["failures"] for result in results] == [[]] * READERS
    assert sum(sum(result["found"]) for result in results) > 1_000
    assert attacker.result()["attacks"] > 100
    assert churned.stored > 1_000
    assert store.metrics().evictions > 100


@pytest.mark.timeout(0)
@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_a_board_that_was_cut_is_whole_after_a_heartbeat_and_the_policy_exact_again(
    start_worker: StartWorker, pool_directory: str, stress_seconds: float, policy: str
) -> None:
    outcome = start_worker(
        "recover",
        module="stress.spoilt_board",
        directory=pool_directory,
        policy=policy,
        cuts=max(int(CUTS_PER_SECOND * stress_seconds), 1),
        seed=3,
    ).result()
    assert outcome["wrong"] == []
    assert outcome["faults"] > 0
    assert outcome["faults_when_whole"] == 0


def test_a_board_that_was_cut_behind_all_records_in_use_takes_new_readers_after_a_heartbeat(
    make_store: MakeStore,
) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"v", 1)
    os.truncate(store.board_path, 8_192)
    store.beat()
    assert PoolReader(store.pool_path, store.board_path).get("k") == b"v"
