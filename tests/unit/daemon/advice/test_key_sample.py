"""The sample of a pool's keys, and what it predicts, beside exact replays."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from glidecached.advice.key_sample import (
    FLUSH,
    FORGET,
    KNOWN,
    LOOKUP_HIT,
    LOOKUP_MISS,
    PAUSE,
    RESUME,
    STORE,
    WRITE,
    KeySample,
)
from support.sampled_traffic import NS, hash_of, replayed, run_sampled
from support.traffic_workloads import Trace, Workload, bound_of, make_trace, named

KB = 1024
SMALL = Workload(
    name="small",
    keys=900,
    skew=0.9,
    key_bytes=20,
    value_bytes=600,
    ttl_s=8,
    share=0.3,
    lookups=20_000,
    one_hit=0.05,
)


def lookup(number: int, now_s: float, *, hit: bool) -> list[tuple[int, ...]]:
    """A lookup; a miss is stored. The payload's digest is always the same."""
    what = LOOKUP_HIT if hit else LOOKUP_MISS
    now, hash = int(now_s * NS), hash_of(number, 0)
    return [(what, hash, now)] + [(STORE, hash, now, 1, 1, 10, 100, 0)] * (not hit)


def errors_of_sizes(trace: Trace, report: dict[str, Any], policy: str) -> list[float]:
    """Return the absolute errors of the report's hit rates by size, held against replays."""
    ttl_ns = int(trace.workload.ttl_s * NS)
    sizes = {point["max_cache_kb"]: point["hit_rate"] for point in report["by_size"]}
    return [
        abs(rate - replayed(trace, size and size * KB, ttl_ns, policy).hit_rate)
        for size, rate in sizes.items()
    ]


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
@pytest.mark.parametrize(
    "load",
    [
        SMALL,
        replace(SMALL, ttl_s=0),
        replace(SMALL, scan=0.3, share=0.6),
        replace(SMALL, lives_s=((3.0, 0.5), (60.0, 0.5)), one_hit=0.0),
    ],
    ids=["ttl", "no-ttl", "scan", "server-ttl"],
)
def test_with_all_keys_sampled_each_simulation_is_exact(load: Workload, policy: str) -> None:
    trace = make_trace(load, 5)
    bound = bound_of(trace)
    report = run_sampled(trace, bound, policy).sample.report()
    ttl_ns = int(load.ttl_s * NS)
    for point in report["by_size"]:
        size = point["max_cache_kb"]
        truth = replayed(trace, size and size * KB, ttl_ns, policy)
        assert point["hit_rate"] == pytest.approx(truth.hit_rate, abs=2e-6), point
    # Another TTL's entries may end with a life that the sample has not seen.
    tolerance = 0.01 if load.lives_s else 2e-6
    for point in report["by_ttl"]:
        truth = replayed(trace, bound, point["entry_ttl_ms"] * 1_000_000, policy)
        assert point["hit_rate"] == pytest.approx(truth.hit_rate, abs=tolerance), point
    for name, rate in report["by_policy"].items():
        assert rate == pytest.approx(replayed(trace, bound, ttl_ns, name).hit_rate, abs=2e-6)
    assert report["expected_error"] == 0


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
@pytest.mark.parametrize("name", ["changing", "scan"])
def test_a_sample_of_the_keys_predicts_within_the_bars(name: str, policy: str) -> None:
    trace = make_trace(named(name, lookups=60_000, keys=30_000), 11)
    bound = bound_of(trace)
    run = run_sampled(trace, bound, policy)
    report = run.sample.report()
    assert report["sample_rate"] < 0.6, "keys were left out"
    errors = errors_of_sizes(trace, report, policy)
    assert len(errors) == 8
    assert sum(errors) / 8 <= 0.01
    assert max(errors) <= 0.03
    assert report["now"]["hit_rate"] == pytest.approx(run.real.hit_rate, abs=1e-6)


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_dense_traffic_over_many_keys_is_sampled_all_the_time_and_predicts_within_the_bars(
    policy: str,
) -> None:
    """Fewer keys are better than windows, in which a simulation sees another traffic than the pool."""
    trace = make_trace(named("cluster26", lookups=120_000, rate=50_000.0), 1)
    bound = bound_of(trace)
    report = run_sampled(trace, bound, policy).sample.report()
    assert report["sampled_time"] > 0.8
    errors = errors_of_sizes(trace, report, policy)
    assert sum(errors) / 8 <= 0.01
    assert max(errors) <= 0.03


