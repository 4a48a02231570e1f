"""ADVISE in the daemon: its arguments, its answers to each user, and its slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import ERROR_CONFIGURATION
from glidecached.advice import digests
from glidecached.advice.digests import AdviceDigests, digest_of
from glidecached.advice.judgement import MemoryStep, across, sizes_of_steps, step_between
from glidecached.advice.points import MOST_POINTS
from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.admin import AdminHandlers
from glidecached.handlers.advice import AdviceHandler
from glidecached.pools.metadata import MAX_CACHE_KB, MAX_TTL_MS, PoolKey, PoolSettings
from glidecached.process.sliced_work import SlicedWork
from support.advice_reports import FixedSampling, advice, advice_report, rate_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.pools.manager import PoolManager

STRANGER_UID = 4_343


@pytest.fixture
def registry(make_registry: Callable[..., PoolManager], upstream: Any) -> PoolManager:
    registry = make_registry()
    for name, metrics in (("catalog", True), ("prices", True), ("sessions", False)):
        settings = PoolSettings(max_cache_kb=64, entry_ttl_ms=0, enable_metrics=metrics)
        pool = registry.join(PoolKey(name, None), upstream.target.identity, settings)
        if metrics:
            pool.sampling = FixedSampling()
    return registry


@pytest.fixture
def handler(registry: PoolManager) -> AdviceHandler:
    return AdviceHandler(registry, AdminHandlers({}, dict, registry, frozenset()).administers)


def step_of(registry: PoolManager) -> MemoryStep:
    """Return the gains and losses of the reports' caches by the memory of these pools."""
    sizes = sizes_of_steps(64, registry.max_total_cache_kb)
    step = step_between(advice_report(), [rate_at(size) for size in sizes])
    assert step is not None
    return step


def across_of(registry: PoolManager, *names: str) -> list[dict[str, Any]]:
    return across(dict.fromkeys(names, step_of(registry)))


def finish(steps: Iterator[float | None] | None) -> int:
    """Run all slices; their number."""
    return sum(1 for _ in steps or ())


def answer(handler: AdviceHandler, requests: Any, *body: Any, uid: int = 0) -> Any:
    request = requests(uid=uid)
    finish(handler.advise(request, list(body)))
    return requests.value(request)


def test_all_caches_are_told_and_those_that_are_not_sampled_why(
    handler: AdviceHandler, registry: PoolManager, requests: Any
) -> None:
    told = answer(handler, requests, None, None, None)
    assert told["caches"] == {"catalog": advice_report(), "prices": advice_report()}
    assert told["across"] == across_of(registry, "catalog", "prices")
    assert told["caches_left_out"] == 0
    assert told["max_total_cache_kb"] == registry.max_total_cache_kb
    assert list(told["not_sampled"]) == ["sessions"]
    assert "enable_metrics" in told["not_sampled"]["sessions"]


def test_each_report_is_a_slice_of_its_own(handler: AdviceHandler, requests: Any) -> None:
    request = requests(uid=0)
    steps = handler.advise(request, [None, None, None])
    assert steps is not None
    next(steps)
    assert not request.finished
    assert finish(steps) == 4, "each sampled cache has two"
    assert request.finished


def test_an_answer_that_nothing_waits_for_is_not_made(
    handler: AdviceHandler, registry: PoolManager, requests: Any
) -> None:
    request = requests(uid=0)
    steps = handler.advise(request, [None, None, None])
    assert steps is not None
    next(steps)
    request.fail(1, "cancelled")
    assert finish(steps) == 1
    assert registry.find("prices").sampling.asked == []


def test_one_cache_with_points_of_its_own(
    handler: AdviceHandler, registry: PoolManager, requests: Any
) -> None:
    pool = registry.find("catalog")
    pool.sampling = FixedSampling(advice_report(advice=[advice("max_cache_kb", 1)]))
    told = answer(handler, requests, "catalog", [3, 1, 3], [0, 500])
    assert list(told["caches"]) == ["catalog"]
    report = told["caches"]["catalog"]
    assert [each["max_cache_kb"] for each in report["by_size"]] == [3, 1, 3]
    assert [each["entry_ttl_ms"] for each in report["by_ttl"]] == [0, 500]
    assert [each["what"] for each in report["advice"]] == ["max_cache_kb"]
    assert told["across"] == across_of(registry, "catalog")
    assert told["not_sampled"] == {}


def test_others_do_not_see_prefixes_of_keys(
    handler: AdviceHandler, registry: PoolManager, requests: Any
) -> None:
    registry.find("catalog").sampling = FixedSampling(advice_report(written_prefixes=["cart:"]))
    for uid, seen in ((0, ["cart:"]), (STRANGER_UID, None)):
        told = answer(handler, requests, "catalog", None, None, uid=uid)
        assert told["caches"]["catalog"]["written_prefixes"] == seen


