"""The histogram of an upstream's replies."""

from __future__ import annotations

from glidecached.upstream.latency_histogram import BOUNDS_US, LatencyHistogram


def test_each_reply_is_counted_in_the_first_place_whose_bound_it_keeps() -> None:
    tally = LatencyHistogram()
    for duration_us in (0, 100, 100.001, 250, 999_999, 1_000_000, 1_000_000.001, 9_000_000):
        tally.replied(int(duration_us * 1_000))
    latency = tally.stats()["latency"]
    assert latency["bounds_us"] == list(BOUNDS_US)
    assert latency["counts"] == [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2]
    assert latency["sum_us"] == 0 + 100 + 100.001 + 250 + 999_999 + 1_000_000 + 1_000_000.001 + 9_000_000


def test_what_is_told_is_not_changed_by_later_replies() -> None:
    tally = LatencyHistogram()
    told = tally.stats()
    tally.replied(1)
    assert sum(told["latency"]["counts"]) == 0