def test_dense_traffic_over_a_small_pool_keeps_its_keys() -> None:
    """Of a pool of 300 entries, a simulation with a tenth of the keys would have 30: too few for a quarter of them."""
    trace = make_trace(replace(SMALL, keys=5_000, share=0.06, lookups=60_000, rate=50_000.0, one_hit=0), 1)
    report = run_sampled(trace, bound_of(trace), "LRU").sample.report()
    assert report["sample_rate"] > 0.7
    assert report["sampled_time"] < 0.5


def test_a_burst_within_the_budget_of_a_window_leaves_a_sample_as_large_as_it_was() -> None:
    sample = KeySample(10 << 20, 60 * NS, "LRU")
    for number in range(3_000):
        sample.feed_events(lookup(number, 1, hit=False) + lookup(number, 1, hit=True))
    assert sample.report()["sampled_keys"] == 3_000
    sample.feed_events([(PAUSE, 0, 1 * NS)])
    assert sample.report()["sampled_keys"] < 1_500, "the budget is used up"


def test_small_lfu_pools_below_the_simulated_ones_hit_the_most_popular_keys() -> None:
    """An LRU pool of that size would hit far less."""
    trace = make_trace(replace(SMALL, ttl_s=0, one_hit=0, skew=1.1, lookups=40_000), 4)
    bound = bound_of(trace)
    size = bound // KB // 20
    (point,) = run_sampled(trace, bound, "LFU").sample.report([size])["by_size"]
    assert point["hit_rate"] == pytest.approx(replayed(trace, size * KB, 0, "LFU").hit_rate, abs=0.03)


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_few_large_values_make_the_error_to_expect_larger(policy: str) -> None:
    """The others have more or less room by whether these are sampled."""
    load = replace(SMALL, keys=20_000, spread=0.3, lookups=30_000, one_hit=0)
    expected = []
    for spread in (0.3, 2.5):
        trace = make_trace(replace(load, spread=spread), 6)
        report = run_sampled(trace, bound_of(trace), policy).sample.report()
        assert report["sample_rate"] < 1
        expected.append(report["expected_error"])
    assert expected[1] > 1.5 * expected[0]


def test_traffic_that_changes_between_windows_makes_the_error_to_expect_larger() -> None:
    expected = []
    for misses_between in (500, 5_000):
        sample = KeySample(1 << 20, 0, "LRU")
        for number in range(1_000):
            sample.feed_events(lookup(number, 1, hit=False) + lookup(number, 2, hit=True) * 9)
        sample.count(10_000, 1_000, 2)
        sample.count_all(15_000, 1_000 + misses_between, 3)
        expected.append(sample.report()["expected_error"])
    assert expected[0] < 0.02
    assert expected[1] > 0.1


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_what_is_new_between_windows_is_in_a_full_pool_afterwards(policy: str) -> None:
    sample = KeySample(64 * KB, 0, policy)
    full, new, hot = 400, 40, 50  # the pool has room for fewer than 300
    for number in range(full):
        sample.feed_events(lookup(number, 1, hit=False))
    events = [lookup(number, 3, hit=False)[1] for number in range(full, full + new)]
    sample.feed_events([(PAUSE, 0, 2 * NS), *events, (RESUME, 0, 4 * NS)])
    for number in [*range(full, full + new), *range(full - hot, full)]:
        sample.feed_events(lookup(number, 5, hit=True))
    sample.count(full + new + hot, full, 3)
    sample.count_all(full + new + hot, full, 3)
    assert sample.report()["expected_error"] == pytest.approx(0, abs=1e-6)


