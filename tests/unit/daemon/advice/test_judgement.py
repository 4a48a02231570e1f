"""What follows from a cache's report: the rate that could be, the gain from memory, and what is wrong."""

from __future__ import annotations

import pytest

from glidecached.advice.judgement import (
    Verdict,
    across,
    advice_on_writes,
    could_be,
    rate_at_size,
    stale_reads,
    verdicts,
)
from support.advice_reports import RATES, SIZES_KB, advice, advice_report

NOW = 0.91
TOTAL_KB = 1_048_576


def test_the_rate_at_a_size_lies_between_its_neighbours() -> None:
    report = advice_report()
    for size, rate in zip(SIZES_KB, RATES, strict=True):
        assert rate_at_size(report, size) == pytest.approx(rate)
    assert rate_at_size(report, (65_536 + 98_304) / 2) == pytest.approx((0.91 + 0.93) / 2)
    assert rate_at_size(report, 0) == 0
    assert rate_at_size(report, 8_192) == pytest.approx(0.712 / 2)
    assert rate_at_size(report, 2**40) == pytest.approx(RATES[-1]), "beyond what was simulated: no promise"


def test_the_rate_at_a_size_is_known_without_any_points() -> None:
    assert rate_at_size(advice_report(by_size=[]), 65_536) == pytest.approx(NOW)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], NOW),
        ([advice("max_cache_kb", 131_072)], 0.94),
        ([advice("max_cache_kb", 40_000)], 0.8 + (0.86 - 0.8) * (40_000 - 32_768) / 16_384),
        ([advice("max_cache_kb", None)], 0.95),
        ([advice("max_cache_kb", 49_152)], 0.86),
        ([advice("entry_ttl_ms", 120_000)], 0.995),
        ([advice("eviction_policy", "LFU")], 0.922),
        ([advice("eviction_policy", "LFU"), advice("max_cache_kb", 131_072)], 0.94),
        ([advice("eviction_policy", "LFU"), advice("max_cache_kb", 49_152)], 0.922 - 0.05),
        ([advice("cached_key_writes", 0)], NOW),
        ([advice("what comes later", "x")], NOW),
    ],
    ids=str,
)
def test_what_the_hit_rate_could_be(given: list[dict[str, object]], expected: float) -> None:
    assert could_be(advice_report(advice=given)) == pytest.approx(expected)


def test_too_little_traffic_is_no_figure() -> None:
    report = advice_report(enough=False, advice=[], known_stale_hits=0.5)
    assert could_be(report) is None
    assert across({"a": report}, TOTAL_KB) == []
    assert advice_on_writes(report) == []


def test_of_several_caches_the_one_that_gains_most_comes_first() -> None:
    small = {"max_cache_kb": 1_024, "entry_ttl_ms": 0, "eviction_policy": "LRU", "hit_rate": 0.3}
    reports = {
        "full": advice_report(),
        "starved": advice_report(
            now=small,
            by_size=[{"max_cache_kb": 4_096, "hit_rate": 0.5}, {"max_cache_kb": None, "hit_rate": 0.9}],
        ),
    }
    first, second = across(reports, TOTAL_KB)
    assert first["cache"] == "starved"
    assert first["gain_of_10_percent"] == pytest.approx(0.2)
    assert first["loss_of_10_percent"] == pytest.approx(0.3), "it has less than 10 % of all, and would end"
    assert second["gain_of_10_percent"] == pytest.approx(
        rate_at_size(advice_report(), 65_536 + 104_857.6) - NOW, abs=1e-6
    )
    assert second["loss_of_10_percent"] == pytest.approx(NOW)
    (alone,) = across({"full": advice_report()}, 65_536)
    assert alone["loss_of_10_percent"] == pytest.approx(0.05 * 6_553.6 / 16_384, abs=1e-6)


def test_noise_is_neither_a_gain_nor_a_loss() -> None:
    bent = advice_report(
        by_size=[{"max_cache_kb": 1, "hit_rate": 0.95}, {"max_cache_kb": 10**9, "hit_rate": 0.9}]
    )
    (one,) = across({"bent": bent}, 10_000)
    assert (one["gain_of_10_percent"], one["loss_of_10_percent"]) == (0, 0)


def test_what_is_wrong_has_its_word() -> None:
    every = [
        advice("max_cache_kb", 131_072),
        advice("max_cache_kb", None),
        advice("max_cache_kb", 1_024),
        advice("entry_ttl_ms", 1),
        advice("eviction_policy", "LFU"),
        advice("cached_key_writes", 0),
    ]
    found = [verdict for verdict, _ in verdicts(advice_report(advice=every))]
    assert found == [Verdict.STARVED, Verdict.STARVED, Verdict.WASTEFUL, Verdict.WRITTEN_TO]


def test_many_hits_that_are_known_to_be_stale_are_advised_against() -> None:
    (found,) = advice_on_writes(advice_report(known_stale_hits=0.012, cached_key_writes=1_204))
    assert (found["what"], found["to"]) == ("cached_key_writes", 0)
    assert "1.2 %" in found["why"]
    assert "1,204 writes" in found["why"]
    assert advice_on_writes(advice_report(known_stale_hits=0.002, cached_key_writes=1_204)) == []
    assert advice_on_writes(advice_report(known_stale_hits=None)) == []


def test_stale_reads_are_those_of_the_present_ttl() -> None:
    assert stale_reads(advice_report()) == pytest.approx(0.02)
    assert stale_reads(advice_report(by_ttl=[])) is None
