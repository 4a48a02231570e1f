"""C8 and C10 at size: bounds of gigabytes, millions of entries, a million inserts of mixed sizes.

`GLIDECACHE_STRESS=long` takes the full numbers; without it each test is a tenth of that, or less.
"""

from __future__ import annotations

import heapq
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import charge_bytes
from glidecache_shared.protocol import STRING

if TYPE_CHECKING:
    from unit.pool.conftest import Clock, MakeStore

LONG = os.environ.get("GLIDECACHE_STRESS") == "long"
SANITIZED = os.environ.get("GLIDECACHED_SANITIZED") == "1"

ENTRIES = 10_000_000 if LONG else 300_000
MIXED_INSERTS = 1_000_000 if LONG else 10_000 if SANITIZED else 50_000

KB = 1024
MB = 1024 * KB
GB_KB = 1024 * 1024

pytestmark = pytest.mark.timeout(1_800 if LONG or SANITIZED else 120)


class Held(NamedTuple):
    """What stands under a key: its charge, and which part of the noise is its value."""

    charge: int
    start: int
    size: int


class QuickModel:
    """Victims by a heap instead of by brute force: `support.pool_model` for hundreds of thousands of evictions.

    Each access pushes its priority; what is no longer an entry's priority is dropped when it comes up.
    """

    def __init__(self, max_bytes: int, policy: str) -> None:
        self.max_bytes = max_bytes
        self.counts = policy == "LFU"
        self.live: dict[bytes, Held] = {}
        self.priority: dict[bytes, tuple[int, int]] = {}
        self.heap: list[tuple[tuple[int, int], bytes]] = []
        self.charged_bytes = self.evictions = 0

    def access(self, key: bytes, now_ns: int) -> None:
        count = self.priority[key][0] + 1 if self.counts else 0
        self.priority[key] = (count, now_ns)
        heapq.heappush(self.heap, (self.priority[key], key))

    def insert(self, key: bytes, held: Held, now_ns: int) -> list[bytes]:
        """Store an entry that fits the bound; returns the victims in their order."""
        if key in self.live:
            self._remove(key)
        victims = []
        while self.charged_bytes + held.charge > self.max_bytes:
            victims.append(self._next_victim())
            self._remove(victims[-1])
        self.evictions += len(victims)
        self.live[key] = held
        self.charged_bytes += held.charge
        self.priority[key] = (0, 0)
        self.access(key, now_ns)
        return victims

    def _next_victim(self) -> bytes:
        while True:
            priority, key = heapq.heappop(self.heap)
            if self.priority.get(key) == priority:
                return key

    def _remove(self, key: bytes) -> None:
        self.charged_bytes -= self.live.pop(key).charge
        del self.priority[key]


def private_bytes() -> int:
    """This process's memory that is not a file's."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * KB


@pytest.mark.parametrize("max_cache_kb", [GB_KB, 64 * GB_KB])
def test_c8_ten_entries_cost_what_ten_cost_whatever_the_bound(
    make_store: MakeStore, clock: Clock, max_cache_kb: int
) -> None:
    small, large = make_store(max_cache_kb=1024), make_store(max_cache_kb=max_cache_kb)
    for store in (small, large):
        for flight in range(1, 11):
            assert store.insert(b"%d" % flight, STRING, b"v" * 1_000, flight, clock.tick())
    assert large.max_bytes == max_cache_kb * KB
    assert large.resident_bytes <= 10 * charge_bytes(2, 1_000) + 128 * KB
    assert large.resident_bytes <= small.resident_bytes + 128 * KB
    for path in (large.pool_path, large.board_path):
        assert os.stat(path).st_blocks * 512 <= 128 * KB  # noqa: PTH116  # a path as the store gives it


def test_c8_c13_entries_without_number_are_all_found_and_cost_little_besides(
    make_store: MakeStore, clock: Clock
) -> None:
    before = private_bytes()
    bound_kb = ENTRIES * charge_bytes(8, 16) // KB + KB
    store = make_store(max_cache_kb=bound_kb)
    now = clock.tick()
    for number in range(ENTRIES):
        store.insert(b"%08d" % number, STRING, b"value of %07d" % number, number + 1, now + number)
    private = private_bytes() - before
    clock.tick(ENTRIES)
    assert tuple(store.metrics()) == (0, 0, ENTRIES, 0, 0)
    assert store.resident_bytes <= 1.02 * bound_kb * KB + MB
    if not SANITIZED:
        assert private <= 48 * ENTRIES + 4 * MB

    reader = PoolReader(store.pool_path, store.board_path)
    store.beat(clock.tick())
    now = clock.tick()
    missing = sum(
        reader.lookup(b"%08d" % number, STRING, now) != b"value of %07d" % number for number in range(ENTRIES)
    )
    assert missing == 0
    assert store.metrics().hits == ENTRIES


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c10_after_very_many_inserts_of_mixed_sizes_a_large_value_costs_exactly_its_victims(
    make_store: MakeStore, clock: Clock, policy: str
) -> None:
    """16 B to 1 MB, each size as likely as its double; every eviction on the way is compared as well."""
    chance = random.Random(17)
    noise = chance.randbytes(3 * MB)
    store = make_store(max_cache_kb=48 * KB, eviction_policy=policy)
    reader = PoolReader(store.pool_path, store.board_path)
    model = QuickModel(store.max_bytes, policy)
    for flight in range(1, MIXED_INSERTS + 1):
        key = b"%d" % chance.randrange(3_000)
        held = held_by(key, int(16 * 2 ** (16 * chance.random())), chance)
        value = noise[held.start : held.start + held.size]
        now = clock.tick()
        assert store.insert(key, STRING, value, flight, now)
        victims = model.insert(key, held, now)
        assert store.metrics().evictions == model.evictions
        if victims:
            assert reader.lookup(victims[-1], STRING, clock.tick()) is None
        other = b"%d" % chance.randrange(3_000)
        now = clock.tick()
        found = reader.lookup(other, STRING, now)
        assert (found is not None) == (other in model.live)
        if found is not None:
            start, size = model.live[other][1:]
            assert found == noise[start : start + size]
            model.access(other, now)
        if flight % 1_000 == 0:
            store.beat(clock.tick(1_000_000_000))
            assert {key for key, _ in store.entries()} == model.live.keys()
    assert store.charged_bytes == model.charged_bytes
    store.check_integrity()

    large = held_by(b"large", 3 * MB, chance)
    victims = model.insert(b"large", large, clock.tick())
    assert len(victims) > 1
    assert store.insert(b"large", STRING, noise, MIXED_INSERTS + 1, clock.now_ns)
    assert {key for key, _ in store.entries()} == model.live.keys()
    assert store.metrics().evictions == model.evictions
    assert reader.lookup(b"large", STRING, clock.tick()) == noise


def held_by(key: bytes, size: int, chance: random.Random) -> Held:
    """An entry whose value starts anywhere in three megabytes of noise."""
    return Held(charge_bytes(len(key), size), chance.randrange(3 * MB - size + 1), size)