def test_a_simulation_of_todays_settings_that_is_wrong_makes_the_error_to_expect_larger() -> None:
    """A loop that the real pool never hits, of which the sample sees pieces that look like hits."""
    sample = KeySample(64 * KB, 0, "LRU")
    for _ in range(20):
        for number in range(200):
            sample.feed_events(lookup(number, 1, hit=False))
    sample.count(4_000, 4_000, 3)
    assert sample.report()["expected_error"] > 0.5


def test_keys_that_are_new_between_windows_are_missed_by_every_pool() -> None:
    """A loop that is longer than the bound, and then, while no lookup is looked at, as many keys that are new."""
    sample = KeySample(16 * KB, 0, "LRU")
    rounds, looped = 10, 200
    events = [lookup(number, 1 + turn, hit=False) for turn in range(rounds) for number in range(looped)]
    new = [lookup(number, 20, hit=False)[1:] for number in range(looped, looped + rounds * looped)]
    sample.feed_events([event for each in events for event in each])
    sample.feed_events([(PAUSE, 0, 15 * NS), *(event for each in new for event in each)])
    total = rounds * looped
    sample.count(total, total, 15)
    sample.count_all(2 * total, 2 * total, 20)
    report = sample.report()
    assert report["now"]["hit_rate"] == 0
    assert report["by_size"][-1] == {
        "max_cache_kb": None,
        "hit_rate": pytest.approx((total - looped) / (2 * total), abs=0.001),
    }


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_without_a_bound_entries_end_also_while_no_window_is_open(policy: str) -> None:
    """A pool with room for all keys misses each key once a TTL: not late, as windows alone would say, nor twice."""
    load = replace(SMALL, keys=500, skew=0.6, ttl_s=0.3, rate=25_000.0, lookups=80_000, one_hit=0)
    trace = make_trace(load, 3)
    bound = bound_of(trace)
    report = run_sampled(trace, bound, policy).sample.report()
    assert report["sampled_time"] < 0.6
    for point in report["by_size"][-2:]:
        size = point["max_cache_kb"]
        truth = replayed(trace, size and size * KB, int(load.ttl_s * NS), policy).hit_rate
        assert point["hit_rate"] == pytest.approx(truth, abs=0.01), point


def test_without_a_bound_misses_are_known_also_where_the_sampled_keys_miss_more_than_others() -> None:
    """New hot keys miss often under LFU: whether these are sampled is chance, and says nothing of an unbounded pool."""
    errors = []
    for seed in range(2, 6):
        load = named("changing", rate=50_000.0, lookups=60_000, share=0.01, skew=1.1)
        trace = make_trace(load, seed)
        report = run_sampled(trace, bound_of(trace), "LFU", hash_seed=seed).sample.report()
        assert report["sample_rate"] < 0.7
        assert report["sampled_time"] < 0.6
        truth = replayed(trace, None, int(load.ttl_s * NS), "LFU").hit_rate
        errors.append(abs(report["by_size"][-1]["hit_rate"] - truth))
    assert sum(errors) / 4 <= 0.002


def test_entries_are_as_old_as_before_when_the_pool_changes_after_a_pause() -> None:
    sample = KeySample(100 * KB, 10 * NS, "LRU")
    sample.feed_events(lookup(1, 1, hit=False))
    sample.feed_events([(PAUSE, 0, 2 * NS), (RESUME, 0, 102 * NS)])
    sample.feed_events(lookup(2, 103, hit=False))
    sample.set_pool(200 * KB, 10 * NS, "LRU")
    sample.feed_events([(LOOKUP_HIT, hash_of(2, 0), 104 * NS)])
    assert sample.report()["by_size"][-1]["hit_rate"] == 1.0


def test_sample_is_bounded_in_keys_and_memory() -> None:
    sample = KeySample(1 << 20, 60 * NS, "LFU")
    last = sample.threshold
    assert last == 1 << 32
    for first in range(0, 100_000, 5_000):
        sample.feed_events(
            [
                event
                for number in range(first, first + 5_000)
                for event in lookup(number, first / 1e4, hit=False)
            ]
        )
        assert sample.threshold <= last
        last = sample.threshold
        report = sample.report()
        assert report["sampled_keys"] <= 8192
    assert last < 1 << 30
    # The sample holds what its threshold says, but for chance.
    assert report["sampled_keys"] == pytest.approx(100_000 * report["sample_rate"], rel=0.1)
    assert 2_000_000 < sample.memory_bytes <= 3_300_000, "the rest of 4 MB is the ring's and the lists'"


