"""The entries that would leave last, as an operator is shown them."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, STRING

if TYPE_CHECKING:
    from glidecache_shared.pool.store import PoolStore
    from unit.pool.conftest import Clock, MakeStore

MANY = 70_000  # so many that a sample sets the bar


def fill(store: PoolStore, clock: Clock, entries: int) -> None:
    for number in range(entries):
        store.insert(b"k%d" % number, STRING, b"v", 1, clock.tick())


def test_lfu_gives_the_most_accessed_entries_with_their_counts(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(eviction_policy="LFU")
    fill(store, clock, 20)
    reader = PoolReader(store.pool_path, store.board_path)
    for number, hits in ((3, 5), (11, 9), (7, 2)):
        for _ in range(hits):
            assert reader.lookup(b"k%d" % number, STRING, clock.tick()) is not None
    hottest = store.hottest(3, 256, clock.tick())
    assert [(entry.key, entry.accesses) for entry in hottest] == [(b"k11", 10), (b"k3", 6), (b"k7", 3)]


def test_lru_gives_the_most_recently_accessed_entries_and_no_counts(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store()
    fill(store, clock, 20)
    reader = PoolReader(store.pool_path, store.board_path)
    reader.lookup(b"k4", STRING, clock.tick())
    reader.lookup(b"k2", STRING, clock.tick())
    hottest = store.hottest(3, 256, clock.tick(5_000))
    assert [(entry.key, entry.accesses) for entry in hottest] == [
        (b"k2", None),
        (b"k4", None),
        (b"k19", None),
    ]
    assert hottest[0].idle_ns == 5_000


def test_what_an_entry_is_stands_beside_its_key(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    store.insert(b"K" * 1_000, HASH, {b"f": b"v"}, 1, clock.tick())
    (entry,) = store.hottest(10, 16, clock.tick())
    assert entry.key == b"K" * 16
    assert entry.key_bytes == 1_000
    assert entry.kind == HASH
    assert entry.payload_bytes > 2


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
@pytest.mark.parametrize("wanted", [1, 20, 60])
def test_the_choice_is_exact_in_a_large_pool(
    make_store: MakeStore, clock: Clock, policy: str, wanted: int
) -> None:
    store = make_store(max_cache_kb=64 * 1024, eviction_policy=policy)
    fill(store, clock, MANY)
    numbers = random.Random(policy)
    accesses: dict[bytes, tuple[int, int]] = {}
    for _ in range(2_000):
        key = b"k%d" % int(numbers.paretovariate(0.5) % MANY)
        store.lookup(key, STRING, 0, clock.tick())
        count = accesses.get(key, (1, 0))[0] + 1 if policy == "LFU" else 0
        accesses[key] = (count, clock.now_ns)
    expected = sorted(accesses, key=lambda key: accesses[key], reverse=True)[:wanted]
    assert [entry.key for entry in store.hottest(wanted, 256, clock.tick())] == expected


def test_removed_entries_are_not_among_them(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=64 * 1024)
    fill(store, clock, MANY)
    store.flush()
    assert store.hottest(5, 256, clock.tick()) == []
    store.insert(b"last", STRING, b"v", 2, clock.tick())
    assert [entry.key for entry in store.hottest(5, 256, clock.tick())] == [b"last"]


@pytest.mark.parametrize("wanted", [0, 5])
def test_an_empty_pool_has_none(make_store: MakeStore, wanted: int) -> None:
    assert make_store().hottest(wanted) == []


def test_a_truncated_board_costs_the_answer_and_nothing_else(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    fill(store, clock, 20)
    os.truncate(store.board_path, 0)
    assert store.hottest(5, 256, clock.tick()) == []
    assert store.board_faults == 1
    store.beat(clock.tick())
    assert len(store.hottest(5, 256, clock.tick())) == 5
