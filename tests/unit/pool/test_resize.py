"""A pool's next generation: all of the one before, however long its filling takes and whatever happens meanwhile."""

from __future__ import annotations

import itertools
import mmap
import os
import random
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolFormatError, PoolReader
from glidecache_shared.pool.resize import PoolResize
from glidecache_shared.pool.store import PoolStore, charge_bytes
from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unit.pool.conftest import Clock, MakeStore

KINDS = (STRING, HASH, SET)
VALUES: dict[int, Any] = {STRING: b"text" * 40, HASH: {b"f": b"v", b"": b""}, SET: {b"a", b"bb"}}
ROUNDS = 12


@pytest.fixture
def begin(pool_directory: str, clock: Clock) -> Iterator[Callable[..., PoolResize]]:
    """Begin a resize of a store; what is not given is as in `make_store`."""
    begun: list[PoolResize] = []

    def make(store: PoolStore, **settings: Any) -> PoolResize:
        defaults: dict[str, Any] = {
            "max_cache_kb": 64,
            "entry_ttl_ms": 0,
            "eviction_policy": "LRU",
            "enable_metrics": True,
            "instance_id": 7,
            "grace_ms": 5_000,
            "pool_mode": 0o640,
            "board_mode": 0o660,
            "now_ns": clock.now_ns,
        }
        pool_id = Path(store.pool_path).name.split(".")[0]
        begun.append(
            PoolResize(store, pool_directory, pool_id, store.generation + 1, **(defaults | settings))
        )
        return begun[-1]

    yield make
    for resize in begun:
        resize.abandon()


def finish(resize: PoolResize, clock: Clock) -> PoolStore:
    while not resize.step(3, clock.now_ns):
        pass
    store = resize.finish(clock.now_ns)
    store.check_integrity()
    return store


def reader(store: PoolStore) -> PoolReader:
    return PoolReader(store.pool_path, store.board_path)


