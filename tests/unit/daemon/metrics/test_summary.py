"""The status page's figures: bounded, each part made once, and the same as if it were made anew."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glidecached.advice.digests import digest_of
from glidecached.doctor.result import fail
from glidecached.doctor.self_examination import Diagnosis
from glidecached.metrics import page_data
from glidecached.metrics.page_data import Summary
from glidecached.stats import history
from glidecached.stats.history import MAX_CACHES, MAX_UPSTREAMS, CachePoint, Sample, UpstreamPoint
from glidecached.stats.snapshots import Snapshot
from support.advice_reports import STEP, advice_report

if TYPE_CHECKING:
    import pytest

WELL = Diagnosis(None, 0)

DAEMON = {
    "version": "1",
    "pid": 1,
    "started_at": 1.0,
    "uptime_seconds": 1.0,
    "sessions": 0,
    "open_requests": 0,
    "refused": {"busy": 2, "overdue": 3},
}


def cache(name: str | None, size: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "id": None if name else f"id-{size}",
        "settings": {
            "eviction_policy": "LRU",
            "entry_ttl_ms": 0,
            "enable_metrics": True,
            "server_ttl": False,
        },
        "metrics": {"entry_count": 1, "forgotten": 0, "expirations": 4, "evictions": 6},
        "misses_by_cause": {"absent": 3, "expired": 1, "other_kind": 0, "own_write": 2},
        "charged_bytes": size,
        "max_bytes": 100,
        "resident_bytes": 100,
        "attached_processes": 1,
        "advice": None,
    }


def upstream(name: str | None, host: str = "h", requests: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "addresses": [f"{host}:1"],
        "database": 0,
        "mode": "standalone",
        "connected_to": None,
        "last_error": None,
        "requests": requests,
        "in_flight": 0,
        "queued": 0,
        "reconnects": 0,
    }


def snapshot(
    caches: list[dict[str, Any]] | None = None, upstreams: list[dict[str, Any]] | None = None
) -> Snapshot:
    return Snapshot({"daemon": DAEMON, "caches": caches or [], "upstreams": upstreams or []}, 0, 5.0)


def sample(number: int) -> Sample:
    return Sample(
        number,
        float(number),
        {("catalog", "yes"): CachePoint(0.123456, 1.0, 7, None, 0.0)},
        {"default": UpstreamPoint(1.0, 0.0, None, 2.5)},
    )


def test_what_is_told() -> None:
    told = json.loads(
        Summary().render(snapshot([cache("catalog")], [upstream("default")]), WELL, [sample(3)])
    )
    assert told["daemon"]["refused"] == 5
    assert [each["key"] for each in told["caches"]] == ["yes:catalog"]
    (catalog,) = told["caches"]
    assert catalog["misses_by_cause"] == {"absent": 3, "expired": 1, "other_kind": 0, "own_write": 2}
    assert (catalog["expirations"], catalog["evictions"]) == (4, 6)
    assert [each["key"] for each in told["upstreams"]] == ["default"]
    assert told["samples"] == [
        {
            "number": 3,
            "at": 3.0,
            "caches": {"yes:catalog": [0.1235, 1.0, 7, None, 0.0]},
            "upstreams": {"default": [1.0, 0.0, None, 2.5]},
        }
    ]


def test_many_who_ask_cost_little_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    encoded = page_data._encoded

    def counted(value: dict[str, Any]) -> bytes:
        made.append(value)
        return encoded(value)

    monkeypatch.setattr(page_data, "_encoded", counted)
    page, seen = Summary(), snapshot()
    first = page.render(seen, WELL, [sample(1), sample(2)])
    assert page.render(seen, WELL, [sample(1), sample(2)]) == first
    assert len(made) == 4
    assert json.loads(page.render(snapshot(), WELL, [sample(2), sample(3)]))["samples"][1]["number"] == 3
    assert len(made) == 6


def test_the_past_that_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "LENGTH", 3)
    page = Summary()
    for number in range(1, 20):
        page.render(snapshot(), WELL, [sample(number)])
    assert len(page._samples) == 3


def test_of_many_the_foremost_are_told_and_how_many_are_not() -> None:
    caches = [cache(None, size) for size in range(MAX_CACHES + 5)] + [cache("small")]
    upstreams = [upstream(None, f"h{number}", requests=number) for number in range(MAX_UPSTREAMS + 3)]
    # As after a reload that changed it: the configuration's own stands last.
    told = json.loads(Summary().render(snapshot(caches, [*upstreams, upstream("default")]), WELL, []))
    assert (len(told["caches"]), told["caches_not_shown"]) == (MAX_CACHES, 6)
    assert [each["label"] for each in told["caches"][:2]] == ["small", f"id-{MAX_CACHES + 4}"]
    assert (len(told["upstreams"]), told["upstreams_not_shown"]) == (MAX_UPSTREAMS, 4)
    assert [each["label"] for each in told["upstreams"][:2]] == ["default", f"h{MAX_UPSTREAMS + 2}:1/0"]
    assert told["history_length"] == history.LENGTH


def test_advice_is_told_in_points_and_changes() -> None:
    seen = cache("catalog")
    report = advice_report(advice=[{"what": "max_cache_kb", "to": 131_072, "why": "\x1b" + "x" * 9_999}])
    seen["advice"] = digest_of(report, STEP)
    (told,) = json.loads(Summary().render(snapshot([seen]), WELL, []))["caches"]
    advised = told["advice"]
    assert advised["now"] == {"max_cache_kb": 65_536, "ttl_ms": 60_000, "hit_rate": 0.91}
    assert (advised["enough"], advised["could_be"], advised["seconds"]) == (True, 0.94, 1_800)
    assert advised["sizes"][0] == [16_384, 0.712]
    assert advised["sizes"][-1] == [None, 0.95]
    assert advised["ttls"][2] == [60_000, 0.91, 600.0, 0.02]
    (change,) = advised["changes"]
    assert (change["what"], change["to"]) == ("max_cache_kb", 131_072)
    assert change["why"].startswith("\\x1bxxx")
    assert len(change["why"]) == 500
    assert len(json.dumps(advised)) < 1_500


def test_the_page_knows_all_causes() -> None:
    script = (Path(page_data.__file__).parent / "page" / "status.js").read_text()
    (causes,) = re.findall(r"const CAUSES = \{ (.*?) \};", script)
    assert set(re.findall(r"(\w+): ", causes)) == set(cache("any")["misses_by_cause"])


def test_the_worst_finding_is_told_printable_and_bounded() -> None:
    page, seen = Summary(), snapshot()
    assert json.loads(page.render(seen, WELL, []))["diagnosis"] == {"worst": None, "others": 0}
    bad = Diagnosis(fail("upstream", "default: \x1b" + "x" * 9_999, "check it"), 2)
    told = json.loads(page.render(seen, bad, []))["diagnosis"]
    assert told["others"] == 2
    assert told["worst"] == {
        "status": "fail",
        "check": "upstream",
        "seen": "default: \\x1b" + "x" * 486 + "…",
        "advice": "check it",
    }