def test_memory_is_taken_with_the_first_key_and_doubles_with_their_number() -> None:
    sample = KeySample(1 << 20, 60 * NS, "LFU")
    idle = sample.memory_bytes
    assert idle < 16_000
    sample.feed_events([(WRITE, 1, 1), (FORGET, 1, 1), (FLUSH, 0, 1), (PAUSE, 0, 2), (RESUME, 0, 3)])
    sample.report()
    sample.set_pool(1 << 21, 50 * NS, "LRU")
    sample.set_pool(1 << 20, 60 * NS, "LFU")
    assert sample.memory_bytes == idle, "nothing was looked up"
    sample.feed_events(lookup(0, 4, hit=False))
    first = sample.memory_bytes
    assert idle < first < 60_000
    number, before = 1, first
    while sample.memory_bytes < 2_000_000:
        sample.feed_events(lookup(number, 4, hit=False))
        number += 1
        assert sample.memory_bytes <= 2.1 * before, number
        if sample.memory_bytes != before:
            assert number > 64
            assert (number - 1) & (number - 2) == 0, "room doubles when it is used up"
            before = sample.memory_bytes
    assert sample.report()["sampled_keys"] == number


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_simulations_are_exact_while_the_sample_grows(policy: str) -> None:
    """Keys keep their places, orders and counts when there is more room; between, settings change."""
    load = replace(SMALL, keys=5_000, skew=0.5, lookups=12_000, ttl_s=0)
    trace = make_trace(load, 3)
    bound = bound_of(trace)
    run = run_sampled(trace, bound, policy)
    assert run.sample.threshold == 1 << 32
    assert run.sample.report()["sampled_keys"] > 4_096
    for point in run.sample.report()["by_size"]:
        size = point["max_cache_kb"]
        assert point["hit_rate"] == pytest.approx(
            replayed(trace, size and size * KB, 0, policy).hit_rate, abs=2e-6
        )


def test_keys_that_no_simulation_needs_leave_first() -> None:
    """Keys that are read once do not push the others out of the sample."""
    sample = KeySample(64 * KB, 10 * NS, "LRU")
    for round_ in range(200):
        events = [event for number in range(100) for event in lookup(number, round_, hit=round_ % 10 != 0)]
        events += [
            event
            for number in range(200)
            for event in lookup(10_000 + round_ * 200 + number, round_ + 0.5, hit=False)
        ]
        sample.feed_events(events)
    assert sample.report()["sample_rate"] > 0.15  # 40,100 keys, 8,192 places


def test_an_unsampled_key_is_ignored() -> None:
    sample = KeySample(1 << 20, 60 * NS, "LRU")
    for number in range(20_000):
        sample.feed_events(lookup(number, number / 1000, hit=False))
    before = sample.report()["sampled_lookups"]
    unsampled = next(
        number for number in range(20_000) if hash_of(number, 0) & 0xFFFFFFFF >= sample.threshold
    )
    sample.feed_events(lookup(unsampled, 21, hit=True))
    assert sample.report()["sampled_lookups"] == before


def test_the_clock_stands_still_between_windows() -> None:
    """An entry whose TTL ends while nothing is looked at is still there in the next window."""
    sample = KeySample(1 << 20, 10 * NS, "LRU")
    sample.feed_events(
        [*lookup(1, 0, hit=False), (PAUSE, 0, 1 * NS), (RESUME, 0, 100 * NS), *lookup(1, 101, hit=True)]
    )
    rates = {point["entry_ttl_ms"]: point["hit_rate"] for point in sample.report()["by_ttl"]}
    assert rates[10_000] == 0.5
    assert rates[1_000] == 0.0  # two seconds have passed
    assert sample.report()["sampled_time"] == pytest.approx(2 / 101)


