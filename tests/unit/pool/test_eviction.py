"""C9 to C12: who leaves, in which order, and who never has to."""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, STRING
from support.pool_model import NS_PER_MS, PoolModel, longest_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache_shared.pool.store import PoolStore
    from unit.pool.conftest import Clock, MakeStore

    Three = Callable[..., tuple[PoolStore, PoolReader]]

KB = 1024
POLICIES = ["LRU", "LFU"]


def keys_of(store: PoolStore) -> set[bytes]:
    return {key for key, _ in store.entries()}


@pytest.fixture
def three(make_store: MakeStore, clock: Clock) -> Three:
    """Makes a 1 KB pool that three entries a, b, c fill, so that each insert of their size costs one its place."""

    def make(policy: str, ttl_ms: int = 0) -> tuple[PoolStore, PoolReader]:
        store = make_store(max_cache_kb=1, eviction_policy=policy, entry_ttl_ms=ttl_ms)
        for flight, key in enumerate([b"a", b"b", b"c"], 1):
            assert store.insert(key, STRING, b"v" * 250, flight, clock.tick())
        return store, PoolReader(store.pool_path, store.board_path)

    return make


def test_c11_lru_the_oldest_access_leaves_first(three: Three, clock: Clock) -> None:
    store, reader = three("LRU")
    assert reader.lookup(b"a", STRING, clock.tick()) is not None
    store.insert(b"d", STRING, b"v" * 250, 4, clock.tick())
    assert keys_of(store) == {b"a", b"c", b"d"}


def test_c11_the_daemons_own_hits_count_as_accesses(three: Three, clock: Clock) -> None:
    store, _ = three("LRU")
    assert store.lookup(b"a", STRING, 0, clock.tick()) is not None
    store.insert(b"d", STRING, b"v" * 250, 4, clock.tick())
    assert keys_of(store) == {b"a", b"c", b"d"}


@pytest.mark.parametrize("policy", POLICIES)
def test_c11_a_lookup_that_misses_is_no_access(three: Three, clock: Clock, policy: str) -> None:
    store, reader = three(policy)
    assert reader.lookup(b"a", HASH, clock.tick()) is None
    assert store.lookup(b"a", HASH, 0, clock.tick()) is None
    assert store.lookup(b"a", STRING, 3, clock.tick()) is None
    store.insert(b"d", STRING, b"v" * 250, 4, clock.tick())
    assert keys_of(store) == {b"b", b"c", b"d"}


def test_c11_lru_ignores_how_often(three: Three, clock: Clock) -> None:
    store, reader = three("LRU")
    for key in [b"a"] * 9 + [b"b", b"c"]:
        assert reader.lookup(key, STRING, clock.tick()) is not None
    store.insert(b"d", STRING, b"v" * 250, 4, clock.tick())
    assert keys_of(store) == {b"b", b"c", b"d"}


def test_c11_lfu_the_lowest_count_leaves_first_however_recent(three: Three, clock: Clock) -> None:
    store, reader = three("LFU")
    for key in [b"a", b"a", b"b", b"b", b"c"]:
        assert reader.lookup(key, STRING, clock.tick()) is not None
    store.insert(b"d", STRING, b"v" * 250, 4, clock.tick())
    assert keys_of(store) == {b"a", b"b", b"d"}
    store.insert(b"e", STRING, b"v" * 250, 5, clock.tick())
    assert keys_of(store) == {b"a", b"b", b"e"}


def test_c11_lfu_among_equals_the_oldest_access_leaves_first(three: Three, clock: Clock) -> None:
    store, reader = three("LFU")
    for key in [b"c", b"a", b"b", b"c", b"b", b"a"]:
        assert reader.lookup(key, STRING, clock.tick()) is not None
    store.insert(b"d", STRING, b"v" * 250, 4, clock.tick())
    for _ in range(3):
        assert reader.lookup(b"d", STRING, clock.tick()) is not None
    assert keys_of(store) == {b"a", b"b", b"d"}
    store.insert(b"e", STRING, b"v" * 250, 5, clock.tick())
    assert keys_of(store) == {b"a", b"d", b"e"}


def test_c11_lfu_storing_again_starts_the_count_anew(three: Three, clock: Clock) -> None:
    store, reader = three("LFU")
    for key in [b"a"] * 9 + [b"b", b"c"]:
        assert reader.lookup(key, STRING, clock.tick()) is not None
    store.insert(b"a", STRING, b"w" * 250, 4, clock.tick())
    store.insert(b"d", STRING, b"v" * 250, 5, clock.tick())
    assert keys_of(store) == {b"b", b"c", b"d"}


