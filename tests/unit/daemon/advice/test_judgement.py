"""The judgement on a cache's report: the rate that could be, the gain from memory, and what is wrong."""

from __future__ import annotations

import pytest

from glidecached.advice.judgement import (
    MemoryStep,
    Verdict,
    across,
    advice_on_writes,
    could_be,
    sizes_of_steps,
    stale_reads,
    step_between,
    verdicts,
)
from support.advice_reports import advice, advice_report

NOW = 0.91


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], NOW),
        ([advice("max_cache_kb", 131_072)], 0.94),
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


def test_the_rate_that_could_be_has_no_digits_that_sums_of_floats_leave() -> None:
    now, to = 0.907317, 0.223681
    assert now + (to - now) != to
    report = advice_report(
        now={**advice_report()["now"], "hit_rate": now},
        by_policy={"LRU": now, "LFU": to},
        advice=[advice("eviction_policy", "LFU")],
    )
    assert could_be(report) == to


def test_too_little_traffic_is_no_figure() -> None:
    report = advice_report(enough=False, advice=[], known_stale_hits=0.5)
    assert could_be(report) is None
    assert step_between(report, [0.95, 0.9]) is None
    assert across({"a": None}) == []
    assert advice_on_writes(report) == []


def test_of_several_caches_the_one_that_gains_most_comes_first() -> None:
    found = across(
        {"full": MemoryStep(0.01, 0.5), "b": MemoryStep(0.2, 0.3), "a": MemoryStep(0.2, 0.1), "new": None}
    )
    assert [each["cache"] for each in found] == ["a", "b", "full"]
    assert found[0] == {"cache": "a", "gain_of_10_percent": 0.2, "loss_of_10_percent": 0.1}


def test_a_step_is_10_percent_of_all_memory() -> None:
    assert sizes_of_steps(65_536, 100_000) == [75_536, 55_536]
    assert sizes_of_steps(10_000, 100_000) == [20_000], "of a cache that is no larger nothing is left"
    step = step_between(advice_report(), [0.93, 0.86])
    assert step is not None
    assert (step.gain, step.loss) == (pytest.approx(0.02), pytest.approx(0.05))
    step = step_between(advice_report(), [0.93])
    assert step is not None
    assert step.loss == pytest.approx(NOW)


def test_noise_is_neither_a_gain_nor_a_loss() -> None:
    assert step_between(advice_report(), [0.90, 0.92]) == MemoryStep(0, 0)


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
