"""The daemon's numbers for Prometheus. docs/monitoring.md explains each of them."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from glidecached.advice.judgement import CHANGES, advised_bytes, stale_reads
from glidecached.frontend.dispatcher import REFUSAL_CAUSES
from glidecached.stats.figures import cache_label, upstreams_by_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from glidecached.stats.snapshots import Snapshot

    _Rows = tuple[tuple[str, str, Callable[[dict[str, Any]], float]], ...]

_CACHE_LABELS = ("cache", "named")

_CACHE_GAUGES: _Rows = (
    ("entries", "Entries in the cache.", lambda cache: cache["metrics"]["entry_count"]),
    (
        "bytes",
        "Bytes charged for the entries; compare with max_bytes.",
        lambda cache: cache["charged_bytes"],
    ),
    ("max_bytes", "The cache's memory bound.", lambda cache: cache["max_bytes"]),
    ("resident_bytes", "Memory that the cache's files occupy.", lambda cache: cache["resident_bytes"]),
    (
        "attached_processes",
        "Processes known to use the cache.",
        lambda cache: cache["attached_processes"],
    ),
    ("flights", "Requests to Valkey under way for misses.", lambda cache: cache["flights"]),
)
_CACHE_COUNTERS: _Rows = (
    (
        "lookups",
        "Cache lookups, one for each key.",
        lambda cache: cache["metrics"]["hits"] + cache["metrics"]["misses"],
    ),
    ("hits", "Cache hits.", lambda cache: cache["metrics"]["hits"]),
    (
        "evictions",
        "Live entries evicted to make room.",
        lambda cache: cache["metrics"]["evictions"],
    ),
    (
        "expirations",
        "Expired entries found and removed.",
        lambda cache: cache["metrics"]["expirations"],
    ),
)
"""The figures that are counted only with `enable_metrics`; without it they are absent, rather than a false 0."""

_ADVICE_GAUGES: tuple[tuple[str, str, Callable[[dict[str, Any]], float | None]], ...] = (
    ("hit_ratio", "Hit rate to expect with the advised settings.", lambda digest: digest["could_be"]),
    ("max_bytes", "Advised memory bound; the present one where no other is advised.", advised_bytes),
    (
        "gain_ratio",
        "Hit rate that another 10 % of the memory of all caches would add.",
        lambda digest: digest["gain_of_10_percent"],
    ),
    ("stale_read_ratio", "Expected share of stale reads at the present TTL.", stale_reads),
    (
        "known_stale_hit_ratio",
        "Share of hits on entries whose keys this host had written since.",
        lambda digest: digest["known_stale_hits"],
    ),
)
"""Absent where the traffic is not sampled, or too little."""

_UPSTREAM_GAUGES: _Rows = (
    ("connected", "1 while there is a connection to it.", lambda up: int(up["connected_to"] is not None)),
    ("in_flight", "Requests sent to Valkey that have no reply yet.", lambda up: up["in_flight"]),
    ("queued", "Requests waiting to be sent.", lambda up: up["queued"]),
    ("sessions", "Client sessions that use the upstream.", lambda up: up["sessions"]),
    (
        "blocking_connections",
        "Dedicated connections, for blocking commands and watches.",
        lambda up: up["blocking_connections"],
    ),
)
_UPSTREAM_COUNTERS: _Rows = (
    ("requests", "Requests to the upstream.", lambda up: up["requests"]),
    ("failures", "Requests to the upstream that failed.", lambda up: up["failed"]),
    ("reconnects", "Reconnections after a connection was lost.", lambda up: up["reconnects"]),
)


def families(numbers: dict[str, Any], totals: Totals) -> Iterator[Metric]:
    """Yield all metric families of one snapshot. Its numbers must be later than those that `totals` has seen."""
    yield from _daemon_families(numbers["daemon"])
    yield from _cache_families(numbers["caches"])
    yield from _upstream_families(numbers["upstreams"], totals)


def _daemon_families(daemon: dict[str, Any]) -> Iterator[Metric]:
    yield InfoMetricFamily("glidecached_build", "The daemon's version.", {"version": daemon["version"]})
    yield GaugeMetricFamily(
        "glidecached_start_time_seconds",
        "Start of the daemon, in seconds since the epoch.",
        daemon["started_at"],
    )
    yield GaugeMetricFamily("glidecached_sessions", "Client sessions.", daemon["sessions"])
    yield GaugeMetricFamily(
        "glidecached_open_requests", "Client requests under way.", daemon["open_requests"]
    )
    yield CounterMetricFamily(
        "glidecached_accepted_requests", "Client requests accepted.", daemon["accepted_requests"]
    )
    yield GaugeMetricFamily(
        "glidecached_max_total_bytes",
        "Memory bound of all caches together.",
        daemon["max_total_cache_kb"] * 1024,
    )
    refused = CounterMetricFamily(
        "glidecached_refused_messages",
        "Messages and answers refused or dropped, by cause.",
        labels=("cause",),
    )
    # Causes with a count of 0 too: otherwise their first event would be no increase.
    for cause, count in {**dict.fromkeys(REFUSAL_CAUSES, 0), **daemon["refused"]}.items():
        refused.add_metric((cause,), count)
    yield refused


def _cache_families(caches: list[dict[str, Any]]) -> Iterator[Metric]:
    counting = [cache for cache in caches if cache["settings"]["enable_metrics"]]
    for name, text, value in _CACHE_GAUGES:
        gauge = GaugeMetricFamily(f"glidecached_cache_{name}", text, labels=_CACHE_LABELS)
        for cache in caches:
            gauge.add_metric(cache_label(cache), value(cache))
        yield gauge
    forgotten = CounterMetricFamily(
        "glidecached_forgotten", "Live entries that clients or operators had removed.", labels=_CACHE_LABELS
    )
    for cache in counting:
        forgotten.add_metric(cache_label(cache), cache["metrics"]["forgotten"])
    yield forgotten
    for name, text, value in _CACHE_COUNTERS:
        counter = CounterMetricFamily(f"glidecached_cache_{name}", text, labels=_CACHE_LABELS)
        for cache in counting:
            counter.add_metric(cache_label(cache), value(cache))
        yield counter
    misses = CounterMetricFamily(
        "glidecached_cache_misses",
        "Cache misses, by cause.",
        labels=(*_CACHE_LABELS, "cause"),
    )
    for cache in counting:
        for cause, count in cache["misses_by_cause"].items():
            misses.add_metric((*cache_label(cache), cause), count)
    yield misses
    full = CounterMetricFamily(
        "glidecached_cache_file_system_full",
        "Failed attempts to grow because the file system was full.",
        labels=_CACHE_LABELS,
    )
    for cache in caches:
        full.add_metric(cache_label(cache), cache["file_system_full"])
    yield full
    unknown = CounterMetricFamily(
        "glidecached_cache_ttl_failures",
        "Values not stored because the server did not answer PTTL (server_ttl).",
        labels=_CACHE_LABELS,
    )
    for cache in caches:
        unknown.add_metric(cache_label(cache), cache["ttl_failures"])
    yield unknown
    yield from _advice_families(caches)


def _advice_families(caches: list[dict[str, Any]]) -> Iterator[Metric]:
    written = CounterMetricFamily(
        "glidecached_cached_key_writes",
        "Writes of this host's clients to keys that were in the cache.",
        labels=_CACHE_LABELS,
    )
    for cache in caches:
        if cache["cached_key_writes"] is not None:
            written.add_metric(cache_label(cache), cache["cached_key_writes"])
    yield written
    advised = [(cache, cache["advice"]) for cache in caches if cache["advice"] and cache["advice"]["enough"]]
    for name, text, value in _ADVICE_GAUGES:
        gauge = GaugeMetricFamily(f"glidecached_advice_{name}", text, labels=_CACHE_LABELS)
        for cache, digest in advised:
            figure = value(digest)
            if figure is not None:
                gauge.add_metric(cache_label(cache), figure)
        yield gauge
    changes = GaugeMetricFamily(
        "glidecached_advice_changes",
        "1 where a change is advised, by what should be changed.",
        labels=(*_CACHE_LABELS, "what"),
    )
    for cache, digest in advised:
        wanted = {advice["what"] for advice in digest["advice"]}
        for what in CHANGES:
            changes.add_metric((*cache_label(cache), what), int(what in wanted))
    yield changes


def _upstream_families(upstreams: list[dict[str, Any]], totals: Totals) -> Iterator[Metric]:
    grouped = upstreams_by_label(upstreams)
    for name, text, value in _UPSTREAM_GAUGES:
        gauge = GaugeMetricFamily(f"glidecached_upstream_{name}", text, labels=("upstream",))
        together = max if name == "connected" else sum
        for label, group in grouped.items():
            gauge.add_metric((label,), together(map(value, group)))
        yield gauge
    counted = totals.advance({label: _counts(group) for label, group in grouped.items()})
    for place, (name, text, _) in enumerate(_UPSTREAM_COUNTERS):
        counter = CounterMetricFamily(f"glidecached_upstream_{name}", text, labels=("upstream",))
        for label, counts in counted.items():
            counter.add_metric((label,), counts[place])
        yield counter
    yield _durations(grouped, counted)


def _counts(group: list[dict[str, Any]]) -> list[float]:
    """Return the sums of all upstreams of one label: the counters, the sum of the durations, their histogram."""
    latencies = [upstream["latency"] for upstream in group]
    return [
        *(sum(map(value, group)) for _, _, value in _UPSTREAM_COUNTERS),
        sum(each["sum_us"] for each in latencies),
        *(sum(column) for column in zip(*(each["counts"] for each in latencies), strict=True)),
    ]


def _durations(
    grouped: Mapping[str, list[dict[str, Any]]], counted: Mapping[str, Sequence[float]]
) -> HistogramMetricFamily:
    durations = HistogramMetricFamily(
        "glidecached_upstream_request_duration_seconds",
        "Time from request to reply, without blocking commands.",
        labels=("upstream",),
    )
    for label, counts in counted.items():
        sum_us, *places = counts[len(_UPSTREAM_COUNTERS) :]
        bounds_us = grouped[label][0]["latency"]["bounds_us"]
        bounds = [*(f"{bound_us / 1e6:g}" for bound_us in bounds_us), "+Inf"]
        durations.add_metric((label,), list(zip(bounds, accumulate(places), strict=True)), sum_us / 1e6)
    return durations


class Exposition(Collector):
    """The newest snapshot as text, in one of the two forms. `render` is for one thread at a time."""

    def __init__(self) -> None:
        self._newest: Snapshot | None = None
        self._families: list[Metric] = []
        self._totals = Totals()
        self._rendered: dict[Form, bytes] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def describe(self) -> list[Metric]:
        """Return nothing before the first snapshot (`Collector`)."""
        return []

    def collect(self) -> list[Metric]:
        """Return the families of the newest snapshot (`Collector`)."""
        return self._families

    def render(self, snapshot: Snapshot, form: Form) -> bytes:
        """Return the text of this snapshot, or of a newer one if another thread was faster. Each is made once."""
        if self._newest is None or snapshot.taken_ns > self._newest.taken_ns:
            self._newest = snapshot
            self._families = list(families(snapshot.numbers, self._totals))
            self._rendered = {}
        if form not in self._rendered:
            self._rendered[form] = form.encode(self._registry)
        return self._rendered[form]


class Totals:
    """The sums by label, which never become smaller while the label exists.

    Prometheus takes a counter that falls for one that began again at 0, and adds its whole value to the rate. So the
    counts of an upstream stay in the sum of its label when it ends. A label without upstreams is forgotten.
    """

    def __init__(self) -> None:
        self._past: dict[str, tuple[Sequence[float], list[float]]] = {}

    def advance(self, sums: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
        """Return the totals for these sums of the remaining upstreams. The sums must be later than the last call's."""
        past = {}
        totals = {}
        for label, now in sums.items():
            before, ended = self._past.get(label, (now, [0.0] * len(now)))
            ended = [lost + max(0, old - new) for lost, old, new in zip(ended, before, now, strict=True)]
            past[label] = now, ended
            totals[label] = [new + lost for new, lost in zip(now, ended, strict=True)]
        self._past = past
        return totals


