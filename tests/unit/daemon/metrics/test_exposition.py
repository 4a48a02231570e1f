"""What Prometheus reads: one series a label, nothing that was not counted; the page and the dashboard know it all."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from glidecached.advice.digests import digest_of
from glidecached.advice.judgement import CHANGES
from glidecached.frontend.dispatcher import REFUSAL_CAUSES
from glidecached.metrics.prometheus import OPENMETRICS, TEXT, Exposition, Totals, families
from glidecached.stats.snapshots import Snapshot
from glidecached.upstream.latency_histogram import LatencyHistogram
from support.advice_reports import STEP, advice, advice_report
from support.process import ROOT

PAGE = ROOT / "docs" / "monitoring.md"
DASHBOARD = ROOT / "docs" / "grafana" / "glidecached.json"
HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")


def cache(name: str | None, cache_id: str | None = None, *, counted: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "id": cache_id,
        "settings": {"enable_metrics": counted},
        "metrics": {
            "hits": 6,
            "misses": 4,
            "entry_count": 3,
            "evictions": 2,
            "expirations": 1,
            "forgotten": 5,
        },
        "misses_by_cause": {"absent": 3, "expired": 1, "other_kind": 0, "own_write": 0},
        "charged_bytes": 10,
        "max_bytes": 20,
        "resident_bytes": 30,
        "attached_processes": 1,
        "flights": 0,
        "file_system_full": 0,
        "ttl_failures": 0,
        "cached_key_writes": 7 if counted else None,
        "advice": digest_of(advice_report(known_stale_hits=0.002), STEP) if counted else None,
    }


def upstream(name: str | None, *durations_ns: int, connected: bool = True) -> dict[str, Any]:
    tally = LatencyHistogram()
    for duration_ns in durations_ns:
        tally.replied(duration_ns)
    return {
        "name": name,
        "addresses": ["h:1"],
        "database": 3,
        "connected_to": "h:1" if connected else None,
        "requests": 5,
        "failed": 1,
        "in_flight": 2,
        "queued": 1,
        "sessions": 1,
        "blocking_connections": 0,
        **tally.stats(),
    }


def numbers(caches: list[dict[str, Any]], upstreams: list[dict[str, Any]]) -> dict[str, Any]:
    daemon = {
        "version": "1.2",
        "started_at": 1e9,
        "sessions": 1,
        "open_requests": 0,
        "accepted_requests": 9,
        "max_total_cache_kb": 1,
        "refused": {"malformed": 2},
    }
    return {"daemon": daemon, "caches": caches, "upstreams": upstreams}


def series(
    caches: list[dict[str, Any]], upstreams: list[dict[str, Any]]
) -> dict[tuple[str, frozenset[Any]], float]:
    """Every series of the text, by its name and labels; the parser refuses what Prometheus would."""
    return read(Exposition().render(Snapshot(numbers(caches, upstreams), 0, 0.0), TEXT))


def read(text: bytes, parse: Any = text_string_to_metric_families) -> dict[tuple[str, frozenset[Any]], float]:
    """The same of a text."""
    found: dict[tuple[str, frozenset[Any]], float] = {}
    for family in parse(text.decode()):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"{key} stands there twice"
            found[key] = sample.value
    return found


def labels(**values: str) -> frozenset[Any]:
    return frozenset(values.items())


def test_misses_by_cause_add_up_to_what_lookups_lack() -> None:
    found = series([cache("a")], [])
    of_cache = {"cache": "a", "named": "yes"}
    misses = sum(
        value
        for (name, having), value in found.items()
        if name == "glidecached_cache_misses_total" and set(of_cache.items()) <= having
    )
    assert found["glidecached_cache_lookups_total", labels(**of_cache)] == 10
    assert found["glidecached_cache_hits_total", labels(**of_cache)] + misses == 10


def test_a_name_and_an_id_that_are_alike_are_two_series() -> None:
    found = series([cache("same"), cache(None, "same")], [])
    for named in ("yes", "no"):
        assert found["glidecached_cache_entries", labels(cache="same", named=named)] == 3


def test_what_nobody_counted_has_no_series() -> None:
    found = {name for name, having in series([cache("a", counted=False)], []) if labels(cache="a") <= having}
    assert "glidecached_cache_bytes" in found
    assert not [name for name in found if re.search("hits|misses|lookups|evictions|expirations", name)]


def test_upstreams_of_one_label_are_one_series() -> None:
    found = series([], [upstream(None, 90_000), upstream(None, 120_000, 2_000_000_000, connected=False)])
    label = labels(upstream="h:1/3")
    assert found["glidecached_upstream_requests_total", label] == 10
    assert found["glidecached_upstream_sessions", label] == 2
    for second in (True, False):
        both = series([], [upstream(None), upstream(None, connected=second)])
        assert both["glidecached_upstream_connected", label] == 1
    duration = "glidecached_upstream_request_duration_seconds"
    buckets = [
        (float(dict(having)["le"]), value)
        for (name, having), value in found.items()
        if name == f"{duration}_bucket"
    ]
    buckets.sort()
    assert buckets[0] == (0.0001, 1)
    assert buckets[1] == (0.00025, 2)
    assert buckets[-1] == (float("inf"), 3)
    assert all(lower <= upper for (_, lower), (_, upper) in pairwise(buckets))
    assert found[f"{duration}_count", label] == 3
    assert found[f"{duration}_sum", label] == pytest.approx(2.00021)


def test_advice_has_few_series_and_none_without_traffic() -> None:
    wanted = cache("a")
    wanted["advice"] = digest_of(advice_report(advice=[advice("max_cache_kb", 131_072)]), STEP)
    found = {
        name: value for (name, having), value in series([wanted], []).items() if "what" not in dict(having)
    }
    assert found["glidecached_cached_key_writes_total"] == 7
    assert found["glidecached_advice_hit_ratio"] == pytest.approx(0.94)
    assert found["glidecached_advice_max_bytes"] == 131_072 * 1024
    assert found["glidecached_advice_stale_read_ratio"] == pytest.approx(0.02)
    assert found["glidecached_advice_known_stale_hit_ratio"] == 0
    assert found["glidecached_advice_gain_ratio"] == pytest.approx(0.03)
    changes = {
        dict(having)["what"]: value
        for (name, having), value in series([wanted], []).items()
        if name == "glidecached_advice_changes"
    }
    assert changes == {**dict.fromkeys(CHANGES, 0), "max_cache_kb": 1}
    for digest in (None, digest_of(advice_report(enough=False), None)):
        lacking = series([{**cache("a"), "advice": digest, "cached_key_writes": None}], [])
        assert not [name for name, _ in lacking if "advice" in name or "cached_key" in name]


def test_both_forms_say_the_same_and_both_are_read() -> None:
    exposition = Exposition()
    seen = Snapshot(numbers([cache('"odd" näme\n')], [upstream("u", 90_000)]), 0, 0.0)
    text = read(exposition.render(seen, TEXT))
    openmetrics = read(
        exposition.render(seen, OPENMETRICS), openmetrics_parser.text_string_to_metric_families
    )
    own = {key: value for key, value in text.items() if key[0].startswith("glidecached_")}
    assert len(own) > 30
    assert own == {key: value for key, value in openmetrics.items() if key[0].startswith("glidecached_")}


def test_each_form_of_a_snapshot_is_made_once() -> None:
    exposition = Exposition()
    seen = Snapshot(numbers([], []), 1, 0.0)
    assert exposition.render(seen, TEXT) is exposition.render(seen, TEXT)
    newer = exposition.render(Snapshot(numbers([cache("a")], []), 2, 0.0), TEXT)
    assert b'cache="a"' in newer
    assert exposition.render(seen, TEXT) is newer, "a thread that was late does not go back in time"


def test_no_counter_falls_when_one_of_several_upstreams_ends() -> None:
    """Two users at one server are one label; a counter that falls would be read as one that began again."""
    exposition = Exposition()
    both = [upstream(None, 90_000, 90_000), upstream(None, 120_000)]
    steps = [both, both[1:], [upstream(None, 120_000, 120_000)], []]
    seen = [
        read(exposition.render(Snapshot(numbers([], upstreams), number, 0.0), TEXT))
        for number, upstreams in enumerate(steps)
    ]
    duration = "glidecached_upstream_request_duration_seconds"
    names = [
        ("glidecached_upstream_requests_total", labels(upstream="h:1/3")),
        (f"{duration}_count", labels(upstream="h:1/3")),
        (f"{duration}_bucket", labels(upstream="h:1/3", le="0.0001")),
        (f"{duration}_bucket", labels(upstream="h:1/3", le="0.00025")),
        (f"{duration}_sum", labels(upstream="h:1/3")),
    ]
    assert [seen[0][name] for name in names] == [10, 3, 2, 3, pytest.approx(0.0003)]
    assert [seen[1][name] for name in names] == [10, 3, 2, 3, pytest.approx(0.0003)]
    assert [seen[2][name] for name in names] == [10, 4, 2, 4, pytest.approx(0.00042)]
    assert names[0] not in seen[3], "who is gone has no series"


def test_a_label_that_was_gone_begins_anew() -> None:
    totals = Totals()
    assert totals.advance({"a": [5], "b": [7]}) == {"a": [5], "b": [7]}
    assert totals.advance({"a": [2]}) == {"a": [5]}
    assert totals.advance({"a": [3], "b": [1]}) == {"a": [6], "b": [1]}
    assert totals.advance({}) == {}
    assert totals.advance({"a": [1]}) == {"a": [1]}


def test_every_cause_of_a_refusal_has_a_series_before_it_happens() -> None:
    """Or the first refusal would be no increase."""
    found = series([], [])
    refused = {
        dict(having)["cause"]: value
        for (name, having), value in found.items()
        if name == "glidecached_refused_messages_total"
    }
    assert refused == {**dict.fromkeys(REFUSAL_CAUSES, 0), "malformed": 2}
    explained = PAGE.read_text().partition("`glidecached_refused_messages_total`")[2].partition("\n")[0]
    assert set(re.findall(r"`(\w+)`", explained)) - {"cause"} == set(REFUSAL_CAUSES)


def test_labels_cannot_break_out_of_their_quotes() -> None:
    name = 'a"} 1\nglidecached_forged{x="\\'
    assert ("glidecached_cache_entries", labels(cache=name, named="yes")) in series([cache(name)], [])
    assert not [key for key, _ in series([cache(name)], []) if key == "glidecached_forged"]


def own_metrics() -> set[str]:
    """The names of all metrics of the daemon, as PromQL knows them, histograms by their stem."""
    names = set()
    for family in families(numbers([cache("a")], [upstream("u")]), Totals()):
        stem = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        names.add(stem)
    return names


def test_the_page_explains_every_metric_and_no_other() -> None:
    explained = set(re.findall(r"^\| `(glidecached_\w+)", PAGE.read_text(), re.MULTILINE))
    assert explained == own_metrics()


def test_the_page_s_alerts_are_about_metrics_that_there_are() -> None:
    used = set(re.findall(r"\bglidecached_\w+", PAGE.read_text())) - {"glidecached_forged"}
    assert {stem(name) for name in used} <= own_metrics()


def stem(name: str) -> str:
    """A histogram's name without what one of its series ends in."""
    for suffix in HISTOGRAM_SUFFIXES:
        if name.removesuffix(suffix) in own_metrics():
            return name.removesuffix(suffix)
    return name


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 10
    expressions += [each["definition"] for each in dashboard["templating"]["list"] if "definition" in each]
    used = set(re.findall(r"\b(?:glidecached|process)_\w+", " ".join(expressions)))
    assert {stem(name) for name in used if name.startswith("glidecached_")} <= own_metrics()
    text = Exposition().render(Snapshot(numbers([], []), 0, 0.0), TEXT).decode()
    for name in used:
        assert name.startswith("glidecached_") or f"\n{name} " in text, name


