"""The advice that follows from figures."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.advice.recommendations import policy_advice, shortfall, size_advice, ttl_advice

NOW = {"max_cache_kb": 1000, "entry_ttl_ms": 60_000, "eviction_policy": "LRU", "hit_rate": 0.8}


def sizes(*rates: float) -> list[dict[str, Any]]:
    return [
        {"max_cache_kb": size, "hit_rate": rate}
        for size, rate in zip((250, 500, 1000, 2000, 4000, None), rates, strict=True)
    ]


def ttls(*points: tuple[int, float, float | None]) -> list[dict[str, Any]]:
    return [{"entry_ttl_ms": ttl, "hit_rate": rate, "stale_reads": stale} for ttl, rate, stale in points]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((0.5, 0.7, 0.8, 0.896, 0.9, 0.9), 2000),  # the smallest within half a point of the best
        ((0.5, 0.797, 0.8, 0.801, 0.801, 0.801), 500),  # half of it is not needed
        ((0.798, 0.8, 0.8, 0.8, 0.8, 0.8), 250),
        ((0.5, 0.7, 0.8, 0.8, 0.8, 0.8), None),  # just right
        ((0.5, 0.7, 0.8, 0.806, 0.809, 0.809), None),  # larger would bring less than a point
        ((0.5, 0.6, 0.8, 0.85, 0.9, 0.99), 4000),  # still too small, but the largest that is known
    ],
)
def test_size(rates: tuple[float, ...], expected: int | None) -> None:
    advice = size_advice(NOW, sizes(*rates))
    assert (advice["to"] if advice else None) == expected


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ((0.5, 0.7, 0.8, 0.896, 0.9, 0.9), "a larger bound would bring less than half a point more"),
        ((0.5, 0.6, 0.8, 0.85, 0.9, 0.99), "a larger bound would bring more, at most 99.0 %"),
        ((0.8, 0.8, 0.8, 0.8, 0.8, 0.8), "the hit rate would stay at 80.0 %: the rest"),
        ((0.798, 0.8, 0.8, 0.8, 0.8, 0.8), "the hit rate would be 79.8 % instead of 80.0 %: the rest"),
    ],
)
def test_a_size_comes_with_what_it_would_change(rates: tuple[float, ...], said: str) -> None:
    advice = size_advice(NOW, sizes(*rates))
    assert advice is not None
    assert said in advice["why"]


def test_stale_reads_call_for_a_shorter_ttl() -> None:
    points = ttls((6_000, 0.7, 0.004), (30_000, 0.78, 0.02), (60_000, 0.8, 0.04), (0, 0.85, 0.3))
    advice = ttl_advice(NOW, points)
    assert advice is not None
    assert advice["to"] == 6_000
    assert "4.0 %" in advice["why"]


def test_a_longer_ttl_is_advised_only_where_few_reads_are_stale() -> None:
    gains = ttls((60_000, 0.8, 0.0), (120_000, 0.87, 0.0005), (600_000, 0.9, 0.004))
    advice = ttl_advice(NOW, gains)
    assert advice is not None
    assert advice["to"] == 120_000
    assert ttl_advice(NOW, ttls((60_000, 0.8, 0.0), (120_000, 0.805, 0.0))) is None
    assert ttl_advice(NOW, ttls((60_000, 0.8, 0.0), (120_000, 0.9, None))) is None


def test_a_share_that_is_hardly_known_is_no_reason() -> None:
    points = ttls((6_000, 0.7, 0.004), (60_000, 0.8, 0.04))
    assert ttl_advice(NOW, points, doubt=0.06) is None
    assert ttl_advice(NOW, points, doubt=0.01) is not None
    # No refresh has brought another value, but there were few: 1.7 points, give or take 1.5.
    assert ttl_advice(NOW, ttls((30_000, 0.78, 0.004), (60_000, 0.8, 0.017)), doubt=0.015) is None


def test_no_ttl_at_all_may_be_the_best() -> None:
    advice = ttl_advice(NOW, ttls((60_000, 0.8, 0.0), (600_000, 0.85, 0.0), (0, 0.9, 0.0)))
    assert advice is not None
    assert advice["to"] == 0


def test_a_ttl_that_is_longer_than_the_traffic_is_not_advised() -> None:
    points = ttls((60_000, 0.8, 0.0), (600_000, 0.85, 0.0), (0, 0.9, 0.0))
    assert ttl_advice(NOW, points, seen_ms=599_999) is None
    advice = ttl_advice(NOW, points, seen_ms=600_000)
    assert advice is not None
    assert advice["to"] == 600_000


def test_policy_needs_a_point() -> None:
    assert policy_advice(NOW, {"LRU": 0.8, "LFU": 0.809}) is None
    advice = policy_advice(NOW, {"LRU": 0.8, "LFU": 0.82})
    assert advice is not None
    assert advice["to"] == "LFU"


def test_little_traffic_is_said() -> None:
    def said(lookups: int, error: float, lost: int = 0) -> str:
        return str(shortfall({"sampled_lookups": lookups, "expected_error": error, "lost_events": lost}))

    assert "advice needs 2,000" in said(12, 0.0)
    few = "the error to expect is 5.0 points; advice needs 3.0 points or less"
    assert said(5_000, 0.05) == said(5_000, 0.05, lost=100) == f"{few}, and so more traffic"
    assert said(9_500, 0.05, lost=500) == f"{few}: 500 samples were lost, 5.0 % of all"
    assert said(5_000, 0.02, lost=50) == "None"
