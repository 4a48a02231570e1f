"""How long a daemon takes to go on with the pool of the one before: after a stop in order, and after a kill.

Two measures. *The pool alone*: one pool in shared memory is filled and taken over again and again, and then verified as
`glidecache doctor` does it, beside its store. *The whole daemon*:
from the start of a process until it answers a ping, with such a pool and with an empty one; then entries are read
through a client, with no upstream that could answer. docs/design/0012-warm-restart.md says what happens meanwhile.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glidecache_shared.pool.check import verify_entries
from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import PoolStore, charge_bytes
from glidecache_shared.protocol import STRING
from support.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where pools live
KEY_BYTES, VALUE_BYTES = 8, 250
VALUE = b"v" * VALUE_BYTES
READS = 10_000
NOWHERE = "127.0.0.1:1"
"""An upstream that refuses: what is answered all the same comes from the pool."""


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
    }
    the_pool_alone(settings, chosen)
    the_whole_daemon(settings, chosen)


def the_pool_alone(settings: dict[str, Any], options: argparse.Namespace) -> None:
    """Take over the files of a pool."""
    making = {**settings, "instance_id": 1, "grace_ms": 5_000}
    directory = tempfile.mkdtemp(prefix="glidecache-bench-", dir=SHARED_MEMORY)
    try:
        in_child(lambda: fill(PoolStore.create(directory, "pool", 1, **making), options.entries))
        for name, sealed in (("stopped", True), ("killed", False)):
            show(
                f"pool alone, {name}: {options.entries} entries",
                [take_over(directory, making, options.entries, sealed=sealed) for _ in range(options.rounds)],
            )
        verified = [verify(directory, making, options.entries) for _ in range(options.rounds)]
        show(f"pool alone, verified from outside: {options.entries} entries", verified)
    finally:
        shutil.rmtree(directory)


def the_whole_daemon(settings: dict[str, Any], options: argparse.Namespace) -> None:
    """Start a daemon, with an empty pool and with a full one, until it answers."""
    tables = {
        "daemon": {"log_level": "info", "max_total_cache_kb": settings["max_cache_kb"]},
        "upstreams": {"default": {"addresses": [NOWHERE]}},
        "caches": {"warm": settings},
    }
    with tempfile.TemporaryDirectory() as directory:
        daemon = Daemon(Path(directory), tables)
        try:
            daemon.start()
            empty = [start(daemon, daemon.stop) for _ in range(options.rounds)]
            show("whole daemon, stopped: an empty pool", empty)
            daemon.stop()
            in_child(lambda: fill(predecessor(daemon.pool_dir, settings), options.entries))
            daemon.start()
            for name, end in (("stopped", daemon.stop), ("killed", daemon.kill)):
                full = [start(daemon, end) for _ in range(options.rounds)]
                show(f"whole daemon, {name}: {options.entries} entries", full)
                print(
                    f"  more than with an empty pool: {statistics.median(full) - statistics.median(empty):.0f} ms"
                )
                read(daemon, options.entries)
        finally:
            daemon.discard()


def show(title: str, times_ms: list[float]) -> None:
    """Print one line of the result."""
    print(
        f"{title} in {statistics.median(times_ms):.0f} ms ({min(times_ms):.0f}–{max(times_ms):.0f})",
        flush=True,
    )


def start(daemon: Daemon, end: Callable[[], object]) -> float:
    """End the daemon in that way, and start it again; milliseconds from its start to its first answer."""
    end()
    start_ns = time.perf_counter_ns()
    daemon.start()
    return (time.perf_counter_ns() - start_ns) / 1e6


def predecessor(directory: Path, settings: dict[str, Any]) -> PoolStore:
    """Return the daemon's only pool, as the previous daemon would have it."""
    (pool,) = directory.glob("*.pool")
    file_id, generation = pool.stem.split(".")
    return PoolStore.take_over(
        str(directory), file_id, int(generation), **settings, instance_id=1, grace_ms=5_000
    )


def read(daemon: Daemon, entries: int) -> None:
    """Read through a client, which has nothing but the pool to read from."""
    from glidecache import ClientSideCache, GlideClientConfiguration
    from glidecache.sync import GlideClient

    configuration = GlideClientConfiguration(
        upstream="default",
        runtime_dir=str(daemon.runtime_dir),
        lazy_connect=True,
        client_side_cache=ClientSideCache.named("warm"),
    )
    with GlideClient.create(configuration) as client:
        for number in random.Random(1).sample(range(entries), min(READS, entries)):
            assert client.get(b"%08d" % number) == VALUE
    print(f"  {min(READS, entries)} entries at random: all hits, with no upstream")


def in_child(work: Any) -> None:
    """Run `work` in a process of its own that ends as a killed daemon does."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os.kill(os.getpid(), signal.SIGKILL)
        except BaseException:  # noqa: BLE001 - the process ends here, whatever it was
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the child failed"


def fill(store: PoolStore, entries: int) -> None:
    """Fill the pool, and seal it as a daemon does that is stopped."""
    for number in range(entries):
        store.insert(b"%08d" % number, STRING, VALUE)
    assert store.metrics().entry_count == entries
    assert store.seal()


def take_over(directory: str, settings: dict[str, Any], entries: int, *, sealed: bool) -> float:
    """Take the pool over from a daemon that was stopped or killed; milliseconds."""

    def before() -> None:
        store = PoolStore.take_over(directory, "pool", 1, **settings)
        if sealed:
            assert store.seal()

    in_child(before)
    start_ns = time.perf_counter_ns()
    store = PoolStore.take_over(directory, "pool", 1, **settings)
    elapsed_ms = (time.perf_counter_ns() - start_ns) / 1e6
    assert store.recovery is not None
    assert store.recovery.clean == sealed
    assert store.metrics().entry_count == entries
    store.close()
    return elapsed_ms


def verify(directory: str, settings: dict[str, Any], entries: int) -> float:
    """Check every entry from outside, as `doctor` does, while the pool has a store; milliseconds."""
    store = PoolStore.take_over(directory, "pool", 1, **settings)
    start_ns = time.perf_counter_ns()
    found = verify_entries(PoolReader(store.pool_path, store.board_path))
    elapsed_ms = (time.perf_counter_ns() - start_ns) / 1e6
    assert (found.sound, found.damaged, found.unsettled) == (entries, 0, 0)
    assert store.seal()
    store.close()
    return elapsed_ms


if __name__ == "__main__":
    main()