def test_the_dashboard_and_the_alerts_ask_for_labels_that_there_are() -> None:
    """What Prometheus itself adds is `instance` and `job`; a bucket has its bound besides."""
    having: dict[str, set[str]] = {
        "up": {"instance", "job"},
        "process_cpu_seconds_total": {"instance", "job"},
    }
    for name, found in series([cache("a")], [upstream("u")]):
        having.setdefault(name, {"instance", "job"}).update(label for label, _ in found)
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expressions += re.findall(r"expr: (?:>\n)?((?:.*\n)+?)\s+for:", PAGE.read_text())
    asked = [each for expression in expressions for each in re.findall(r"(\w+)\{([^}]*)\}", expression)]
    assert len(asked) > 20
    for name, matchers in asked:
        assert set(re.findall(r"(\w+)\s*=", matchers)) <= having[name], name
    for expression in expressions:
        names = set(re.findall(r"\b(?:glidecached|process)_\w+", expression))
        for grouping in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            for name in names & set(having):
                assert set(grouping.split(", ")) <= having[name], expression
        if "histogram_quantile" in expression:
            assert re.search(r"sum by \(le, \w+\) \(rate\(\w+_bucket\{", expression), expression


def test_the_dashboard_has_every_figure_of_a_cache() -> None:
    shown = DASHBOARD.read_text()
    names = {name for name, found in series([cache("a")], []) if any("cache" in label for label, _ in found)}
    assert "glidecached_forgotten_total" in names
    assert {name for name in names if f"{name}{{" not in shown} == set()


def test_the_dashboard_is_one_that_grafana_can_import() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["schemaVersion"] >= 36
    assert dashboard["uid"]
    (source, *others) = dashboard["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert {each["name"] for each in others} >= {"instance", "cache"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} overlaps another"
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["description"], panel["title"]
