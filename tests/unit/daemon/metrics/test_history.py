"""Rates and quantiles between snapshots, and the ring that keeps them."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.stats import history as module
from glidecached.stats.figures import percentile_us
from glidecached.stats.history import History, sample_between
from glidecached.stats.snapshots import Snapshot, Snapshots
from glidecached.upstream.latency_histogram import BOUNDS_US


def cache(
    name: str | None = "catalog", *, counted: bool = True, size: int = 0, **metrics: int
) -> dict[str, Any]:
    return {
        "name": name,
        "id": None if name else "an-id",
        "charged_bytes": size,
        "settings": {"enable_metrics": counted},
        "metrics": {"hits": 0, "misses": 0, "evictions": 0, "expirations": 0, **metrics},
    }


def upstream(
    *counts: int, requests: int = 0, failed: int = 0, name: str | None = "default"
) -> dict[str, Any]:
    filled = [*counts, *[0] * (len(BOUNDS_US) + 1 - len(counts))]
    return {
        "name": name,
        "addresses": ["h:1"],
        "database": 0,
        "requests": requests,
        "failed": failed,
        "latency": {"bounds_us": list(BOUNDS_US), "counts": filled, "sum_us": 0},
    }


def snapshot(seconds: float, caches: Any = (), upstreams: Any = ()) -> Snapshot:
    return Snapshot({"caches": list(caches), "upstreams": list(upstreams)}, int(seconds * 1e9), 1e9 + seconds)


def test_rates_are_by_the_time_that_really_passed() -> None:
    before = snapshot(10, [cache(hits=100, misses=50)], [upstream(requests=7)])
    now = snapshot(
        14,
        [cache(size=9, hits=130, misses=60, evictions=8, expirations=2)],
        [upstream(requests=15, failed=4)],
    )
    sample = sample_between(before, now, 3)
    assert sample.caches[("catalog", "yes")] == (0.75, 10.0, 9, 2.0, 0.5)
    assert sample.upstreams["default"] == (2.0, 1.0, None, None)
    assert (sample.number, sample.at) == (3, now.taken_at)


def test_what_is_not_known_is_none_and_not_zero() -> None:
    before = snapshot(0, [cache("quiet"), cache("begun anew", hits=9), cache("uncounted", counted=False)])
    now = snapshot(
        2,
        [
            cache("quiet"),
            cache("begun anew", hits=1),
            cache("uncounted", counted=False),
            cache("new", hits=5),
        ],
    )
    caches = sample_between(before, now, 1).caches
    assert caches[("quiet", "yes")] == (None, 0.0, 0, 0.0, 0.0)
    for name in ("begun anew", "uncounted", "new"):
        assert caches[(name, "yes")] == (None, None, 0, None, None)


def test_upstreams_of_one_label_are_added_up() -> None:
    before = snapshot(0, [], [upstream(name=None), upstream(name=None)])
    now = snapshot(1, [], [upstream(10, name=None, requests=1), upstream(0, 10, name=None, requests=2)])
    point = sample_between(before, now, 1).upstreams["h:1/0"]
    assert point.requests_per_s == 3.0
    assert point.median_ms == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("counts", "fraction", "expected_us"),
    [
        ([10, 0, 0], 0.5, 50),
        ([10, 10, 0], 0.75, 150),
        ([0, 0, 7], 0.5, 200),  # beyond the last bound: that bound
        ([0, 0, 0], 0.5, None),
        ([100, 1, 0], 0.99, 99.99),
    ],
)
def test_quantiles_are_spread_evenly_within_their_place(
    counts: list[int], fraction: float, expected_us: float | None
) -> None:
    found = percentile_us([100, 200], counts, fraction)
    assert found == (None if expected_us is None else pytest.approx(expected_us))


def test_the_ring_is_bounded_and_tells_what_is_new(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHES", 2)
    caches = [cache(None, size=99), cache("small", size=1), cache("large", size=50)]
    snapshots = Snapshots(loop, lambda: {"caches": caches, "upstreams": []})
    history = History(loop, snapshots)
    history.start()
    loop.pass_time(module.INTERVAL_MS * (module.LENGTH + 5))
    samples = history.since(0)
    assert [sample.number for sample in samples] == list(range(6, module.LENGTH + 6))
    assert [sample.number for sample in history.since(module.LENGTH + 3)] == [
        module.LENGTH + 4,
        module.LENGTH + 5,
    ]
    assert [label for label, _ in samples[-1].caches] == ["large", "small"]  # those with names first
    history.stop()
    loop.pass_time(module.INTERVAL_MS * 3)
    assert history.since(0) == []
