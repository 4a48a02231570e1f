"""A pool on a file system that is smaller than its bound: `python -m stress.full_file_system TASK JSON-ARGUMENTS`.

Runs in a mount namespace of its own, so that the small tmpfs that it mounts exists for this process alone.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from glidecache_shared.pool.generation import PoolFull
from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.resize import PoolResize
from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import STRING

SETTINGS: dict[str, Any] = {
    "max_cache_kb": 64 * 1024,
    "entry_ttl_ms": 0,
    "eviction_policy": "LRU",
    "enable_metrics": True,
    "instance_id": 1,
    "grace_ms": 3_600_000,
}


def fill(*, directory: str, size_kb: int) -> dict[str, Any]:
    """Store more than the file system holds; returns what happened."""
    _mount(directory, size_kb)
    try:
        store = PoolStore.create(directory, "full", 1, **SETTINGS)
    except PoolFull as error:
        return {"created": False, "error": str(error)}
    reader = PoolReader(store.pool_path, store.board_path)
    stored = sum(store.insert(b"%d" % number, STRING, b"v" * 1_000, number + 1) for number in range(10_000))
    newest = reader.get(9_999) == b"v" * 1_000
    count, evictions, refusals = (
        store.metrics().entry_count,
        store.metrics().evictions,
        store.file_system_full,
    )
    too_large = store.insert(b"too large", STRING, b"v" * (2 * size_kb * 1024), 10_001)
    small_again = store.insert(b"small", STRING, b"v", 10_002)
    store.check_integrity()
    return {
        "created": True,
        "stored": stored,
        "newest": newest,
        "count": count,
        "evictions": evictions,
        "refusals": refusals,
        "too_large": too_large,
        "small_again": small_again and reader.get("small") == b"v",
        "resident": store.resident_bytes,
    }


def refill(*, directory: str, size_kb: int) -> dict[str, Any]:
    """Fill, empty and trim a pool, let others fill the file system, and use the pool again."""
    _mount(directory, size_kb)
    store = PoolStore.create(
        directory, "full", 1, **(SETTINGS | {"max_cache_kb": size_kb // 2, "grace_ms": 5_000})
    )
    reader = PoolReader(store.pool_path, store.board_path)
    for number in range(10_000):
        store.insert(b"%d" % number, STRING, b"v" * 1_000, number + 1)
    full = store.resident_bytes
    store.flush()
    now_ns = time.monotonic_ns()
    for beat in range(60):
        store.beat(now_ns + beat * 1_000_000_000)
    trimmed = store.resident_bytes
    with contextlib.suppress(OSError), (Path(directory) / "others").open("wb", buffering=0) as others:
        while True:
            others.write(bytes(4_096))
    store.beat()
    stored = sum(
        store.insert(b"again %d" % number, STRING, b"w" * 1_000, number + 1) for number in range(5_000)
    )
    store.check_integrity()
    found = sum(reader.get(key) == b"w" * 1_000 for key, _ in store.entries())
    return {
        "full": full,
        "trimmed": trimmed,
        "stored": stored,
        "found": found,
        "count": store.metrics().entry_count,
        "refusals": store.file_system_full,
    }


def succeed(*, directory: str, size_kb: int) -> dict[str, Any]:
    """Change the bound of a pool beside which there is no room for another; up, and down."""
    _mount(directory, size_kb)
    store = PoolStore.create(directory, "full", 1, **(SETTINGS | {"max_cache_kb": size_kb * 2 // 3}))
    reader = PoolReader(store.pool_path, store.board_path)
    for number in range(10_000):
        store.insert(b"%d" % number, STRING, b"v" * 1_000, number + 1)
    outcomes: list[dict[str, Any]] = []
    for generation, bound_kb in ((2, size_kb), (3, size_kb * 3 // 5)):
        before = store.metrics().entry_count
        modes = {"pool_mode": 0o600, "board_mode": 0o600}
        settings = SETTINGS | {"max_cache_kb": bound_kb}
        resize = PoolResize(store, directory, "full", generation, **settings, **modes)
        refused = ""
        try:
            while not resize.step(100):
                pass
        except PoolFull as error:
            refused = str(error)
        resize.abandon()
        store.check_integrity()
        outcomes.append(
            {
                "refused": refused,
                "before": before,
                "count": store.metrics().entry_count,
                "found": sum(reader.get(key) == b"v" * 1_000 for key, _ in store.entries()),
                "bound_kb": store.max_bytes // 1024,
                "within": store.charged_bytes <= store.max_bytes,
                "files": sorted(path.name for path in Path(directory).iterdir()),
            }
        )
    return {"larger": outcomes[0], "smaller": outcomes[1]}


def _mount(directory: str, size_kb: int) -> None:
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", directory], check=True)


if __name__ == "__main__":
    tasks = {"fill": fill, "refill": refill, "succeed": succeed}
    print(json.dumps(tasks[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201  # the answer to the test
