"""The values between the points that are simulated."""

from __future__ import annotations

import math

import pytest

from glidecached.advice.hit_curve import HitCurve, PopularKeys


def test_values_at_points_are_those_that_are_known() -> None:
    curve = HitCurve({10: 0.2, 20: 0.5, math.inf: 0.9}, lambda place: place)
    assert [curve.at(10), curve.at(20), curve.at(math.inf)] == [0.2, 0.5, 0.9]


def test_the_curve_rises_as_its_reach_does() -> None:
    def cliff(place: float) -> float:
        return 0.0 if place < 18 else 1.0

    curve = HitCurve({10: 0.1, 20: 0.9}, cliff)
    assert curve.at(17) == pytest.approx(0.1)
    assert curve.at(18) == pytest.approx(0.9)


def test_it_is_straight_where_its_reach_says_nothing() -> None:
    curve = HitCurve({10: 0.2, 20: 0.6}, lambda _: 5.0)
    assert curve.at(15) == pytest.approx(0.4)
    assert curve.at(5) == pytest.approx(0.1)


def test_beyond_the_last_point_it_stays() -> None:
    assert HitCurve({10: 0.2}, lambda place: place).at(1000) == 0.2
    assert HitCurve({10: 0.2, math.inf: 0.7}, lambda place: min(place, 50.0)).at(1000) == pytest.approx(0.7)


def test_nothing_known_is_none() -> None:
    assert HitCurve({10: None}, lambda place: place).at(10) is None


def test_the_most_popular_keys_have_room_first_but_for_the_newest_entrys_part() -> None:
    keys = PopularKeys([(11, 100.0), (51, 100.0), (31, 100.0)])
    assert [keys.hits(size) for size in (0, 100, 200, 250, 300, 400, 1000)] == [0, 0, 50, 65, 80, 90, 90]
    assert PopularKeys([(11, 200.0)], share=0.5).hits(200) == pytest.approx(5), (
        "it represents two keys of 100"
    )
    assert PopularKeys([]).hits(100) == 0