def test_lookups_between_windows_do_not_count() -> None:
    sample = KeySample(1 << 20, 10 * NS, "LRU")
    sample.feed_events([*lookup(1, 0, hit=False), (PAUSE, 0, 1 * NS), *lookup(2, 2, hit=False)])
    assert sample.report()["sampled_lookups"] == 1


def test_a_flush_empties_the_simulations_and_keeps_the_sample() -> None:
    sample = KeySample(1 << 20, 10 * NS, "LRU")
    sample.feed_events([*lookup(1, 0, hit=False), (FLUSH, 0, NS), *lookup(1, 2, hit=False)])
    report = sample.report()
    assert (report["sampled_keys"], report["sampled_lookups"]) == (1, 2)
    assert {point["hit_rate"] for point in report["by_size"]} == {0.0}


def test_a_forgotten_key_misses_in_all_simulations() -> None:
    sample = KeySample(1 << 20, 10 * NS, "LRU")
    sample.feed_events([*lookup(1, 0, hit=False), (FORGET, hash_of(1, 0), NS), *lookup(1, 2, hit=False)])
    assert {point["hit_rate"] for point in sample.report()["by_ttl"]} == {0.0}


def test_a_key_without_a_value_is_stored_nowhere() -> None:
    """The server has no value: a lookup misses, and no store follows."""
    sample = KeySample(1 << 20, 10 * NS, "LRU")
    sample.feed_events([(LOOKUP_MISS, hash_of(1, 0), second * NS) for second in range(50)])
    assert {point["hit_rate"] for point in sample.report()["by_size"]} == {0.0}


def test_a_warm_pool_hits_in_the_simulations_too() -> None:
    sample = KeySample(1 << 20, 0, "LRU")
    sample.feed_events(
        event
        for number in range(100)
        for event in ((KNOWN, hash_of(number, 0), NS, 0, 1, 10, 100, 0), (LOOKUP_HIT, hash_of(number, 0), NS))
    )
    assert {point["hit_rate"] for point in sample.report()["by_size"]} == {1.0}


def test_a_value_that_is_over_the_bound_hits_only_where_it_fits() -> None:
    sample = KeySample(4 * KB, 0, "LRU")
    hash = hash_of(1, 0)
    for second in range(10):
        sample.feed_events([(LOOKUP_MISS, hash, second * NS), (STORE, hash, second * NS, 1, 1, 10, 5000, 0)])
    rates = {point["max_cache_kb"]: point["hit_rate"] for point in sample.report()["by_size"]}
    assert rates[4] == 0
    assert rates[6] == 0.9
    assert rates[None] == 0.9


def test_hits_after_a_write_are_known_to_be_stale_until_the_entry_ends() -> None:
    sample = KeySample(1 << 20, 10 * NS, "LRU")
    sample.feed_events(
        [
            *lookup(1, 0, hit=False),
            *lookup(1, 1, hit=True),
            (WRITE, hash_of(1, 0), 2 * NS),
            *lookup(1, 3, hit=True),
            *lookup(1, 4, hit=True),
            *lookup(1, 11, hit=False),
            *lookup(1, 12, hit=True),
        ]
    )
    assert sample.report()["known_stale_hits"] == pytest.approx(2 / 4)


def test_another_bound_keeps_the_sample() -> None:
    sample = KeySample(1 << 20, 10 * NS, "LRU")
    sample.feed_events([event for number in range(3000) for event in lookup(number, number / 1e3, hit=False)])
    sample.set_pool(1 << 21, 20 * NS, "LFU")
    report = sample.report()
    assert report["now"] == {
        "max_cache_kb": 2048,
        "entry_ttl_ms": 20_000,
        "eviction_policy": "LFU",
        "hit_rate": None,
    }
    assert report["sampled_keys"] == 3000
    assert not report["enough"]
    sample.feed_events(
        [event for number in range(3000) for event in lookup(number, 3 + number / 1e3, hit=True)]
    )
    assert sample.report()["now"]["hit_rate"] == 1.0


