"""Doctor's line about caches that do not fit their traffic, which the status page has, too."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.advice.digests import digest_of
from glidecached.doctor import check_process
from glidecached.doctor.check_advice import PRESSING, check_advice
from glidecached.doctor.context import Configuration, Contact, DoctorContext, Process
from glidecached.doctor.result import Status
from support.advice_reports import STEP, advice, advice_report

if TYPE_CHECKING:
    from glidecached.doctor.result import Finding


def cache(name: str, *advised: dict[str, Any], enough: bool = True) -> dict[str, Any]:
    digest = digest_of(advice_report(advice=list(advised), enough=enough), STEP)
    return {"name": name, "id": None, "advice": digest}


def context_of(**stats: Any) -> DoctorContext:
    nowhere = Path("/nowhere")
    return DoctorContext(
        configuration=Configuration(path=None, config=None),
        runtime_dir=str(nowhere),
        pool_dir=nowhere,
        contact=Contact(stats=stats),
    )


def findings(*caches: dict[str, Any]) -> list[Finding]:
    return list(check_advice(context_of(caches=list(caches))))


def test_each_fault_of_each_cache_is_a_warning() -> None:
    found = findings(
        cache("written", advice("cached_key_writes", 0)),
        cache("wasteful", advice("max_cache_kb", 1_024), advice("eviction_policy", "LFU")),
        cache("starved", advice("max_cache_kb", 131_072)),
        cache("fine", advice("entry_ttl_ms", 1)),
        cache("quiet", enough=False),
    )
    assert [(each.check, each.status) for each in found] == [("advice", Status.WARN)] * 3
    starved, wasteful, written = found  # by their names, as in the other tables
    assert starved.seen == "starved is starved: because of max_cache_kb"
    assert starved.advice.startswith(
        "max_cache_kb = 131072 (128 MB) instead of 64.0 MB; glidecache advise starved"
    )
    assert wasteful.seen.startswith("wasteful is wasteful: ")
    assert written.seen.startswith("written is written to: ")


def test_where_nothing_is_wrong_there_is_one_line() -> None:
    (finding,) = findings(
        cache("a"), cache("b"), cache("c", enough=False), {"name": "d", "id": None, "advice": None}
    )
    assert (finding.status, finding.seen) == (
        Status.OK,
        "size and use of 2 caches fit the traffic; too little traffic, or no samples, in 2 more",
    )


def test_what_cannot_be_judged_is_skipped() -> None:
    earlier_daemon = {"name": "a", "id": None}
    for caches, told in (((earlier_daemon,), "enable_metrics"), ((), "there are no caches")):
        (finding,) = findings(*caches)
        assert finding.status is Status.SKIPPED
        assert told in finding.seen
    (finding,) = findings(cache("a", enough=False), cache("b", enough=False))
    assert (finding.status, finding.seen) == (Status.SKIPPED, "too little traffic so far in 2 caches")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("plain", "glidecache advise plain shows"),
        ("two words; rm x", "glidecache advise 'two words; rm x' shows"),
        ("-x", "glidecache advise -- -x shows"),
        ("n" * 60, f"glidecache advise {'n' * 60} shows"),
        ("a\x1b", "glidecache advise shows"),
    ],
)
def test_the_command_that_it_names_can_be_typed(name: str, command: str) -> None:
    (finding,) = findings(cache(name, advice("cached_key_writes", 0)))
    assert finding.advice.startswith(command)


def test_the_status_page_tells_what_costs_the_application_something() -> None:
    caches = [cache("wasteful", advice("max_cache_kb", 1)), cache("starved", advice("max_cache_kb", 131_072))]
    context = context_of(caches=caches)
    assert [each.seen.partition(" ")[0] for each in check_advice(context, PRESSING)] == ["starved"]
    (finding,) = check_advice(context_of(caches=caches[:1]), PRESSING)
    assert finding.status is Status.OK


@pytest.mark.parametrize(
    ("written", "status"), [([], Status.OK), ([None, None], Status.OK), ([0, 5], Status.FAIL)]
)
def test_the_samples_memory_counts_in_the_limit(
    monkeypatch: pytest.MonkeyPatch, written: list[int | None], status: Status
) -> None:
    caches = [
        {"name": f"cache-{number}", "id": None, "max_bytes": 1 << 20, "cached_key_writes": writes}
        for number, writes in enumerate(written)
    ]
    limit = (len(caches) << 20) + (64 << 20) + (4 << 20)
    monkeypatch.setattr(check_process, "memory_limit_bytes", lambda *_: limit)
    context = context_of(caches=caches)
    seen = dataclasses.replace(
        context, contact=dataclasses.replace(context.contact, process=Process(pid=os.getpid(), uid=0))
    )
    (finding,) = check_process.check_memory(seen)
    assert finding.status is status, finding
