"""The parts of `glidecache top` that need no terminal: rates, sparklines, which columns fit."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.cli.top.figures import compare
from glidecached.cli.top.history import LENGTH, History, sparkline
from glidecached.cli.top.listing import Column, fitting
from glidecached.cli.top.watcher import Numbers


def numbers(
    at_s: float, *, hits: int = 0, misses: int = 0, pid: int = 1, requests: int = 0, counted: bool = True
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
    return Numbers(numbers={"daemon": {"pid": pid}, "caches": [cache], "upstreams": [upstream]}, at_s=at_s)


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
        (numbers(1, hits=5, pid=1), numbers(2, hits=9, pid=2)),
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
    history = History()
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
