"""The sampling of a pool: what readers leave in the ring, what the daemon makes of it, and of what no reader left."""

from __future__ import annotations

import contextlib
import os
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, SET, STRING
from glidecached.advice.pool_report import reason_without, report_of, sampling_of
from glidecached.advice.sampling_turns import INTERVAL_MS, SamplingTurns
from glidecached.pools.metadata import PoolKey, PoolSettings
from glidecached.pools.pool import FROM_THE_TOP
from support.sample_ring import ALL_KEYS, HIT, WRITE, RingFile
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.pools.manager import PoolManager
    from glidecached.pools.pool import Pool

MOST_BYTES = 4_000_000
NEVER_NS = 1 << 62


class Sampled:
    """A pool of a real registry, a reader of its files, and its ring as a hostile worker has it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.entries = pool.entries
        self.reader = PoolReader(pool.entries.store.pool_path, pool.entries.store.board_path)
        self._stack = contextlib.ExitStack()

    @property
    def sampling(self) -> Any:
        assert self.pool.sampling is not None
        return self.pool.sampling

    def ring(self) -> RingFile:
        store = self.entries.store
        return self._stack.enter_context(RingFile.open(store.pool_path, store.board_path))

    def again(self) -> PoolReader:
        """A reader of the generation that is in use now."""
        self.reader = PoolReader(self.entries.store.pool_path, self.entries.store.board_path)
        return self.reader

    def fill(self, count: int, value: bytes = b"v" * 100) -> list[bytes]:
        """Store so many keys, each after its miss, as reads do."""
        keys = [b"key:%d" % number for number in range(count)]
        for key in keys:
            self.entries.lookup(key, STRING, 0)
            self.entries.insert(key, STRING, value, 1)
            if key.endswith(b"000"):
                self.turn()
        self.turn()
        return keys

    def turn(self) -> None:
        while self.sampling.turn(NEVER_NS):
            pass

    def report(self, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.sampling.report(**options)
        return found

    @property
    def lookups(self) -> int:
        """All lookups until now, as a report counts them."""
        self.report()
        return int(self.sampling.sample.exact_lookups)

    @property
    def keys(self) -> int:
        self.report()
        return int(self.sampling.sample.key_count)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def make(make_registry: Callable[..., PoolManager], upstream: Any) -> Iterator[Callable[..., Sampled]]:
    made: list[Sampled] = []
    registry = make_registry(max_total_cache_kb=200_000)

    def make_one(**settings: Any) -> Sampled:
        given = {"max_cache_kb": 32_768, "entry_ttl_ms": 60_000, "enable_metrics": True} | settings
        pool = registry.join(
            PoolKey(f"sampled{len(made)}", None), upstream.target.identity, PoolSettings(**given)
        )
        made.append(Sampled(pool))
        return made[-1]

    make_one.registry = registry  # type: ignore[attr-defined]
    yield make_one
    for each in made:
        each.close()


@pytest.fixture
def sampled(make: Callable[..., Sampled]) -> Sampled:
    return make()


def reread(sampled: Sampled, keys: list[bytes]) -> int:
    """Read all keys; the number of hits."""
    return sum(sampled.reader.get(key) is not None for key in keys)


# ---- what readers leave


def test_every_lookup_before_the_question_is_in_the_answer(sampled: Sampled) -> None:
    keys = sampled.fill(100)
    assert reread(sampled, keys) == 100
    assert (sampled.lookups, sampled.sampling.arrived) == (200, 100)
    assert reread(sampled, keys[:7]) == 7
    assert (sampled.lookups, sampled.sampling.arrived) == (207, 107)


def test_hits_of_all_kinds_and_of_long_values_are_sampled(sampled: Sampled) -> None:
    values = {
        b"s": (STRING, b"v"),
        b"l": (STRING, b"v" * 9_000),
        b"h": (HASH, {b"f": b"v"}),
        b"m": (SET, {b"m"}),
    }
    for key, (kind, value) in values.items():
        sampled.entries.insert(key, kind, value, 1)
    for key, (kind, value) in values.items():
        assert sampled.reader.lookup(key, kind) == value
    sampled.turn()
    assert sampled.sampling.arrived == 4


def test_misses_and_expired_or_other_entries_leave_nothing(sampled: Sampled) -> None:
    sampled.fill(1)
    assert sampled.reader.get(b"absent") is None
    assert sampled.reader.hgetall(b"key:0") is None
    assert sampled.reader.lookup(b"key:0", STRING, time.monotonic_ns() + 120 * 10**9) is None
    sampled.turn()
    assert sampled.sampling.arrived == 0


def test_keys_above_the_threshold_leave_nothing_but_in_a_survey(sampled: Sampled) -> None:
    keys = sampled.fill(12_000)
    ring = sampled.ring()
    wait_until(
        lambda: sampled.turn() or (sampled.sampling.open and ring.published.survey_until > ring.next),
        "a survey has begun",
    )
    published = ring.published
    assert published.threshold == ALL_KEYS, "all hits look further"
    assert 0 < published.below < ALL_KEYS
    before = ring.next
    hits = reread(sampled, keys)
    left = [ring.sample(position)[1] for position in range(before, ring.next)]
    surveyed = left[: published.survey_until - before]
    assert 0 < len(left) < hits
    assert any(each % ALL_KEYS >= published.below for each in surveyed)
    assert all(each % ALL_KEYS < published.below for each in left[len(surveyed) :])
    sampled.turn()
    assert sampled.sampling.surveyed == sum(each % ALL_KEYS >= published.below for each in surveyed)
    assert (sampled.sampling.late, sampled.sampling.lost) == (0, 0)


def test_a_survey_ends_and_the_next_begins_later(sampled: Sampled) -> None:
    keys = sampled.fill(12_000)
    ring = sampled.ring()
    wait_until(lambda: sampled.turn() or not _surveys(sampled, ring, keys), "the survey has ended")
    assert ring.published.threshold == ring.published.below < ALL_KEYS, (
        "a hit that is not sampled is one comparison"
    )
    wait_until(lambda: sampled.turn() or ring.published.survey_until > ring.next, "the next survey has begun")


def _surveys(sampled: Sampled, ring: RingFile, keys: list[bytes]) -> bool:
    """Return whether a survey continues when 300 more keys have been read."""
    reread(sampled, keys[:300])
    sampled.turn()
    return ring.published.survey_until > 0 or not sampled.sampling.open


def test_the_sample_ends_with_the_window_and_begins_with_the_next(make: Callable[..., Sampled]) -> None:
    sampled = make(max_cache_kb=1024)
    keys = sampled.fill(20)
    ring = sampled.ring()
    until = ring.published.until
    assert 0 < until <= ring.capacity
    for _ in range(until):
        reread(sampled, keys)
    assert ring.next == until, "a hit beyond the window takes no position"
    sampled.turn()
    assert not sampled.sampling.open
    assert ring.published.threshold == ring.published.until == 0
    reread(sampled, keys)
    assert ring.next == until
    wait_until(lambda: sampled.turn() or sampled.sampling.open, "the next window is open")
    assert ring.published.threshold == ALL_KEYS
    reread(sampled, keys)
    assert ring.next == until + len(keys)
    report = sampled.report()
    assert 0 < report["sampled_time"] < 1
    assert sampled.sampling.lost == 0


def test_a_window_ends_where_the_ring_was_used_up_also_if_the_daemons_list_is_full_later(
    make: Callable[..., Sampled],
) -> None:
    """From there on hits are missing: misses alone would look like a worse cache than it is."""
    sampled = make(max_cache_kb=1024)
    keys = sampled.fill(20)
    for _ in range(sampled.ring().published.until):
        reread(sampled, keys)
    for number in range(3_000):
        sampled.entries.lookup(b"another:%d" % number, STRING, 0)
    sampled.turn()
    report = sampled.report()
    assert report["sampled_time"] < 1
    assert report["sampled_keys"] == len(keys), "no later miss is in the sample"


def test_the_next_turn_comes_before_ring_and_list_are_full(make: Callable[..., Sampled]) -> None:
    sampled = make(max_cache_kb=1024)
    assert sampled.sampling.wait_ms == INTERVAL_MS
    keys = sampled.fill(20)
    for _ in range(sampled.ring().published.until):
        reread(sampled, keys)
    sampled.turn()
    assert not sampled.sampling.open
    assert sampled.sampling.wait_ms < INTERVAL_MS
    wait_until(lambda: sampled.turn() or sampled.sampling.open, "the next window is open")
    until = sampled.ring().published.until - sampled.ring().next
    assert until < 3_000, "it is short: keys may be new"
    wait_until(lambda: sampled.turn() or sampled.sampling.wait_ms == INTERVAL_MS, "nothing happens")
    for number in range(3_000):
        sampled.entries.lookup(b"absent:%d" % number, STRING, 0)
    sampled.turn()
    assert sampled.sampling.wait_ms < INTERVAL_MS, "the daemon's own events would not have room"


def test_a_pool_with_much_traffic_has_turns_of_its_own() -> None:
    waits: list[tuple[float, Callable[[], None]]] = []
    loop: Any = SimpleNamespace(call_later=lambda ms, call: waits.append((ms, call)), defer=lambda _: None)
    turns: list[str] = []
    calm, busy = (
        SimpleNamespace(sampling=SimpleNamespace(wait_ms=ms, turn=lambda _, name=name: turns.append(name)))
        for name, ms in (("calm", INTERVAL_MS), ("busy", 20.0))
    )
    SamplingTurns(loop, [calm, busy]).start()  # type: ignore[list-item]
    waits.pop()[1]()
    assert sorted(turns) == ["busy", "calm"]
    assert [ms for ms, _ in waits] == [INTERVAL_MS, 20.0]
    for _ in range(3):
        waits.pop()[1]()
    assert sorted(turns) == ["busy"] * 4 + ["calm"]
    assert [ms for ms, _ in waits] == [INTERVAL_MS, 20.0], "one timer for each"


def test_a_sample_that_was_taken_and_never_written_is_lost_and_no_other(sampled: Sampled) -> None:
    keys = sampled.fill(10)
    ring = sampled.ring()
    reread(sampled, keys[:5])
    ring.next += 3  # workers that were killed
    reread(sampled, keys[5:])
    sampled.turn()
    assert (sampled.sampling.arrived, sampled.sampling.lost) == (10, 0), "they may be about to write"
    sampled.turn()
    assert (sampled.sampling.arrived, sampled.sampling.lost) == (10, 3)
    sampled.turn()
    assert sampled.sampling.lost == 3


def test_a_sample_that_is_written_late_still_counts(sampled: Sampled) -> None:
    sampled.fill(10)
    ring = sampled.ring()
    sampled.reader.get(b"key:3")
    position, key_hash, event = ring.sample(ring.next - 1)
    assert position == ring.next
    ring.next += 1
    sampled.turn()
    ring.put(position, key_hash, event)
    sampled.turn()
    assert (sampled.sampling.arrived, sampled.sampling.lost) == (2, 0)


def test_the_loss_of_a_full_ring_is_exact(make: Callable[..., Sampled]) -> None:
    sampled = make(max_cache_kb=1024)
    keys = sampled.fill(50)
    ring = sampled.ring()
    more = 77
    for number in range(ring.capacity + more):
        assert sampled.reader.note_writes([keys[number % 50]]) == 1
    sampled.turn()
    assert sampled.sampling.lost == more
    assert sampled.sampling.cached_key_writes == ring.capacity
    for key in keys:
        sampled.reader.note_writes([key])
    sampled.turn()
    assert sampled.sampling.lost == more
    assert sampled.sampling.cached_key_writes == ring.capacity + 50


# ---- what a hostile worker leaves


def forged(chance: random.Random, now_ns: int, known: int) -> tuple[int, int, int]:
    """Hash, time and sort of a sample that no reader leaves, or hardly."""
    key_hash = chance.choice([known, 0, ALL_KEYS - 1, (1 << 64) - 1, chance.getrandbits(64)])
    time_ns = chance.choice([0, 1, now_ns, now_ns + 10**12, (1 << 60) - 1, chance.getrandbits(60)])
    return key_hash, time_ns, chance.choice([HIT, 2, 3, WRITE, 0, 5, 15, chance.randrange(16)])


@pytest.mark.parametrize("seed", range(8))
def test_forged_samples_cost_that_pools_advice_and_nothing_else(
    make: Callable[..., Sampled], seed: int
) -> None:
    sampled = make(max_cache_kb=1024)
    sampled.fill(20)
    ring = sampled.ring()
    chance = random.Random(seed)
    sampled.reader.get(b"key:1")
    _, known, _ = ring.sample(ring.next - 1)
    for _ in range(30):
        for _ in range(chance.randrange(100)):
            ring.leave(*forged(chance, time.monotonic_ns(), known))
        disturbance = chance.randrange(6)
        if disturbance == 0:
            ring.next = chance.choice([0, ring.next // 2, (1 << 63), (1 << 64) - 1, chance.getrandbits(64)])
        elif disturbance == 1:
            ring.put(ring.next + chance.randrange(ring.capacity), *forged(chance, 0, known)[:2])
        began = time.monotonic()
        report = sampled.report(names=True)
        assert time.monotonic() - began < 5
        assert sampled.keys <= 20 + 1
        assert len(report["written_prefixes"]) <= 16
    assert sampled.sampling.memory_bytes <= MOST_BYTES
    # All the same, honest hits arrive again.
    wait_until(lambda: sampled.turn() or sampled.sampling.open, "a window is open")
    before = sampled.sampling.arrived
    assert sampled.reader.get(b"key:2") == b"v" * 100
    sampled.turn()
    assert sampled.sampling.arrived >= before + 1
    sampled.entries.store.check_integrity()


def test_hits_on_keys_that_nobody_stored_are_in_no_sample(sampled: Sampled) -> None:
    sampled.fill(20)
    before = sampled.keys
    ring = sampled.ring()
    for number in range(500):
        ring.leave(number << 32 | number, time.monotonic_ns())
    assert sampled.keys == before


def test_samples_of_the_future_and_of_no_known_sort_are_counted_as_such(sampled: Sampled) -> None:
    sampled.fill(1)
    ring = sampled.ring()
    now_ns = time.monotonic_ns()
    for time_ns, what in ((now_ns + 10**12, HIT), (now_ns, 0), (now_ns, 5), (now_ns, 15)):
        ring.leave(1, time_ns, what)
    sampled.turn()
    assert (sampled.sampling.invalid, sampled.sampling.arrived) == (4, 0)


# ---- writes


def test_a_write_counts_if_the_key_is_cached_at_that_moment(sampled: Sampled) -> None:
    sampled.entries.insert(b"cart:1", STRING, b"v", 1)
    sampled.entries.insert(b"cart:2", HASH, {b"f": b"v"}, 1)
    before = sampled.entries.store.metrics()
    for key in (b"cart:1", b"cart:2", b"cart:3"):
        sampled.entries.written(key)
    assert sampled.reader.note_writes([b"cart:1", b"cart:3", b"cart:2"]) == 2
    report = sampled.report(names=True)
    assert report["cached_key_writes"] == sampled.sampling.cached_key_writes == 4
    assert report["written_prefixes"] == ["cart:"]
    assert sampled.report()["written_prefixes"] is None
    assert sampled.entries.store.metrics() == before, "no lookup was counted"


def test_a_write_to_an_unsampled_key_counts_too(sampled: Sampled) -> None:
    keys = sampled.fill(12_000)
    assert sampled.sampling.sample.threshold < ALL_KEYS
    assert sampled.reader.note_writes(keys[:1_000]) == 1_000
    for key in keys[:1_000]:
        sampled.entries.written(key)
    assert sampled.report()["cached_key_writes"] == 2_000


def test_a_write_whose_key_is_forgotten_at_once_still_has_its_name(sampled: Sampled) -> None:
    sampled.entries.insert(b"session:1", STRING, b"v", 1)
    sampled.entries.insert(b"session:2", STRING, b"v", 1)
    sampled.reader.note_writes([b"session:1", b"session:2"])
    assert sampled.entries.forget(b"session:1", 5)
    assert sampled.entries.forget_below(b"session:", FROM_THE_TOP, 1_000)[1] == 1
    report = sampled.report(names=True)
    assert (report["cached_key_writes"], report["written_prefixes"]) == (2, ["session:"])


def test_a_forget_of_an_entry_that_has_ended_ends_those_that_a_longer_ttl_would_have_kept(
    make: Callable[..., Sampled],
) -> None:
    sampled = make(max_cache_kb=1024, entry_ttl_ms=1)
    (key,) = sampled.fill(1)
    end_ns = time.monotonic_ns() + 2_000_000
    wait_until(lambda: time.monotonic_ns() > end_ns, "the entry has ended")
    assert not sampled.entries.forget(key, 5)
    assert sampled.entries.lookup(key, STRING, 0) is None
    rates = {each["entry_ttl_ms"]: each["hit_rate"] for each in sampled.report()["by_ttl"]}
    assert rates[0] == 0.0, "forgotten, at whatever TTL"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda _: None, 3),
        (lambda each: each.entries.forget(b"key:0", 5), 0),
        (lambda each: each.entries.forget_below(b"key", FROM_THE_TOP, 1_000), 0),
        (lambda each: each.entries.insert(b"key:0", STRING, b"new", 9), 0),
        (lambda each: each.pool.flush(FROM_THE_TOP, NEVER_NS), 0),
    ],
    ids=["nothing", "forget", "forget prefix", "refresh", "flush"],
)
def test_hits_after_a_write_are_known_to_be_stale_until_the_entry_ends(
    sampled: Sampled, end: Callable[[Sampled], object], expected: int
) -> None:
    sampled.fill(1)
    sampled.entries.written(b"key:0")
    end(sampled)
    if not sampled.entries.store.metrics().entry_count:
        sampled.entries.insert(b"key:0", STRING, b"new", 9)
    for _ in range(3):
        assert sampled.reader.get(b"key:0") is not None
    sampled.report()
    assert sampled.sampling.sample.known_stale_hits == expected


# ---- refreshes


@pytest.mark.parametrize(
    ("kind", "value", "same", "other"),
    [
        (STRING, b"v", b"v", b"w"),
        (HASH, {b"a": b"1", b"b": b"2"}, {b"b": b"2", b"a": b"1"}, {b"a": b"2", b"b": b"1"}),
        (SET, [b"a", b"b", b"c"], [b"c", b"a", b"b"], [b"a", b"b", b"d"]),
    ],
    ids=["string", "hash", "set"],
)
def test_a_refresh_has_changed_only_if_the_value_has(
    sampled: Sampled, kind: int, value: Any, same: Any, other: Any
) -> None:
    for flight, each in enumerate((value, same, other), 1):
        sampled.entries.insert(b"k", kind, each, flight)
    sampled.report()
    assert (sampled.sampling.sample.refreshes, sampled.sampling.sample.changed_refreshes) == (2, 1)


# ---- on and off


def test_a_pool_without_metrics_has_no_sample(make: Callable[..., Sampled]) -> None:
    sampled = make(enable_metrics=False)
    assert sampled.pool.sampling is None
    sampled.entries.insert(b"k", STRING, b"v", 1)
    assert sampled.reader.get(b"k") == b"v"
    assert sampled.reader.note_writes([b"k"]) == 0
    ring = sampled.ring()
    assert ring.published == (0, 0, 0, 0, 0)
    assert ring.next == 0


def test_advice_that_is_turned_off_leaves_nothing_to_readers_and_can_be_turned_on(
    make: Callable[..., Sampled],
) -> None:
    sampled = make()
    registry = make.registry  # type: ignore[attr-defined]
    keys = sampled.fill(10)
    ring = sampled.ring()
    registry.advice_enabled = False
    assert sampled.pool.sampling is None
    assert make().pool.sampling is None
    assert ring.published == (0, 0, 0, 0, 0)
    before = ring.next
    assert reread(sampled, keys) == 10
    assert sampled.reader.note_writes(keys) == 0
    sampled.entries.written(keys[0])
    assert ring.next == before
    registry.advice_enabled = True
    assert reread(sampled, keys) == 10
    sampled.turn()
    assert sampled.sampling.arrived == 10
    assert sampled.lookups == 10, "it begins again"


# ---- the pool's changes


def test_a_flush_keeps_the_sample(sampled: Sampled) -> None:
    keys = sampled.fill(50)
    reread(sampled, keys)
    before = (sampled.keys, sampled.lookups)
    sampled.pool.flush(FROM_THE_TOP, NEVER_NS)
    assert reread(sampled, keys) == 0
    assert (sampled.keys, sampled.lookups) == before == (50, 100)


@pytest.mark.parametrize(
    "change", [{"max_cache_kb": 8_192}, {"eviction_policy": "LFU"}, {"entry_ttl_ms": 5_000}], ids=str
)
def test_the_sample_goes_on_with_a_pool_that_changes(sampled: Sampled, change: dict[str, Any]) -> None:
    keys = sampled.fill(50)
    reread(sampled, keys)
    assert sampled.lookups == 100
    settings = PoolSettings(
        **({"max_cache_kb": 32_768, "entry_ttl_ms": 60_000, "enable_metrics": True} | change)
    )
    old = sampled.reader
    sampled.pool.resize(settings, sampled.pool.generation + 100)
    while not sampled.pool.continue_resize(None):
        pass
    for key in keys:
        old.get(key)  # a worker that has not noticed yet
    sampled.again()
    assert reread(sampled, keys) == 50
    assert sampled.keys == 50
    assert 50 <= sampled.lookups <= 150, "figures begin again with the settings that they are about"
    assert sampled.sampling.lost == 0


def test_a_generation_with_other_hashes_begins_again(sampled: Sampled) -> None:
    keys = sampled.fill(50)
    reread(sampled, keys)
    sampled.pool.resize(
        PoolSettings(max_cache_kb=32_768, entry_ttl_ms=60_000, enable_metrics=True, server_ttl=True), 900
    )
    sampled.again()
    assert (sampled.keys, sampled.lookups) == (0, 0)
    sampled.fill(5)
    assert reread(sampled, keys[:5]) == 5
    assert sampled.lookups == 10


def test_a_pool_that_loses_its_metrics_loses_its_sample(sampled: Sampled) -> None:
    sampled.fill(5)
    sampled.pool.resize(PoolSettings(max_cache_kb=32_768, entry_ttl_ms=60_000, enable_metrics=False), 900)
    while not sampled.pool.continue_resize(None):
        pass
    assert sampled.pool.sampling is None
    sampled.again().get(b"key:1")
    assert sampled.ring().next == 0


def test_a_truncated_board_gets_its_ring_back(sampled: Sampled) -> None:
    keys = sampled.fill(5)
    path = Path(sampled.entries.store.board_path)
    size = path.stat().st_size
    os.truncate(path, 4096)
    sampled.turn()
    sampled.report()
    assert sampled.entries.lookup(keys[0], STRING, 0) == b"v" * 100
    sampled.pool.beat()
    assert path.stat().st_size == size
    assert reread(sampled.again() and sampled, keys) == 5
    sampled.turn()
    sampled.turn()
    assert sampled.sampling.arrived >= 5


def test_a_cache_that_nobody_reads_takes_next_to_no_memory(make: Callable[..., Sampled]) -> None:
    idle, small = make(), make()
    assert idle.sampling.memory_bytes < 20_000
    small.fill(50)
    assert 20_000 < small.sampling.memory_bytes < 250_000
    assert idle.sampling.memory_bytes < 20_000


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_the_memory_of_a_sample_is_bounded(make: Callable[..., Sampled], policy: str) -> None:
    """At all times, with the ring and the lists: also with all that a hostile worker and a slow loop can leave."""
    sampled = make(eviction_policy=policy, max_cache_kb=64)  # of a larger pool fewer keys would be sampled
    keys = [b"key:%d" % number for number in range(20_000)]
    most = 0
    for first in range(0, len(keys), 3_000):
        for key in keys[first : first + 3_000]:
            sampled.entries.lookup(key, STRING, 0)
            sampled.entries.insert(key, STRING, b"v", 1)
        ring = sampled.ring()
        for _ in range(ring.capacity):
            ring.leave(random.Random(first).getrandbits(64), time.monotonic_ns())
        most = max(most, sampled.sampling.memory_bytes)
        more = sampled.sampling.turn(0)
        most = max(most, sampled.sampling.memory_bytes)
        for _ in range(3):
            reread(sampled, keys)
            sampled.entries.forget(keys[first], 2)
            most = max(most, sampled.sampling.memory_bytes)
        sampled.turn()
        most = max(most, sampled.sampling.memory_bytes)
        assert more
    assert 3_000_000 < most <= MOST_BYTES


# ---- failures


def test_a_report_that_fails_ends_that_pools_sample_and_is_logged_once(
    make: Callable[..., Sampled], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sampled, other = make(), make()
    keys = sampled.fill(10)
    other.fill(10)

    def refuse(*_: object) -> dict[str, Any]:
        raise ZeroDivisionError

    def reported(pool: Pool) -> Any:
        steps = report_of(pool, 100_000)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    with monkeypatch.context() as patched:
        patched.setattr("glidecached.advice.key_sample.advice_report", refuse)
        assert reported(sampled.pool) is None
        assert reported(sampled.pool) is None
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]
    assert sampling_of(sampled.pool) is None
    assert "failed" in reason_without(sampled.pool)
    assert reported(other.pool) is not None
    # Requests go on, and leave nothing.
    assert sampled.ring().published == (0, 0, 0, 0, 0)
    assert reread(sampled, keys) == 10
    assert sampled.entries.lookup(keys[0], STRING, 0) == b"v" * 100
    sampled.entries.insert(b"more", STRING, b"v", 2)
    sampled.entries.written(b"more")
    sampled.entries.forget(b"more", 3)
    sampled.turn()
    registry = make.registry  # type: ignore[attr-defined]
    registry.advice_enabled = False
    registry.advice_enabled = True
    assert reported(sampled.pool) is not None


def test_settings_that_cannot_be_simulated_end_the_sample_and_not_the_resize(
    sampled: Sampled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keys = sampled.fill(10)

    def refuse(*_: object) -> list[Any]:
        raise MemoryError

    monkeypatch.setattr("glidecached.advice.key_sample.simulated_points", refuse)
    settings = PoolSettings(max_cache_kb=8_192, entry_ttl_ms=60_000, enable_metrics=True)
    sampled.pool.resize(settings, sampled.pool.generation + 100)
    while not sampled.pool.continue_resize(None):
        pass
    assert sampling_of(sampled.pool) is None
    assert len([record for record in caplog.records if record.exc_info]) == 1
    sampled.again()
    assert reread(sampled, keys) == 10
    assert sampled.ring().next == 0


def test_a_value_that_the_pool_refuses_as_too_large_is_known_to_the_sample(
    make: Callable[..., Sampled],
) -> None:
    """A larger bound would have served it."""
    sampled = make(max_cache_kb=64)
    for _ in range(3):
        assert sampled.entries.lookup(b"large", STRING, 0) is None
        sampled.entries.insert(b"large", STRING, b"v" * 100_000, 1)
    by_size = {point["max_cache_kb"]: point["hit_rate"] for point in sampled.report()["by_size"]}
    assert by_size[64] == 0
    assert by_size[None] == pytest.approx(2 / 3, abs=1e-5)


def test_the_totals_of_a_report_are_of_all_the_time(make: Callable[..., Sampled]) -> None:
    """Those between windows count too, and the share of the time says how much was sampled."""
    sampled = make(max_cache_kb=1024)
    keys = sampled.fill(20)
    lookups = 20
    for _ in range(300):
        lookups += reread(sampled, keys)
    sampled.turn()
    assert not sampled.sampling.open
    for _ in range(300):
        lookups += reread(sampled, keys)
    report = sampled.report()
    assert report["lookups"] == lookups
    assert 0 < report["sampled_time"] < 1
    assert report["now"]["hit_rate"] == pytest.approx(1 - 20 / lookups, abs=1e-6)