def test_c11_lfu_an_entry_does_not_inherit_the_count_of_the_one_whose_record_it_took(
    three: Three, clock: Clock
) -> None:
    store, reader = three("LFU")
    for _ in range(5):
        assert reader.lookup(b"b", STRING, clock.tick()) is not None
    store.flush()
    for flight, key in enumerate([b"d", b"e", b"f"], 4):
        store.insert(key, STRING, b"v" * 250, flight, clock.tick())
        assert reader.lookup(key, STRING, clock.tick()) is not None
    for flight, (key, victim) in enumerate([(b"g", b"d"), (b"h", b"e"), (b"i", b"f")], 7):
        before = keys_of(store)
        store.insert(key, STRING, b"v" * 250, flight, clock.tick())
        assert before - keys_of(store) == {victim}
        for _ in range(3):
            assert reader.lookup(key, STRING, clock.tick()) is not None


@pytest.mark.parametrize("policy", POLICIES)
def test_c11_an_access_that_is_reported_late_counts_with_its_own_time(
    three: Three, clock: Clock, policy: str
) -> None:
    store, reader = three(policy)
    start = clock.tick()
    for key, offset_ns in [(b"a", 10), (b"a", 11), (b"b", 20), (b"b", 1), (b"c", 30), (b"c", 31)]:
        assert reader.lookup(key, STRING, start + offset_ns) is not None
    store.insert(b"d", STRING, b"v" * 250, 4, clock.tick())
    assert keys_of(store) == {b"b", b"c", b"d"}


def test_c11_lfu_counts_do_not_decay_and_do_not_saturate_early(three: Three, clock: Clock) -> None:
    store, reader = three("LFU")
    for _ in range(70_000):
        reader.lookup(b"a", STRING, clock.tick())
    for _ in range(70_001):
        reader.lookup(b"b", STRING, clock.tick())
        reader.lookup(b"c", STRING, clock.tick())
    for _ in range(2):
        reader.lookup(b"a", STRING, clock.tick())
    store.insert(b"d", STRING, b"v" * 250, 4, clock.tick())
    assert keys_of(store) == {b"a", b"c", b"d"}


@pytest.mark.parametrize("policy", POLICIES)
def test_c9_an_entry_over_the_bound_is_skipped_and_costs_nobody_its_place(
    three: Three, clock: Clock, policy: str
) -> None:
    store, reader = three(policy)
    just_too_long = longest_payload(1, store.max_bytes) + 1
    assert store.insert(b"d", STRING, b"v" * just_too_long, 4, clock.tick()) is False
    assert store.insert(b"k" * 5_000, STRING, b"", 5, clock.tick()) is False
    assert store.insert(b"a", STRING, b"v" * 9_000, 6, clock.tick()) is False
    assert keys_of(store) == {b"a", b"b", b"c"}
    assert reader.lookup(b"a", STRING, clock.tick()) == b"v" * 250
    assert store.metrics().evictions == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_c10_an_entry_that_fits_the_bound_is_always_stored(three: Three, clock: Clock, policy: str) -> None:
    store, reader = three(policy)
    value = bytes(range(256)) * 8
    value = value[: longest_payload(1, store.max_bytes)]
    assert store.insert(b"d", STRING, value, 4, clock.tick()) is True
    assert reader.lookup(b"d", STRING, clock.tick()) == value
    assert keys_of(store) == {b"d"}
    assert store.metrics().evictions == 3


@pytest.mark.parametrize("policy", POLICIES)
def test_c10_not_one_victim_more_than_needed(make_store: MakeStore, clock: Clock, policy: str) -> None:
    store = make_store(max_cache_kb=4, eviction_policy=policy)
    for flight in range(1, 13):
        store.insert(b"%08d" % flight, STRING, b"v" * 250, flight, clock.tick())
    assert store.metrics().evictions == 0
    store.insert(b"two more", STRING, b"v" * 500, 13, clock.tick())
    assert store.metrics().evictions == 2
    store.insert(b"two more", STRING, b"v" * 250, 14, clock.tick())
    store.insert(b"one more", STRING, b"v" * 250, 15, clock.tick())
    assert store.metrics().evictions == 2


