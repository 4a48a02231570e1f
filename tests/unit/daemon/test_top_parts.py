"""The parts of `glidecache top` that need no terminal: rates, sparklines, which columns fit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from glidecached.cli.top.cache_table import Column, Order, fitting, ordered
from glidecached.cli.top.poller import Numbers
from glidecached.cli.top.rates import compare
from glidecached.cli.top.sparklines import LENGTH, SparklineHistory, sparkline


def numbers(
    at_s: float,
    *,
    hits: int = 0,
    misses: int = 0,
    started_at: int = 1,
    requests: int = 0,
    counted: bool = True,
) -> Numbers:
    """STATS with one cache and one upstream, all of whose replies took 100 to 200 µs."""
    cache: dict[str, Any] = {
        "name": "catalog",
        "id": None,
        "settings": {"enable_metrics": counted},
        "metrics": {"hits": hits, "misses": misses, "evictions": 0, "expirations": 0, "entry_count": 1},
        "charged_bytes": 256,
        "max_bytes": 1024,
        "attached_processes": 2,
    }
    upstream: dict[str, Any] = {
        "name": "default",
        "identity": "h:1",
        "requests": requests,
        "latency": {"bounds_us": [100, 200], "counts": [0, requests, 0]},
        "in_flight": 0,
        "queued": 0,
        "connected_to": "h:1",
        "last_error": None,
    }
    return Numbers(
        numbers={"daemon": {"started_at": started_at}, "caches": [cache], "upstreams": [upstream]}, at_s=at_s
    )


def test_what_the_hit_rate_could_be_is_the_daemons_word_or_not_known() -> None:
    """An earlier daemon says nothing; a cache may have no samples."""
    for advice, expected in ((..., None), (None, None), ({"could_be": None}, None), ({"could_be": 0.7}, 0.7)):
        seen = numbers(10)
        if advice is not ...:
            seen.numbers["caches"][0]["advice"] = advice
        (cache,) = compare(None, seen).caches
        assert cache.could_be == expected


def test_rates_are_those_of_the_time_between() -> None:
    figures = compare(
        numbers(10, hits=100, misses=100, requests=5), numbers(12, hits=130, misses=110, requests=25)
    )
    (cache,), (upstream,) = figures.caches, figures.upstreams
    assert cache.hit_rate == pytest.approx(0.75)
    assert cache.lookups_per_s == pytest.approx(20)
    assert cache.fill == pytest.approx(0.25)
    assert upstream.requests_per_s == pytest.approx(10)
    assert upstream.latencies_us[0] == pytest.approx(150)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, numbers(2, hits=5)),
        (numbers(1, hits=5, started_at=1), numbers(2, hits=9, started_at=2)),
        (numbers(1, hits=5), numbers(2, hits=4)),
        (numbers(1, hits=5, counted=False), numbers(2, hits=9, counted=False)),
    ],
    ids=["first look", "another daemon", "counters began again", "not counted"],
)
def test_a_rate_that_is_not_known_is_none(before: Numbers | None, after: Numbers) -> None:
    (cache,) = compare(before, after).caches
    assert cache.lookups_per_s is None
    assert cache.hit_rate is None


def test_without_lookups_there_is_no_hit_rate() -> None:
    (cache,) = compare(numbers(1, hits=5), numbers(2, hits=5)).caches
    assert (cache.hit_rate, cache.lookups_per_s) == (None, 0)


def test_bars_stand_at_the_right_and_gaps_stay_gaps() -> None:
    assert sparkline([0, None, 4, 8], 6) == "  ▁ ▅█"
    assert sparkline([0, 0.5, 1], 2, top=1.0) == "▅█"
    assert sparkline([0, 0], 2) == "▁▁"
    assert sparkline([], 3) == "   "
    assert sparkline([1], 0) == ""


def test_the_past_is_bounded_and_forgets_caches_that_are_no_more() -> None:
    history = SparklineHistory()
    figures = compare(None, numbers(1))
    for _ in range(LENGTH + 5):
        history.add(figures.caches)
    assert len(history.of("catalog")) == LENGTH
    history.add_gap()
    assert history.of("catalog")[-1].fill is None
    history.add([])
    assert len(history.of("catalog")) == 0


def test_the_sparest_columns_go_first_and_the_first_stays() -> None:
    columns = (Column("a", 0), Column("b", 10, spare=2), Column("c", 10), Column("d", 10, spare=1))
    assert fitting(columns, 100) == [0, 1, 2, 3]
    assert fitting(columns, 45) == [0, 2, 3]
    assert fitting(columns, 30) == [0, 2]
    assert fitting(columns, 5) == [0]


def look(hits: dict[str, int], at_s: float) -> Numbers:
    """STATS with these caches, each as large as its name is long."""
    found = numbers(at_s)
    (cache,) = found.numbers["caches"]
    found.numbers["caches"] = [
        {
            **cache,
            "name": name,
            "metrics": {**cache["metrics"], "hits": number},
            "charged_bytes": len(name),
        }
        for name, number in hits.items()
    ]
    return found


def test_the_caches_that_are_used_most_stand_first() -> None:
    history = SparklineHistory()
    looks = [
        look({"idle": 0, "b": 10 * at_s, "a": 10 * at_s, "longest-name": 50 * at_s}, at_s)
        for at_s in range(1, 5)
    ]
    for before, after in pairwise(looks):
        caches = compare(before, after).caches
        history.add(caches)
    by = {order: [cache.label for cache in ordered(caches, history, order)] for order in Order}
    assert by[Order.BUSIEST] == ["longest-name", "a", "b", "idle"]
    assert by[Order.LARGEST] == ["longest-name", "idle", "a", "b"]
    assert by[Order.NAME] == ["a", "b", "idle", "longest-name"]


def test_one_quiet_moment_makes_no_cache_the_last() -> None:
    history = SparklineHistory()
    looks = [look({"busy": min(at_s, 8) * 100, "slow": at_s}, at_s) for at_s in range(10)]
    for before, after in pairwise(looks):
        caches = compare(before, after).caches
        history.add(caches)
    assert caches[0].lookups_per_s == 0
    assert [cache.label for cache in ordered(caches, history, Order.BUSIEST)] == ["busy", "slow"]


def test_the_orders_come_round() -> None:
    assert [order.following for order in Order] == [Order.LARGEST, Order.NAME, Order.BUSIEST]
