"""The daemon's numbers for the status page: one JSON object, with the samples that the page lacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from glidecached.advice.judgement import SIZE, TTL
from glidecached.formatting import printable
from glidecached.stats.figures import cache_label, upstreams_by_label
from glidecached.stats.history import INTERVAL_MS, LENGTH, foremost, foremost_upstreams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.doctor.self_examination import Diagnosis
    from glidecached.stats.history import Sample
    from glidecached.stats.snapshots import Snapshot


_MOST_CHARACTERS = 500
"""The length of a finding's texts: a server's error may be long."""


class Summary:
    """The maker of the object; each part is made once for all requests. For one thread at a time, and one history."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._present = b""
        self._diagnosis: Diagnosis | None = None
        self._finding = b""
        self._samples: dict[int, bytes] = {}

    def render(self, snapshot: Snapshot, diagnosis: Diagnosis, samples: Sequence[Sample]) -> bytes:
        """Return the object, encoded."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._present = _encoded(_present(snapshot))
        past = b",".join(map(self._sample, samples))
        return b'%s,"diagnosis":%s,"samples":[%s]}' % (
            self._present.removesuffix(b"}"),
            self._diagnosed(diagnosis),
            past,
        )

    def _diagnosed(self, diagnosis: Diagnosis) -> bytes:
        if diagnosis is not self._diagnosis:
            self._diagnosis = diagnosis
            self._finding = _encoded(_finding(diagnosis))
        return self._finding

    def _sample(self, sample: Sample) -> bytes:
        encoded = self._samples.get(sample.number)
        if encoded is None:
            encoded = self._samples[sample.number] = _encoded(_shown(sample))
            if len(self._samples) > LENGTH:
                del self._samples[next(iter(self._samples))]
        return encoded


def _encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _present(snapshot: Snapshot) -> dict[str, Any]:
    numbers = snapshot.numbers
    daemon = numbers["daemon"]
    caches, upstreams = foremost(numbers["caches"]), foremost_upstreams(numbers["upstreams"])
    return {
        "daemon": {
            "version": daemon["version"],
            "pid": daemon["pid"],
            "started_at": daemon["started_at"],
            "uptime_seconds": daemon["uptime_seconds"],
            "sessions": daemon["sessions"],
            "open_requests": daemon["open_requests"],
            "refused": sum(daemon["refused"].values()),
        },
        "taken_at": snapshot.taken_at,
        "interval_seconds": INTERVAL_MS / 1e3,
        "history_length": LENGTH,
        "caches": [_cache(cache) for cache in caches],
        "caches_not_shown": len(numbers["caches"]) - len(caches),
        "upstreams": [_upstream(label, group) for label, group in upstreams.items()],
        "upstreams_not_shown": len(upstreams_by_label(numbers["upstreams"])) - len(upstreams),
    }


def _finding(diagnosis: Diagnosis) -> dict[str, Any]:
    worst = diagnosis.worst
    if worst is None:
        return {"worst": None, "others": 0}
    texts = {"check": worst.check, "seen": worst.seen, "advice": worst.advice}
    shown = {name: printable(text, _MOST_CHARACTERS) for name, text in texts.items()}
    return {"worst": {"status": str(worst.status), **shown}, "others": diagnosis.others}


def _cache(cache: dict[str, Any]) -> dict[str, Any]:
    label, named = cache_label(cache)
    return {
        "key": f"{named}:{label}",
        "label": label,
        "named": named == "yes",
        "policy": cache["settings"]["eviction_policy"],
        "ttl_ms": cache["settings"]["entry_ttl_ms"],
        "server_ttl": cache["settings"]["server_ttl"],
        "counted": cache["settings"]["enable_metrics"],
        "entries": cache["metrics"]["entry_count"],
        "forgotten": cache["metrics"]["forgotten"],
        "expirations": cache["metrics"]["expirations"],
        "evictions": cache["metrics"]["evictions"],
        "misses_by_cause": cache["misses_by_cause"],
        "bytes": cache["charged_bytes"],
        "max_bytes": cache["max_bytes"],
        "resident_bytes": cache["resident_bytes"],
        "attached_processes": cache["attached_processes"],
        "advice": _advice(cache["advice"]),
    }


def _advice(digest: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a digest for the page's curves: the settings as they are, shares with four decimals."""
    if digest is None:
        return None
    now = digest["now"]
    return {
        "enough": digest["enough"],
        "seconds": round(digest["seconds"]),
        "now": {"max_cache_kb": now[SIZE], "ttl_ms": now[TTL], "hit_rate": _rounded(now["hit_rate"])},
        "could_be": _rounded(digest["could_be"]),
        "sizes": [[each[SIZE], _rounded(each["hit_rate"])] for each in digest["by_size"]],
        "ttls": [
            [
                each[TTL] or 0,
                *map(_rounded, (each["hit_rate"], each["upstream_per_second"], each["stale_reads"])),
            ]
            for each in digest["by_ttl"]
        ],
        "changes": [{**each, "why": printable(each["why"], _MOST_CHARACTERS)} for each in digest["advice"]],
    }


def _upstream(label: str, group: list[dict[str, Any]]) -> dict[str, Any]:
    connected = [each["connected_to"] for each in group if each["connected_to"]]
    errors = [each["last_error"] for each in group if each["last_error"]]
    return {
        "key": label,
        "label": label,
        "mode": group[0]["mode"],
        "connected_to": connected[0] if connected else None,
        "last_error": errors[0] if errors else None,
        "in_flight": sum(each["in_flight"] for each in group),
        "queued": sum(each["queued"] for each in group),
        "reconnects": sum(each["reconnects"] for each in group),
    }


def _shown(sample: Sample) -> dict[str, Any]:
    return {
        "number": sample.number,
        "at": round(sample.at, 3),
        "caches": {f"{named}:{label}": _short(point) for (label, named), point in sample.caches.items()},
        "upstreams": {label: _short(point) for label, point in sample.upstreams.items()},
    }


def _short(point: tuple[float | None, ...]) -> list[float | None]:
    return [_rounded(value) for value in point]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