def test_many_stale_hits_are_an_advice(handler: AdviceHandler, registry: PoolManager, requests: Any) -> None:
    written = advice_report(known_stale_hits=0.1, cached_key_writes=7)
    registry.find("catalog").sampling = FixedSampling(written)
    told = answer(handler, requests, "catalog", [8], None)
    assert [each["what"] for each in told["caches"]["catalog"]["advice"]] == ["cached_key_writes"]


@pytest.mark.parametrize(
    ("label", "told"),
    [("nothing", "no cache 'nothing'; there are: catalog"), ("sessions", "enable_metrics is false")],
)
def test_a_cache_without_advice_is_refused(
    handler: AdviceHandler, requests: Any, label: str, told: str
) -> None:
    request = requests(uid=0)
    assert handler.advise(request, [label, None, None]) is None
    code, text = requests.error(request)
    assert code == ERROR_CONFIGURATION
    assert told in text


def test_advice_that_is_off_is_said(handler: AdviceHandler, registry: PoolManager, requests: Any) -> None:
    registry.advice_enabled = False
    for label in (None, "catalog"):
        request = requests(uid=0)
        assert handler.advise(request, [label, None, None]) is None
        code, text = requests.error(request)
        assert code == ERROR_CONFIGURATION
        assert "[advice] enabled = false" in text


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ([], "the body has 0 fields; expected 3"),
        ([b"catalog", None, None], "cache_name is bytes"),
        ([None, 5, None], "sizes_kb is int; expected list"),
        ([None, [], None], "sizes_kb has 0 points; expected 1 to 64, or nil"),
        ([None, [1] * (MOST_POINTS + 1), None], "sizes_kb has 65 points"),
        ([None, [True], None], "a point of sizes_kb is bool; expected int"),
        ([None, [0], None], "sizes_kb has 0; expected 1 to"),
        ([None, [MAX_CACHE_KB + 1], None], f"sizes_kb has {MAX_CACHE_KB + 1}; expected 1 to"),
        ([None, None, [-1]], "ttls_ms has -1; expected 0 to"),
        ([None, None, [1, MAX_TTL_MS + 1]], f"ttls_ms has {MAX_TTL_MS + 1}; expected 0 to"),
        ([None, None, ["1"]], "a point of ttls_ms is str"),
    ],
    ids=str,
)
def test_malformed_questions_are_refused(
    handler: AdviceHandler, requests: Any, body: list[Any], fault: str
) -> None:
    with pytest.raises(MalformedError, match=fault.replace("(", r"\(")):
        handler.advise(requests(uid=0), body)


def test_digests_are_made_now_and_then_in_slices(registry: PoolManager, loop: Any) -> None:
    made = AdviceDigests(SlicedWork(loop), registry)
    caches = registry.stats()
    made.add_to(caches)
    assert [(each["advice"], each["cached_key_writes"]) for each in caches] == [
        (None, 0),
        (None, 0),
        (None, None),
    ]
    made.start()
    loop.run_deferred()
    made.add_to(caches)
    assert caches[0]["advice"] == digest_of(advice_report(), step_of(registry))
    assert "written_prefixes" not in caches[0]["advice"]
    assert caches[2]["advice"] is None
    pool = registry.find("catalog")
    pool.sampling = FixedSampling(advice_report(lookups=5, advice=[advice("eviction_policy", "LFU")]))
    loop.pass_time(digests.INTERVAL_MS - 100)
    loop.run_deferred()
    made.add_to(caches)
    assert caches[0]["advice"]["lookups"] == 12_300_000
    loop.pass_time(200)
    loop.run_deferred()
    made.add_to(caches)
    assert (caches[0]["advice"]["lookups"], caches[0]["advice"]["could_be"]) == (5, 0.922)
    pool.sampling = None
    made.add_to(caches)
    assert caches[0]["advice"] is None, "a cache that is not sampled any more has no old figures"


def test_a_cache_whose_report_fails_takes_no_others_figures_and_fills_no_log(
    registry: PoolManager, loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broken: Any = FixedSampling()
    broken.report = None
    registry.find("catalog").sampling = broken
    made = AdviceDigests(SlicedWork(loop), registry)
    made.start()
    caches = registry.stats()
    for _ in range(3):
        loop.run_deferred()
        loop.pass_time(digests.INTERVAL_MS + 1)
    made.add_to(caches)
    assert caches[0]["advice"] is None
    assert caches[1]["advice"] is not None
    assert [record.getMessage() for record in caplog.records] == ["advice failed"]


def test_the_more_work_the_longer_the_rest(registry: PoolManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of caches take 1 % of a processor, as one does at most."""
    now_ns = [0]

    def later() -> int:
        now_ns[0] += 100_000_000
        return now_ns[0]

    monkeypatch.setattr(digests.time, "monotonic_ns", later)
    pauses = [pause for pause, _ in zip(AdviceDigests(None, registry)._renew(), range(6), strict=False)]
    assert pauses == [*[None] * 5, 8 * 100 * 100.0]
