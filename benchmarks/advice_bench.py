"""The accuracy of advice: hit rates and stale reads that it predicts, beside replays of the whole traffic.

Each workload is sent through a pool whose traffic is sampled. The sample's report is held against an exact replay of
all lookups at each of its points (tests/support/exact_replay.py). Where libCacheSim simulates the same thing (LRU, no
TTL), it judges the replay. The exit status is 1 if a bar is missed: of the eight sizes, a mean absolute error of 0.01,
none over 0.03; a share of stale reads within 0.02.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("daemon", "shared", "tests", "benchmarks")]

from advice_chart import draw  # noqa: E402

from support.sampled_traffic import NS, replayed, run_sampled  # noqa: E402
from support.traffic_workloads import WORKLOADS, Trace, bound_of, make_trace, named  # noqa: E402 - by the line above

KB = 1024
MEAN_BAR, EACH_BAR, STALE_BAR, JUDGE_BAR = 0.01, 0.03, 0.02, 0.002


@dataclass
class Accuracy:
    """One workload under one policy: what was predicted, and what a replay of all lookups counts."""

    workload: str
    policy: str
    seed: int
    bound_kb: int
    lookups: int
    sample_rate: float
    sampled_time: float
    expected_error: float
    expected_stale_error: float
    sizes: list[tuple[int | None, float, float]] = field(default_factory=list)
    """Of each size in KB (None: no bound): the hit rate as predicted, and as replayed."""
    ttls: list[tuple[int, float, float, float, float]] = field(default_factory=list)
    """Of each TTL in ms: the hit rate and the share of stale reads, as predicted and as replayed."""
    other: tuple[float, float] = (0.0, 0.0)
    """The other policy's hit rate, as predicted and as replayed."""
    judged: tuple[float, float] | None = None
    """The hit rate without a TTL, as replayed and by libCacheSim."""
    seconds: float = 0.0

    @property
    def errors(self) -> list[float]:
        """The absolute errors of the sizes' hit rates."""
        return [abs(predicted - true) for _, predicted, true in self.sizes]

    @property
    def mean_error(self) -> float:
        """The mean of them."""
        return sum(self.errors) / len(self.errors)

    @property
    def ttl_error(self) -> float:
        """The largest error of a hit rate at another TTL, or with the other policy."""
        return max(
            [abs(rate - true) for _, rate, true, _, _ in self.ttls] + [abs(self.other[0] - self.other[1])]
        )

    @property
    def stale_error(self) -> float:
        """The largest error of a share of stale reads."""
        return max((abs(stale - true) for _, _, _, stale, true in self.ttls), default=0.0)

    def missed(self) -> list[str]:
        """Return the bars that are missed."""
        found = []
        if self.mean_error > MEAN_BAR:
            found.append(f"mean error {self.mean_error:.4f}")
        if max(self.errors) > EACH_BAR:
            found.append(f"largest error {max(self.errors):.4f}")
        if self.stale_error > STALE_BAR:
            found.append(f"stale reads {self.stale_error:.4f}")
        if self.judged is not None and abs(self.judged[0] - self.judged[1]) > JUDGE_BAR:
            found.append(f"libCacheSim {self.judged[1]:.4f}, replay {self.judged[0]:.4f}")
        return found


def by_libcachesim(trace: Trace, max_bytes: int) -> float | None:
    """Return the hit rate of libCacheSim's LRU, of entries by their charges; None if it is not installed."""
    try:
        from libcachesim import LRU, Request
    except ImportError:
        return None
    cache, hits = LRU(cache_size=max_bytes), 0
    for number, key in enumerate(trace.keys):
        request = Request()
        request.obj_id, request.obj_size, request.clock_time = key + 1, trace.charge(key), number
        hits += cache.get(request)
    return hits / len(trace.keys)


def measure(name: str, policy: str, seed: int, changes: dict[str, Any]) -> Accuracy:
    """Send a workload through a sampled pool, and replay it at each point of the report."""
    began = time.monotonic()
    trace = make_trace(named(name, **changes), seed)
    load, bound = trace.workload, bound_of(trace)
    ttl_ns = int(load.ttl_s * NS)
    report = run_sampled(trace, bound, policy, hash_seed=seed).sample.report()
    found = Accuracy(
        name, policy, seed, bound // KB, len(trace.keys),
        report["sample_rate"], report["sampled_time"], report["expected_error"], report["expected_stale_error"] or 0.0,
    )  # fmt: skip
    for point in report["by_size"]:
        size = point["max_cache_kb"]
        true = replayed(trace, size and size * KB, ttl_ns, policy)
        found.sizes.append((size, point["hit_rate"], true.hit_rate))
    for point in report["by_ttl"]:
        true = replayed(trace, bound, point["entry_ttl_ms"] * 1_000_000, policy)
        stale = (point["stale_reads"] or 0.0, true.stale_reads)
        found.ttls.append((point["entry_ttl_ms"], point["hit_rate"], true.hit_rate, *stale))
        if policy == "LRU" and point["entry_ttl_ms"] == 0 and not load.lives_s:
            judged = by_libcachesim(trace, bound)
            found.judged = None if judged is None else (true.hit_rate, judged)
    other = "LFU" if policy == "LRU" else "LRU"
    found.other = (report["by_policy"][other], replayed(trace, bound, ttl_ns, other).hit_rate)
    found.seconds = time.monotonic() - began
    return found


def line_of(found: Accuracy) -> str:
    """Return a row of the table."""
    judged = "" if found.judged is None else f"{found.judged[1] - found.judged[0]:+.4f}"
    figures = (
        f"{found.workload:<10} {found.policy:<4} {found.lookups:>9,} {found.bound_kb:>9,}",
        f"{found.sample_rate:>7.3f} {found.sampled_time:>6.2f} {found.mean_error:>8.4f} {max(found.errors):>8.4f}",
        f"{found.expected_error:>8.4f} {found.ttl_error:>8.4f} {found.stale_error:>8.4f}",
        f"{found.expected_stale_error:>8.4f} {judged:>9} ",
    )
    return " ".join((*figures, "; ".join(found.missed())))


HEAD = (
    "workload   policy lookups  bound KB    keys   time     mean  largest expected  ttl,pol    stale"
    " expected     judge  missed"
)


def main() -> int:
    """Measure all workloads; print a table, write it as JSON, draw a chart. Return the exit status."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--workloads", default=",".join(load.name for load in WORKLOADS))
    options.add_argument("--policies", default="LRU,LFU")
    options.add_argument("--lookups", type=int, help="of each workload; usual: its own")
    options.add_argument("--rate", type=float, help="lookups a second; usual: the workload's own")
    options.add_argument("--seeds", default="1")
    options.add_argument("--json", type=Path, default=ROOT / "build" / "advice.json")
    options.add_argument("--chart", type=Path, default=ROOT / "build" / "advice-accuracy.svg")
    chosen = options.parse_args()
    changes = {name: value for name in ("lookups", "rate") if (value := getattr(chosen, name)) is not None}
    jobs = list(
        product(chosen.workloads.split(","), chosen.policies.split(","), map(int, chosen.seeds.split(",")))
    )
    print(HEAD, flush=True)
    results: list[Accuracy] = []
    with ProcessPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as processes:
        for found in processes.map(measure, *zip(*jobs, strict=True), [changes] * len(jobs)):
            print(line_of(found), flush=True)
            results.append(found)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps([asdict(found) for found in results], indent=1) + "\n")
    draw([asdict(found) for found in results], chosen.chart)
    missed = sum(bool(found.missed()) for found in results)
    print(f"{len(results)} runs; {missed} of them miss a bar")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