_OPENMETRICS_VERSION = "1.0.0"


class Form(NamedTuple):
    """A text format: its encoder, and its content type."""

    encode: Callable[[CollectorRegistry], bytes]
    content_type: str


TEXT = Form(generate_latest, "text/plain; version=0.0.4; charset=utf-8")
OPENMETRICS = Form(
    openmetrics.generate_latest,
    f"application/openmetrics-text; version={_OPENMETRICS_VERSION}; charset=utf-8",
)


def preferred(accept: str) -> Form:
    """Return OpenMetrics if the scraper accepts this version and does not prefer the text format; else that."""
    wishes = {OPENMETRICS: 0.0, TEXT: 0.0}
    for media_range in accept.lower().split(","):
        media, *parameters = (part.strip() for part in media_range.split(";"))
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        if media == "application/openmetrics-text":
            if given.get("version", _OPENMETRICS_VERSION).strip('"') != _OPENMETRICS_VERSION:
                continue
            form = OPENMETRICS
        elif media in {"text/plain", "text/*", "*/*"}:
            form = TEXT
        else:
            continue
        wishes[form] = max(wishes[form], _quality(given.get("q", "1")))
    return OPENMETRICS if 0 < wishes[OPENMETRICS] >= wishes[TEXT] else TEXT


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
