"""C8 over time: a pool costs what it holds and not what it once held, and giving memory back changes nothing else.

The daemon's heartbeat trims: it vacates the ends of the regions, and gives back what was vacant for a whole grace.
"""

from __future__ import annotations

import errno
import heapq
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import charge_bytes
from glidecache_shared.protocol import STRING
from support.pool_model import NS_PER_MS

if TYPE_CHECKING:
    from glidecache_shared.pool.store import PoolStore
    from unit.pool.conftest import Clock, MakeStore

KB = 1024
MB = 1024 * KB
GRACE_MS = 5_000
BEATS_PER_GRACE = 5

# Where the pool file's header keeps what these tests look at (docs/design/pool-layout.md), and its own length.
OVERFLOW_AT, ARENA_AT, BUCKET_COUNT_AT, HEADER_BYTES = 80, 96, 196, 4 * KB
REGION_SLACK_BYTES = (128 + 256) * KB


def slack_bytes(store: PoolStore) -> float:
    """What a trimmed pool may take beside its charges: two headers, a part of what it holds, and a step a region."""
    return 2 * 4 * KB + store.charged_bytes / 32 + 4 * (128 + 256) * KB


def beat_for(store: PoolStore, clock: Clock, graces: float) -> None:
    """Let so many graces pass, with heartbeats as regular as a daemon's."""
    for _ in range(int(graces * BEATS_PER_GRACE)):
        store.beat(clock.tick(GRACE_MS * NS_PER_MS // BEATS_PER_GRACE))


def header_word(store: PoolStore, offset: int, size: int) -> int:
    """A number in the header of the pool file."""
    with Path(store.pool_path).open("rb") as file:
        return int.from_bytes(file.read(HEADER_BYTES)[offset : offset + size], "little")


def region_bytes(store: PoolStore) -> dict[str, int]:
    """How much of each region but the arena has memory behind it."""
    overflow, arena = header_word(store, OVERFLOW_AT, 8), header_word(store, ARENA_AT, 8)
    return {
        "primary": allocated_bytes(store.pool_path, HEADER_BYTES, overflow),
        "overflow": allocated_bytes(store.pool_path, overflow, arena),
        "board": Path(store.board_path).stat().st_blocks * 512,
    }


def allocated_bytes(path: str, start: int, end: int) -> int:
    """How much of a part of a file is no hole."""
    total = 0
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while start < end:
            with_data = os.lseek(descriptor, start, os.SEEK_DATA)
            start = os.lseek(descriptor, with_data, os.SEEK_HOLE)
            total += max(min(start, end) - min(with_data, end), 0)
    except OSError as error:
        if error.errno != errno.ENXIO:  # which says that there is no more data
            raise
    finally:
        os.close(descriptor)
    return total


class Mirror:
    """Keys, values and priorities of a pool with the least bookkeeping that finds the policy's victim."""

    def __init__(self, store: PoolStore, policy: str, clock: Clock) -> None:
        self.store = store
        self.reader = PoolReader(store.pool_path, store.board_path)
        self.policy = policy
        self.clock = clock
        self.values: dict[bytes, bytes] = {}
        self.priorities: dict[bytes, tuple[int, int]] = {}
        self.heap: list[tuple[tuple[int, int], bytes]] = []
        self.charged = 0

    def insert(self, key: bytes, value: bytes) -> None:
        now = self.clock.tick()
        self.charged += charge_bytes(len(key), len(value)) - self._charge(key)
        self.values.pop(key, None)
        self.priorities.pop(key, None)
        while self.charged > self.store.max_bytes:
            priority, victim = heapq.heappop(self.heap)
            if self.priorities.get(victim) == priority:
                self.charged -= self._charge(victim)
                del self.values[victim], self.priorities[victim]
        self.values[key] = value
        self._access(key, now)
        assert self.store.insert(key, STRING, value, 0, now) is True

    def hit(self, key: bytes) -> None:
        now = self.clock.tick()
        assert self.reader.lookup(key, STRING, now) == self.values.get(key)
        if key in self.values:
            self._access(key, now)

    def check(self) -> None:
        """Everything but the values themselves, which reading would touch."""
        self.store.check_integrity()
        assert {key for key, _ in self.store.entries()} == self.values.keys()
        assert self.store.charged_bytes == self.charged

    def _access(self, key: bytes, now_ns: int) -> None:
        count = self.priorities[key][0] + 1 if key in self.priorities else 1
        self.priorities[key] = (count if self.policy == "LFU" else 0, now_ns)
        heapq.heappush(self.heap, (self.priorities[key], key))

    def _charge(self, key: bytes) -> int:
        return charge_bytes(len(key), len(self.values[key])) if key in self.values else 0


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c8_c11_after_the_entries_changed_from_tiny_to_huge_memory_is_given_back_and_victims_stay_exact(
    make_store: MakeStore, clock: Clock, policy: str
) -> None:
    store = make_store(max_cache_kb=8 * KB, eviction_policy=policy, grace_ms=GRACE_MS)
    mirror = Mirror(store, policy, clock)
    chance = random.Random(3)
    for number in range(70_000):
        mirror.insert(b"tiny %d" % number, b"%d" % number)
        if number % 3 == 0:
            mirror.hit(b"tiny %d" % chance.randrange(number + 1))
    mirror.check()
    for number in range(90):
        mirror.insert(b"huge %d" % number, chance.randbytes(64 * KB))
        for _ in range(4 if policy == "LFU" else 1):
            mirror.hit(b"huge %d" % number)
    survivors = [key for key in mirror.values if key.startswith(b"tiny")]
    assert 1_000 < len(survivors) < 20_000
    for beats in range(1, 20):
        store.beat(clock.tick(GRACE_MS * NS_PER_MS // BEATS_PER_GRACE))
        mirror.hit(chance.choice(survivors))
        if beats % 6 == 0:
            mirror.check()
            assert store.resident_bytes <= 1.4 * store.max_bytes
    assert store.resident_bytes <= store.charged_bytes + slack_bytes(store)
    for number in range(
        20_000
    ):  # the moved entries now leave, in the order that their accesses from before gave them
        mirror.insert(b"late %d" % number, b"late")
        if number % 500 == 0:
            mirror.check()
    mirror.check()
    for key in list(mirror.values):
        mirror.hit(key)


@pytest.mark.parametrize("value_bytes", [1, 250, 30 * KB])
def test_c8_a_flushed_pool_gives_its_memory_back_and_fills_again(
    make_store: MakeStore, clock: Clock, value_bytes: int
) -> None:
    store = make_store(max_cache_kb=8 * KB, grace_ms=GRACE_MS)
    reader = PoolReader(store.pool_path, store.board_path)
    entries = store.max_bytes // charge_bytes(8, value_bytes)
    for round_number in range(3):
        for number in range(entries):
            value = b"%07d." % number * (value_bytes // 8 + 1)
            assert store.insert(b"%08d" % number, STRING, value[:value_bytes], 0, clock.tick())
        store.check_integrity()
        assert store.metrics().entry_count == entries
        full = store.resident_bytes
        assert full > 0.9 * store.max_bytes
        for number in range(0, entries, 7):
            value = b"%07d." % number * (value_bytes // 8 + 1)
            assert reader.lookup(b"%08d" % number, STRING, clock.tick()) == value[:value_bytes]
        store.flush()
        beat_for(store, clock, 0.5)
        assert store.resident_bytes > 0.9 * full, (
            f"round {round_number}: given back before a grace had passed"
        )
        beat_for(store, clock, 12)
        store.check_integrity()
        assert store.resident_bytes <= slack_bytes(store)
        assert reader.lookup(b"%08d" % 0, STRING, clock.tick()) is None


def test_c8_each_region_gives_back_what_it_does_not_need_and_long_chains_stay_whole(
    make_store: MakeStore, clock: Clock
) -> None:
    """Most of many tiny entries leave for a few large ones: index and board shrink, those left are all found."""
    store = make_store(max_cache_kb=64 * KB, grace_ms=GRACE_MS)
    reader = PoolReader(store.pool_path, store.board_path)
    tiny = store.max_bytes // charge_bytes(8, 1)
    for number in range(tiny):
        store.insert(b"%08d" % number, STRING, b"v", 0, clock.tick())
    before = region_bytes(store)
    for number in range(51):
        store.insert(b"large %d" % number, STRING, b"v" * MB, 0, clock.tick())
    left = store.metrics().entry_count - 51
    assert 0.1 * tiny < left < 0.25 * tiny
    beat_for(store, clock, 30)
    after = region_bytes(store)
    for region in ("primary", "overflow", "board"):
        assert before[region] > 3 * REGION_SLACK_BYTES
        assert after[region] < left / tiny * before[region] * 1.4 + REGION_SLACK_BYTES
    store.check_integrity()
    for number in range(tiny - left, tiny):
        assert reader.lookup(b"%08d" % number, STRING, clock.tick()) == b"v"


def test_c8_overflow_buckets_move_down_and_their_chains_stay_whole(
    make_store: MakeStore, clock: Clock
) -> None:
    """A fifth leaves: too few for buckets to merge, enough for many overflow buckets to fall free here and there."""
    store = make_store(max_cache_kb=64 * KB, grace_ms=GRACE_MS)
    reader = PoolReader(store.pool_path, store.board_path)
    tiny = store.max_bytes // charge_bytes(8, 1)
    for number in range(tiny):
        store.insert(b"%08d" % number, STRING, b"v", 0, clock.tick())
    before, buckets = region_bytes(store)["overflow"], header_word(store, BUCKET_COUNT_AT, 4)
    store.insert(b"large", STRING, b"v" * 13 * MB, 0, clock.tick())
    left = store.metrics().entry_count - 1
    beat_for(store, clock, 30)
    assert header_word(store, BUCKET_COUNT_AT, 4) == buckets
    assert region_bytes(store)["overflow"] < before - 128 * KB
    store.check_integrity()
    for number in range(tiny - left, tiny):
        assert reader.lookup(b"%08d" % number, STRING, clock.tick()) == b"v"


def test_c8_buckets_that_were_split_are_not_merged_at_the_next_heartbeat(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store(max_cache_kb=4 * KB, grace_ms=GRACE_MS)
    for number in range(30_000):
        store.insert(b"%d" % number, STRING, b"v", 0, clock.tick())
    buckets = header_word(store, BUCKET_COUNT_AT, 4)
    assert buckets > 5_000
    beat_for(store, clock, 3)
    assert header_word(store, BUCKET_COUNT_AT, 4) == buckets
    store.flush()
    beat_for(store, clock, 3)
    assert header_word(store, BUCKET_COUNT_AT, 4) < buckets / 100


def test_c8_a_pool_at_rest_settles_and_is_then_left_alone(make_store: MakeStore, clock: Clock) -> None:
    """Trimming and growing do not undo each other: after a while nothing moves any more."""
    store = make_store(max_cache_kb=4 * KB, grace_ms=GRACE_MS)
    for number in range(30_000):
        store.insert(b"%d" % number, STRING, b"v", 0, clock.tick())
    beat_for(store, clock, 5)
    settled = store.resident_bytes
    for _ in range(5):
        beat_for(store, clock, 1)
        assert store.resident_bytes == settled
    for number in range(30_000, 30_100):
        store.insert(b"%d" % number, STRING, b"v", 0, clock.tick())
    assert store.resident_bytes <= settled + 4 * 256 * KB


@pytest.mark.parametrize("seed", range(4))
def test_c8_whatever_comes_and_goes_between_heartbeats_every_entry_keeps_its_value(
    make_store: MakeStore, clock: Clock, seed: int
) -> None:
    chance = random.Random(seed)
    policy = ("LRU", "LFU")[seed % 2]
    store = make_store(max_cache_kb=6 * KB, eviction_policy=policy, grace_ms=GRACE_MS)
    mirror = Mirror(store, policy, clock)
    number = 0
    for _ in range(40):
        size, count = chance.choice(
            [(1, 9_000), (40, 4_000), (300, 2_000), (9_000, 200), (200_000, 12), (3 * MB, 1)]
        )
        for _ in range(chance.randrange(1, count + 1)):
            number += 1
            key = b"%d" % (number if chance.random() < 0.8 else chance.randrange(number))
            mirror.insert(key, (b"%d|" % number * (size // 2 + 1))[:size])
        for key in chance.sample(sorted(mirror.values), min(300, len(mirror.values))):
            mirror.hit(key)
        beat_for(store, clock, chance.choice([0, 0.2, 1, 4]))
        mirror.check()
    for key in list(mirror.values):
        mirror.hit(key)