@pytest.mark.parametrize("policy", POLICIES)
def test_c10_replacing_an_entry_frees_its_place_first(three: Three, clock: Clock, policy: str) -> None:
    store, reader = three(policy)
    assert store.insert(b"a", STRING, b"w" * 250, 4, clock.tick())
    assert reader.lookup(b"a", STRING, clock.tick()) == b"w" * 250
    assert keys_of(store) == {b"a", b"b", b"c"}
    assert store.metrics().evictions == 0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_c10_after_long_churn_of_mixed_sizes_the_victims_are_still_exactly_the_policys(
    make_store: MakeStore, clock: Clock, policy: str, seed: int
) -> None:
    chance = random.Random(seed)
    store = make_store(max_cache_kb=2 * KB, eviction_policy=policy)
    reader = PoolReader(store.pool_path, store.board_path)
    model = PoolModel(max_bytes=store.max_bytes, entry_ttl_ms=0, eviction_policy=policy)
    for flight in range(1, 2_501):
        key, value = (
            b"%d" % chance.randrange(600),
            chance.randbytes(int(16 * 2 ** (14 * chance.random() ** 2))),
        )
        for other in chance.choices(sorted(model.live) or [key], k=3):
            now = clock.tick()
            assert reader.lookup(other, STRING, now) == model.read(other, STRING, now)
        now = clock.tick()
        assert store.insert(key, STRING, value, flight, now) == model.insert(key, STRING, value, flight, now)
        if flight % 10 == 0:
            assert set(store.entries()) == model.entries()
    store.check_integrity()

    order = model.victim_order()
    value = chance.randbytes(KB * KB)
    now = clock.tick()
    assert model.insert(b"large", STRING, value, 3_000, now) is True
    assert store.insert(b"large", STRING, value, 3_000, now) is True
    survivors = keys_of(store) - {b"large"}
    assert 10 < len(order) - len(survivors) < len(order)
    assert survivors == set(order[len(order) - len(survivors) :])
    assert set(store.entries()) == model.entries()
    assert store.metrics() == model.metrics()
    assert reader.lookup(b"large", STRING, clock.tick()) == value
    for key in survivors:
        assert reader.lookup(key, STRING, clock.tick()) == model.live[key].value


@pytest.mark.parametrize("policy", POLICIES)
def test_c11_the_policys_victim_is_found_among_very_many(
    make_store: MakeStore, clock: Clock, policy: str
) -> None:
    """Tens of thousands of entries: victims then come from a kept selection, and accesses change it all the time."""
    store = make_store(max_cache_kb=4 * KB, eviction_policy=policy)
    reader = PoolReader(store.pool_path, store.board_path)
    chance = random.Random(7)
    priority: dict[bytes, tuple[int, int]] = {}
    heap: list[tuple[tuple[int, int], bytes]] = []

    def access(key: bytes, time_ns: int) -> None:
        count = priority[key][0] + 1 if key in priority else 1
        priority[key] = (count if policy == "LFU" else 0, time_ns)
        heapq.heappush(heap, (priority[key], key))

    evictions = 0
    for number in range(70_000):
        key, now = b"%08d" % number, clock.tick()
        store.insert(key, STRING, b"v", number + 1, now)
        if store.metrics().evictions > evictions:
            evictions += 1
            while heap[0][0] != priority.get(heap[0][1]):
                heapq.heappop(heap)
            victim = heapq.heappop(heap)[1]
            del priority[victim]
            assert reader.lookup(victim, STRING, clock.tick()) is None, f"the wrong one left at {number}"
        assert store.metrics().evictions == evictions
        access(key, now)
        for _ in range(2):
            other = b"%08d" % chance.randrange(max(number - 45_000, 0), number + 1)
            now = clock.tick()
            assert (reader.lookup(other, STRING, now) is not None) == (other in priority)
            if other in priority:
                access(other, now)
    assert evictions > 30_000
    assert keys_of(store) == priority.keys()


@pytest.mark.parametrize("policy", POLICIES)
def test_c12_an_expired_victim_counts_as_an_expiration(three: Three, clock: Clock, policy: str) -> None:
    store, reader = three(policy, ttl_ms=10)
    clock.tick(9 * NS_PER_MS)
    assert reader.lookup(b"b", STRING, clock.tick()) is not None
    store.insert(b"c", STRING, b"v" * 250, 4, clock.tick())
    clock.tick(2 * NS_PER_MS)
    store.insert(b"d", STRING, b"v" * 250, 5, clock.tick())
    assert (store.metrics().expirations, store.metrics().evictions) == (1, 0)
    store.insert(b"e", STRING, b"v" * 800, 6, clock.tick())
    assert (store.metrics().expirations, store.metrics().evictions) == (2, 2)
    assert keys_of(store) == {b"e"}


@pytest.mark.parametrize("policy", POLICIES)
def test_c12_an_expired_entry_is_not_preferred_as_a_victim(three: Three, clock: Clock, policy: str) -> None:
    """Victims leave strictly in policy order (C10): a live entry of less value goes before an expired one."""
    store, reader = three(policy, ttl_ms=10)
    clock.tick(9 * NS_PER_MS)
    store.insert(b"c", STRING, b"w" * 250, 4, clock.tick())
    for key in (b"a", b"b"):
        assert reader.lookup(key, STRING, clock.tick()) is not None
    clock.tick(2 * NS_PER_MS)
    assert reader.lookup(b"a", STRING, clock.now_ns) is None
    store.insert(b"d", STRING, b"v" * 250, 5, clock.tick())
    assert keys_of(store) == {b"a", b"b", b"d"}
    assert (store.metrics().expirations, store.metrics().evictions) == (0, 1)