def test_custom_points_are_exactly_those_and_near_the_truth() -> None:
    trace = make_trace(SMALL, 3)
    bound = bound_of(trace)
    sample = run_sampled(trace, bound, "LRU").sample
    sizes = [bound // KB * part // 10 for part in (3, 6, 9, 13, 28, 70)]
    ttls = [500, 3_000, 11_000, 30_000, 0]
    report = sample.report(sizes, ttls)
    assert [point["max_cache_kb"] for point in report["by_size"]] == sizes
    assert [point["entry_ttl_ms"] for point in report["by_ttl"]] == ttls
    for point in report["by_size"]:
        truth = replayed(trace, point["max_cache_kb"] * KB, 8 * NS, "LRU")
        assert point["hit_rate"] == pytest.approx(truth.hit_rate, abs=0.025), point
    for point in report["by_ttl"]:
        truth = replayed(trace, bound, point["entry_ttl_ms"] * 1_000_000, "LRU")
        assert point["hit_rate"] == pytest.approx(truth.hit_rate, abs=0.02), point


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(([0], None), "a size must be a positive"), (([-5], None), "positive"), ((None, [-1]), "a TTL must be")],
)
def test_points_that_cannot_be_are_refused(arguments: tuple[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeySample(1 << 20, 0, "LRU").report(*arguments)


@pytest.mark.parametrize("settings", [(0, 0, "LRU"), (1024, -1, "LRU"), (1024, 0, "FIFO")])
def test_settings_that_cannot_be_are_refused(settings: tuple[int, int, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        KeySample(*settings)


def test_stale_reads_follow_from_the_refreshes() -> None:
    """Values change at rates over three orders of magnitude; what is predicted is what a replay finds."""
    load = Workload(
        name="stale",
        keys=2_000,
        skew=0.5,
        key_bytes=20,
        value_bytes=300,
        ttl_s=10,
        share=2.0,
        lookups=200_000,
        change_rates=(0.0003, 0.3),
    )
    trace = make_trace(load, 4)
    bound = bound_of(trace)
    report = run_sampled(trace, bound, "LRU").sample.report()
    for point in report["by_ttl"]:
        truth = replayed(trace, bound, point["entry_ttl_ms"] * 1_000_000, "LRU")
        assert point["stale_reads"] == pytest.approx(truth.stale_reads, abs=0.02), point


def test_events_of_any_kind_leave_the_sample_sound() -> None:
    """Random events, many of them contradictory, as from a hostile worker: nothing breaks, rates are rates."""
    chosen = random.Random(9)
    sample = KeySample(32 * KB, NS, "LFU")
    now = 0
    for _ in range(300):
        events: list[tuple[int, ...]] = []
        for _ in range(200):
            now += chosen.randrange(NS // 100)
            what = chosen.choice(
                (LOOKUP_HIT, LOOKUP_MISS, STORE, KNOWN, WRITE, FORGET) * 20 + (FLUSH, PAUSE, RESUME, 99)
            )
            hash = hash_of(int(chosen.paretovariate(0.3)) % 50_000, 0)
            rest = (chosen.randrange(3), 1, 10, chosen.randrange(40_000), 0) if what in {STORE, KNOWN} else ()
            events.append((what, hash, now, *rest))
        sample.feed_events(events)
        report = sample.report()
        assert all(0 <= point["hit_rate"] <= 1 for point in (*report["by_size"], *report["by_ttl"]))
        assert 0 <= report["sampled_keys"] <= 8192


@pytest.mark.parametrize(("name", "seed"), [("few", 21), ("cluster29", 22), ("cluster45", 23)])
def test_the_error_of_stale_reads_is_not_said_to_be_less_than_it_is(name: str, seed: int) -> None:
    """Hot keys that are not sampled or hardly refreshed, and values that never change."""
    trace = make_trace(named(name, lookups=40_000), seed)
    bound = bound_of(trace)
    report = run_sampled(trace, bound, "LRU", seed).sample.report()
    errors = [
        abs(
            point["stale_reads"]
            - replayed(trace, bound, point["entry_ttl_ms"] * 1_000_000, "LRU").stale_reads
        )
        for point in report["by_ttl"]
    ]
    assert max(errors) <= report["expected_stale_error"] < 0.3, errors
