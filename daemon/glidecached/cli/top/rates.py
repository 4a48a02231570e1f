"""The rates per second between two answers to STATS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glidecached.cli.report import cache_label, upstream_label
from glidecached.stats.figures import percentile_us, since

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glidecached.cli.top.poller import Numbers

PERCENTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFigures:
    """One cache. The rates are of the time between the two answers, None where that is not known.

    `asked_as` is what the daemon calls it, `label` the same for a screen.
    """

    asked_as: str
    label: str
    hit_rate: float | None
    could_be: float | None
    """The hit rate to expect with the advised settings."""
    lookups_per_s: float | None
    evictions_per_s: float | None
    expirations_per_s: float | None
    forgotten_per_s: float | None
    entries: int
    charged_bytes: int
    max_bytes: int
    processes: int

    @property
    def fill(self) -> float:
        """Return the part of the bound that is charged."""
        return self.charged_bytes / self.max_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFigures:
    """One upstream. `latencies_us` belong to `PERCENTILES`, of the requests answered between the two answers."""

    identity: str
    label: str
    requests_per_s: float | None
    latencies_us: tuple[float | None, ...]
    in_flight: int
    queued: int
    connected: bool
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures that the screen shows at one moment."""

    daemon: dict[str, Any]
    caches: list[CacheFigures]
    upstreams: list[UpstreamFigures]


def compare(before: Numbers | None, after: Numbers) -> Figures:
    """Return the figures of `after`, with rates since `before` if that is the same daemon's."""
    daemon = after.numbers["daemon"]
    if before is not None and before.numbers["daemon"]["started_at"] != daemon["started_at"]:
        before = None
    old_caches: dict[str, Any] = {}
    old_upstreams: dict[str, Any] = {}
    passed_s = 0.0
    if before is not None:
        passed_s = after.at_s - before.at_s
        old_caches = {_asked_as(each): each for each in before.numbers["caches"]}
        old_upstreams = {_identity(each): each for each in before.numbers["upstreams"]}
    return Figures(
        daemon=daemon,
        caches=[_cache(old_caches.get(_asked_as(each)), each, passed_s) for each in after.numbers["caches"]],
        upstreams=[
            _upstream(old_upstreams.get(_identity(each)), each, passed_s)
            for each in after.numbers["upstreams"]
        ],
    )


def _asked_as(cache: Mapping[str, Any]) -> str:
    return str(cache["name"] or cache["id"])


def _identity(upstream: Mapping[str, Any]) -> str:
    return f"{upstream['name'] or ''} {upstream['identity']}"


def _cache(old: dict[str, Any] | None, new: dict[str, Any], passed_s: float) -> CacheFigures:
    counted = new["settings"]["enable_metrics"]
    before = old["metrics"] if old is not None and counted else None
    hits = _more(before, new["metrics"], "hits")
    misses = _more(before, new["metrics"], "misses")
    lookups = None if hits is None or misses is None else hits + misses
    return CacheFigures(
        asked_as=_asked_as(new),
        label=cache_label(new),
        hit_rate=hits / lookups if hits is not None and lookups else None,
        could_be=(new.get("advice") or {}).get("could_be"),  # an earlier daemon has no advice
        lookups_per_s=_rate(lookups, passed_s),
        evictions_per_s=_rate(_more(before, new["metrics"], "evictions"), passed_s),
        expirations_per_s=_rate(_more(before, new["metrics"], "expirations"), passed_s),
        forgotten_per_s=_rate(_more(before, new["metrics"], "forgotten"), passed_s),
        entries=new["metrics"]["entry_count"],
        charged_bytes=new["charged_bytes"],
        max_bytes=new["max_bytes"],
        processes=new["attached_processes"],
    )


def _upstream(old: dict[str, Any] | None, new: dict[str, Any], passed_s: float) -> UpstreamFigures:
    if old is None:
        latencies: tuple[float | None, ...] = (None,) * len(PERCENTILES)
    else:
        latency = new["latency"]
        counts = since(old["latency"], latency)
        latencies = tuple(percentile_us(latency["bounds_us"], counts, part) for part in PERCENTILES)
    return UpstreamFigures(
        identity=_identity(new),
        label=upstream_label(new),
        requests_per_s=_rate(_more(old, new, "requests"), passed_s),
        latencies_us=latencies,
        in_flight=new["in_flight"],
        queued=new["queued"],
        connected=bool(new["connected_to"]),
        last_error=new["last_error"],
    )


def _more(before: Mapping[str, Any] | None, after: Mapping[str, Any], name: str) -> int | None:
    """Return how much a counter grew; None without a past, where it began again, or in a daemon that lacks it.

    It begins again when a cache was dropped and made again.
    """
    if before is None or name not in after or after[name] < before[name]:
        return None
    return int(after[name] - before[name])


def _rate(number: int | None, passed_s: float) -> float | None:
    return None if number is None or passed_s <= 0 else number / passed_s
