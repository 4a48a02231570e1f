"""What it costs to change a pool's bound: copying in slices, and the last part, for which requests wait.

It fills one pool in shared memory and changes its size again and again; the figures are the pool's alone.
docs/design/0013-resizing.md says what happens meanwhile.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "shared"))

from glidecache_shared.pool.resize import PoolResize  # noqa: E402
from glidecache_shared.pool.store import PoolStore, charge_bytes  # noqa: E402
from glidecache_shared.protocol import STRING  # noqa: E402 - found by the line above

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where pools live
KEY_BYTES, VALUE_BYTES = 8, 250
STEP_ENTRIES = 256


def main() -> None:
    """Measure, and print one line for each way in which a pool changes."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    whole_kb = chosen.entries * charge_bytes(KEY_BYTES, VALUE_BYTES) // 1024 + 1
    changes = {
        "half as large again": ({"max_cache_kb": whole_kb * 3 // 2}, chosen.entries),
        "half as large": ({"max_cache_kb": whole_kb // 2}, None),
        "another policy": ({"eviction_policy": "LFU"}, chosen.entries),
    }
    directory = tempfile.mkdtemp(prefix="glidecache-bench-", dir=SHARED_MEMORY)
    try:
        for name, (change, kept) in changes.items():
            rounds = [
                measure(directory, whole_kb, chosen.entries, change, kept) for _ in range(chosen.rounds)
            ]
            figures = zip(("all", "slowest step", "in one piece"), zip(*rounds, strict=True), strict=True)
            print(
                f"{name}: "
                + ", ".join(
                    f"{what} {statistics.median(times):.1f} ms ({min(times):.1f}–{max(times):.1f})"
                    for what, times in figures
                )
            )
    finally:
        shutil.rmtree(directory)


def measure(
    directory: str, whole_kb: int, entries: int, change: dict[str, Any], kept: int | None
) -> tuple[float, float, float]:
    """Return milliseconds: of the whole change, of its slowest step, and of its end, for which everything waits."""
    settings = {
        "max_cache_kb": whole_kb,
        "entry_ttl_ms": 0,
        "eviction_policy": "LRU",
        "enable_metrics": True,
        "instance_id": 1,
        "grace_ms": 5_000,
    }
    generations = itertools.count(1)
    store = PoolStore.create(directory, "pool", next(generations), **settings)
    value = b"v" * VALUE_BYTES
    for number in range(entries):
        store.insert(b"%08d" % number, STRING, value)
    times = [time.perf_counter_ns()]
    succession = PoolResize(
        store,
        directory,
        "pool",
        next(generations),
        **{**settings, **change},
        pool_mode=0o600,
        board_mode=0o600,
    )
    done = False
    while not done:
        done = succession.step(STEP_ENTRIES)
        times.append(time.perf_counter_ns())
    new = succession.finish()
    times.append(time.perf_counter_ns())
    assert kept is None or new.metrics().entry_count == kept
    for each in (store, new):
        each.unlink()
        each.close()
    steps = [(after - before) / 1e6 for before, after in itertools.pairwise(times)]
    return (times[-1] - times[0]) / 1e6, max(steps[:-1]), steps[-1]


if __name__ == "__main__":
    main()
