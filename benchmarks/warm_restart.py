"""How long a daemon takes to go on with the pool of the one before: after a stop in order, and after a kill.

It fills one pool in shared memory and takes it over again and again; the figures are the pool's alone, without the
start of an interpreter. docs/design/0012-warm-restart.md says what happens meanwhile.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "shared"))

from glidecache_shared.kinds import STRING  # noqa: E402 - found by the line above
from glidecache_shared.pool.store import PoolStore, charge_bytes  # noqa: E402

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where pools live
KEY_BYTES, VALUE_BYTES = 8, 250


def main() -> None:
    """Measure, and print one line for each way in which a daemon ends."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    settings = {
        "max_cache_kb": chosen.entries * charge_bytes(KEY_BYTES, VALUE_BYTES) // 1024 + 1,
        "entry_ttl_ms": 0,
        "eviction_policy": "LRU",
        "enable_metrics": True,
        "instance_id": 1,
        "grace_ms": 5_000,
    }
    directory = tempfile.mkdtemp(prefix="glidecache-bench-", dir=SHARED_MEMORY)
    try:
        in_child(lambda: fill(directory, settings, chosen.entries))
        for name, sealed in (("stopped", True), ("killed", False)):
            times = [
                take_over(directory, settings, chosen.entries, sealed=sealed) for _ in range(chosen.rounds)
            ]
            print(
                f"{name}: {chosen.entries} entries in {statistics.median(times):.0f} ms "
                f"({min(times):.0f}–{max(times):.0f})"
            )
    finally:
        shutil.rmtree(directory)


def in_child(work: Any) -> None:
    """Run `work` in a process of its own that ends as a killed daemon does."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the child failed"


def fill(directory: str, settings: dict[str, Any], entries: int) -> None:
    """Make the pool."""
    store = PoolStore.create(directory, "pool", 1, **settings)
    value = b"v" * VALUE_BYTES
    for number in range(entries):
        store.insert(b"%08d" % number, STRING, value)
    assert store.metrics().entry_count == entries


def take_over(directory: str, settings: dict[str, Any], entries: int, *, sealed: bool) -> float:
    """Take the pool over from a daemon that was stopped or killed; milliseconds."""

    def predecessor() -> None:
        store = PoolStore.take_over(directory, "pool", 1, **settings)
        if sealed:
            assert store.seal()

    in_child(predecessor)
    start_ns = time.perf_counter_ns()
    store = PoolStore.take_over(directory, "pool", 1, **settings)
    elapsed_ms = (time.perf_counter_ns() - start_ns) / 1e6
    assert store.recovery is not None
    assert store.recovery.clean == sealed
    assert store.metrics().entry_count == entries
    store.close()
    return elapsed_ms


if __name__ == "__main__":
    main()
