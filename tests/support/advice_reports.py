"""Reports of one cache's advice, and a pool's sampling that gives them."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

from glidecached.advice.judgement import MemoryStep

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES_KB = (16_384, 32_768, 49_152, 65_536, 98_304, 131_072, 262_144)
RATES = (0.712, 0.8, 0.86, 0.91, 0.93, 0.94, 0.945)
STEP = MemoryStep(gain=0.03, loss=0.4)
TTLS_MS = (10_000, 30_000, 60_000, 120_000)


def advice_report(**differences: Any) -> dict[str, Any]:
    """A report of 64 MB, 60 s and LRU under much traffic, that advises nothing."""
    report: dict[str, Any] = {
        "seconds": 1_800.0,
        "lookups": 12_300_000,
        "sampled_keys": 8_192,
        "sample_rate": 0.0156,
        "expected_error": 0.004,
        "enough": True,
        "now": {
            "max_cache_kb": 65_536,
            "entry_ttl_ms": 60_000,
            "eviction_policy": "LRU",
            "hit_rate": 0.91,
        },
        "by_size": [
            *({"max_cache_kb": size, "hit_rate": rate} for size, rate in zip(SIZES_KB, RATES, strict=True)),
            {"max_cache_kb": None, "hit_rate": 0.95},
        ],
        "by_ttl": [
            {
                "entry_ttl_ms": ttl,
                "hit_rate": 0.74 + place * 0.085,
                "upstream_per_second": 800.0 - 100 * place,
                "stale_reads": 0.01 * place,
            }
            for place, ttl in enumerate(TTLS_MS)
        ],
        "by_policy": {"LRU": 0.91, "LFU": 0.922},
        "changed_refreshes": 0.031,
        "cached_key_writes": 0,
        "known_stale_hits": 0.0,
        "server_ttl": False,
        "written_prefixes": [],
        "advice": [],
    }
    return {**report, **differences}


def rate_at(size_kb: int) -> float:
    """The hit rate of these reports at any size: straight lines between their points, and 0 at 0."""
    points = [(0, 0.0), *zip(SIZES_KB, RATES, strict=True)]
    for (below_kb, below), (above_kb, above) in itertools.pairwise(points):
        if size_kb <= above_kb:
            return below + (above - below) * (size_kb - below_kb) / (above_kb - below_kb)
    return 0.95


def advice(what: str, to: object) -> dict[str, Any]:
    return {"what": what, "to": to, "why": f"because of {what}"}


class FixedSampling:
    """A sampling whose report is given; asked for points, it has a rate for each."""

    def __init__(self, report: dict[str, Any] | None = None) -> None:
        self.given = report or advice_report()
        self.asked: list[tuple[Any, Any, bool]] = []

    ended = False

    def fail(self, error: Exception) -> None:
        raise AssertionError from error

    @property
    def cached_key_writes(self) -> int:
        return int(self.given["cached_key_writes"])

    def report(
        self, sizes_kb: Sequence[int] | None, ttls_ms: Sequence[int] | None, *, names: bool
    ) -> dict[str, Any]:
        self.asked.append((sizes_kb, ttls_ms, names))
        report = copy.deepcopy(self.given)
        if sizes_kb is not None:
            report["by_size"] = [{"max_cache_kb": size, "hit_rate": rate_at(size)} for size in sizes_kb]
        if ttls_ms is not None:
            report["by_ttl"] = [
                {"entry_ttl_ms": ttl, "hit_rate": 0.5, "upstream_per_second": 1.0, "stale_reads": 0.0}
                for ttl in ttls_ms
            ]
        if not names:
            report["written_prefixes"] = None
        return report