def test_c5_all_kinds_lengths_and_keys_are_the_same(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store(max_cache_kb=512)
    entries = {b"%d" % kind + bytes([0, 255]) * kind: (kind, VALUES[kind]) for kind in KINDS}
    entries |= {
        b"size %d" % size: (STRING, b"x" * size) for size in (0, 1, 43, 44, 45, 116, 117, 4_000, 90_000)
    }
    for number, (key, (kind, value)) in enumerate(entries.items()):
        store.insert(key, kind, value, number + 1, clock.tick())
    # Holes, so that chains of several extents come about and are copied.
    for number in range(300):
        store.insert(b"hole %d" % number, STRING, b"h" * (number % 7) * 30, 50 + number, clock.tick())
    new = finish(begin(store, max_cache_kb=600), clock)
    assert sorted(new.entries()) == sorted(store.entries())
    assert new.charged_bytes == store.charged_bytes
    found = reader(new)
    for key, (kind, value) in entries.items():
        assert found.lookup(key, kind, clock.now_ns) == value
    new.close()


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c11_the_order_of_victims_goes_on(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock, policy: str
) -> None:
    store = make_store(eviction_policy=policy)
    found = reader(store)
    keys = [b"%02d" % number for number in range(40)]
    accesses = dict.fromkeys(keys, 1)
    last = {}
    for key in keys:
        store.insert(key, STRING, b"v", 1, last.setdefault(key, clock.tick()))
    chance = random.Random(5)
    for key in chance.choices(keys, k=200):
        last[key] = clock.tick()
        assert found.lookup(key, STRING, last[key]) == b"v"
        accesses[key] += 1
    new = finish(begin(store, eviction_policy=policy), clock)
    order = sorted(keys, key=lambda key: (accesses[key] if policy == "LFU" else 0, last[key]))
    smaller = finish(begin(new, eviction_policy=policy, max_cache_kb=1), clock)
    left = {key for key, _ in smaller.entries()}
    assert 0 < len(left) < len(keys)
    assert left == set(order[-len(left) :])
    new.close()
    smaller.close()


def test_c6_expiry_is_carried_over_and_another_ttl_is_for_new_entries(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store(entry_ttl_ms=10)
    stored_ns = clock.tick()
    store.insert(b"old", STRING, b"v", 1, stored_ns)
    store.set_ttl(20)
    store.insert(b"middle", STRING, b"v", 1, stored_ns)
    new = finish(begin(store, entry_ttl_ms=30), clock)
    new.insert(b"new", STRING, b"v", 1, stored_ns)
    found = reader(new)
    for key, ttl_ms in ((b"old", 10), (b"middle", 20), (b"new", 30)):
        assert found.lookup(key, STRING, stored_ns + ttl_ms * 1_000_000 - 1) == b"v"
        assert found.lookup(key, STRING, stored_ns + ttl_ms * 1_000_000) is None
    new.close()


def test_c13_counters_go_on(make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock) -> None:
    store = make_store(max_cache_kb=1, entry_ttl_ms=1)
    found = reader(store)
    for number in range(9):
        store.insert(b"%d" % number, STRING, b"v" * 250, 1, clock.tick())
    assert found.lookup(b"8", STRING, clock.now_ns) is not None
    assert store.lookup(b"8", STRING, 0, clock.now_ns) is not None
    store.lookup(b"none", STRING, 0, clock.now_ns)
    clock.tick(2_000_000)
    store.lookup(b"8", STRING, 0, clock.now_ns)
    before = store.metrics()
    causes = store.misses_by_cause()
    assert min(before) > 0
    assert causes["expired"] > 0
    new = finish(begin(store), clock)
    assert new.metrics() == before
    assert new.misses_by_cause() == causes
    assert reader(new).metrics() == before
    new.close()


def test_c13_a_hit_that_a_reader_was_in_the_middle_of_counts_later(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    reader(store).lookup(b"k", STRING, clock.now_ns)
    with Path(store.board_path).open("r+b") as file, mmap.mmap(file.fileno(), 4096) as board:
        new = finish(begin(store), clock)
        store.close()
        (hits,) = struct.unpack_from("<Q", board, 64 * 5)
        struct.pack_into("<Q", board, 64 * 5, hits + 3)
        assert new.metrics().hits == 1
        new.beat(clock.tick())
        assert new.metrics().hits == 4
        new.beat(clock.tick())
        assert new.metrics().hits == 4
        new.beat(clock.tick(6_000_000_000))
        struct.pack_into("<Q", board, 64 * 5, hits + 30)
        new.beat(clock.tick())
        assert new.metrics().hits == 4, "a grace later nobody is late any more"
    new.close()


def test_metrics_that_were_off_begin_at_nothing(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store(enable_metrics=False)
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    new = finish(begin(store), clock)
    assert reader(new).metrics_enabled
    assert new.metrics() == (0, 0, 1, 0, 0)
    new.close()


def test_c22_flights_are_carried_over(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"late", 9, clock.tick())
    new = finish(begin(store), clock)
    assert not new.insert(b"k", STRING, b"early", 8, clock.tick())
    assert new.lookup(b"k", STRING, 9, clock.tick()) is None
    assert new.lookup(b"k", STRING, 8, clock.tick()) == b"late"
    new.close()


def test_c8_c10_a_smaller_bound_takes_the_oldest_and_not_one_more(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store(max_cache_kb=16)
    for number in range(40):
        store.insert(b"%08d" % number, STRING, b"v" * 250, 1, clock.tick())
    new = finish(begin(store, max_cache_kb=4), clock)
    assert new.max_bytes == 4096 >= new.charged_bytes > 4096 - charge_bytes(8, 250)
    kept = 4096 // charge_bytes(8, 250)
    assert sorted(key for key, _ in new.entries()) == [b"%08d" % number for number in range(40 - kept, 40)]
    assert new.metrics().evictions == 40 - kept
    new.close()


def test_c9_what_alone_is_over_the_new_bound_goes_first(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store(max_cache_kb=64)
    store.insert(b"a", STRING, b"v", 1, clock.tick())
    store.insert(b"b", STRING, b"v", 1, clock.tick())
    store.insert(b"large", STRING, b"v" * 5_000, 1, clock.tick())
    resize = begin(store, max_cache_kb=1)
    assert not store.insert(b"another", STRING, b"v" * 5_000, 1, clock.tick()), (
        "nor does one like it come any more"
    )
    new = finish(resize, clock)
    assert sorted(new.entries()) == [(b"a", STRING), (b"b", STRING)]
    assert new.metrics().evictions == 1
    new.close()


def test_c12_an_expired_victim_is_an_expiration(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store(max_cache_kb=64, entry_ttl_ms=1)
    store.insert(b"large", STRING, b"v" * 5_000, 1, clock.tick())
    for number in range(6):
        store.insert(b"%08d" % number, STRING, b"v" * 250, 1, clock.tick())
    clock.tick(2_000_000)
    new = finish(begin(store, max_cache_kb=1), clock)
    assert (new.metrics().evictions, new.metrics().expirations) == (0, 4)
    new.close()


def test_c21_whatever_happens_while_it_is_filled_the_next_generation_is_the_same(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    """Inserts, replacements, evictions, lookups, trimming and a flush, between steps of one entry to many."""
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        store = make_store(
            max_cache_kb=48, entry_ttl_ms=5, grace_ms=1, eviction_policy=("LRU", "LFU")[seed % 2]
        )
        flight = 0

        def work(store: PoolStore = store, chance: random.Random = chance) -> None:
            nonlocal flight
            for _ in range(chance.randrange(20)):
                flight += 1
                key, kind = b"%d" % chance.randrange(200), chance.choice(KINDS)
                if chance.random() < 0.6:
                    value = b"x" * chance.randrange(2_000) if kind == STRING else VALUES[kind]
                    store.insert(key, kind, value, flight, clock.tick())
                else:
                    store.lookup(key, kind, 0, clock.tick(chance.randrange(100_000)))
            if chance.random() < 0.02:
                store.flush()
            if chance.random() < 0.3:
                store.beat(clock.tick(2_000_000))

        for _ in range(30):
            work()
        bound_kb = chance.choice([12, 48, 100])
        resize = begin(
            store,
            max_cache_kb=bound_kb,
            entry_ttl_ms=5,
            grace_ms=1,
            eviction_policy=("LRU", "LFU")[seed % 2],
        )
        while not resize.step(chance.choice([1, 2, 50]), clock.tick()):
            work()
            assert store.charged_bytes <= store.max_bytes
        work()
        new = resize.finish(clock.tick())
        new.check_integrity()
        store.check_integrity()
        assert sorted(new.entries()) == sorted(store.entries())
        assert new.charged_bytes == store.charged_bytes <= bound_kb * 1024
        assert new.metrics() == store.metrics()
        for key, kind in new.entries():
            assert new.lookup(key, kind, 0, 1) == store.lookup(key, kind, 0, 1)
        new.close()


def test_readers_use_the_old_one_until_the_new_one_is_whole(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store()
    for number in range(50):
        store.insert(b"%d" % number, STRING, b"v", 1, clock.tick())
    found = reader(store)
    resize = begin(store)
    done = False
    while not done:
        done = resize.step(7, clock.now_ns)
        assert found.lookup(b"7", STRING, clock.now_ns) == b"v"
        with pytest.raises(PoolFormatError):
            PoolReader(*resize.paths)
    new = resize.finish(clock.now_ns)
    assert found.retired
    assert found.lookup(b"7", STRING, clock.now_ns) is None
    assert reader(new).lookup(b"7", STRING, clock.now_ns) == b"v"
    with pytest.raises(ValueError, match="has ended"):
        resize.step(1)
    new.close()


def test_a_resize_that_is_given_up_leaves_no_trace(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock, pool_directory: str
) -> None:
    store = make_store()
    for number in range(50):
        store.insert(b"%d" % number, STRING, b"v", 1, clock.tick())
    before = sorted(Path(pool_directory).iterdir())
    resize = begin(store, max_cache_kb=32)
    assert len(list(Path(pool_directory).iterdir())) == len(before) + 2
    resize.step(10, clock.now_ns)
    resize.abandon()
    resize.abandon()
    assert sorted(Path(pool_directory).iterdir()) == before
    assert store.max_bytes == 32 * 1024, "the smaller bound had been reached"
    assert store.insert(b"large", STRING, b"v" * 30_000, 1, clock.tick())
    assert not store.insert(b"larger", STRING, b"v" * 33_000, 1, clock.tick())


def test_it_cannot_be_finished_before_it_is_small_enough(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store()
    for number in range(100):
        store.insert(b"%d" % number, STRING, b"v" * 200, 1, clock.tick())
    resize = begin(store, max_cache_kb=1)
    resize.step(1, clock.now_ns)
    with pytest.raises(ValueError, match="over the new bound"):
        resize.finish()


def test_misuse_is_refused(make_store: MakeStore, begin: Callable[..., PoolResize]) -> None:
    store = make_store()
    with pytest.raises(ValueError, match="positive"):
        begin(store, max_cache_kb=0)
    resize = begin(store)
    with pytest.raises(FileExistsError):
        begin(store)
    store.close()
    with pytest.raises(ValueError, match="closed"):
        resize.step(1)


SIZES = (100, 60_000)


def test_c10_a_full_pool_whose_entries_come_and_go_fits_beside_itself(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    """What has left since it was copied must not take the place of what is there now."""
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        store = make_store(max_cache_kb=1024)
        numbers = itertools.count()

        def fill(
            wanted_bytes: int, size: int, store: PoolStore = store, numbers: itertools.count[int] = numbers
        ) -> None:
            stored = 0
            while stored < wanted_bytes:
                store.insert(b"%d" % next(numbers), STRING, b"v" * size, 1, clock.tick())
                stored += charge_bytes(6, size)

        for size in SIZES:
            fill(1024 * 1024, size)
        resize = begin(store, max_cache_kb=1024)
        while not resize.step(64, clock.now_ns):
            fill(60_000, chance.choice(SIZES))
        new = resize.finish(clock.now_ns)
        new.check_integrity()
        assert sorted(new.entries()) == sorted(store.entries())
        new.close()
        store.close()


def test_what_has_changed_meanwhile_is_followed_before_the_end(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    """Nobody is served while `finish` works: it must not be left with all the entries that a flush took."""
    entries, count = 1_000, 100
    store = make_store(max_cache_kb=1024)
    for number in range(entries):
        store.insert(b"%d" % number, STRING, b"v", 1, clock.tick())
    resize = begin(store, max_cache_kb=1024)
    assert not resize.step(entries, clock.now_ns)
    store.flush()
    steps = 1
    while not resize.step(count, clock.now_ns):
        steps += 1
    assert steps == 2 * entries // count, "once over all of them, and once more, when there was nothing to do"
    assert resize.finish(clock.now_ns).metrics().entry_count == 0


def test_one_who_cannot_be_caught_up_with_is_not_followed_for_ever(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    store = make_store(max_cache_kb=1024)
    resize = begin(store, max_cache_kb=1024)
    steps = 0
    done = False
    while not done:
        for number in range(1_000):
            store.insert(b"%d" % number, STRING, b"%d" % steps, 1, clock.tick())
        done = resize.step(1_000, clock.now_ns)
        steps += 1
        assert steps < 20
    new = resize.finish(clock.now_ns)
    assert new.lookup(b"999", STRING, 0, clock.tick()) == b"%d" % (steps - 1)
    new.close()


def test_c13_a_generation_that_is_open_has_all_counters(
    make_store: MakeStore, begin: Callable[..., PoolResize], clock: Clock
) -> None:
    """The daemon may be killed at once then, and the next one goes on with this generation."""
    store = make_store(max_cache_kb=16 * 1024)
    for number in range(100_000):
        store.insert(b"%d" % number, STRING, b"v", 1, clock.now_ns)
    store.lookup(b"0", STRING, 0, clock.now_ns)
    store.lookup(b"none", STRING, 0, clock.now_ns)
    resize = begin(store, max_cache_kb=16 * 1024)
    while not resize.step(100_000, clock.now_ns):
        pass
    watcher = os.fork()
    if not watcher:
        with (
            Path(resize.paths[0]).open("rb") as file,
            mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ) as header,
        ):
            until_ns = time.monotonic_ns() + 30_000_000_000
            while header[:8] == bytes(8) and time.monotonic_ns() < until_ns:
                pass
            hits, misses = struct.unpack_from("<QQ", header, 64 * 4 + 16)
        os._exit(0 if (hits, misses) == (1, 1) else 1)
    new = resize.finish(clock.now_ns)
    assert os.waitpid(watcher, 0)[1] == 0
    new.close()
