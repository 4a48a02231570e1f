"""Four worker processes on one pool: the walk-through of GLIDE's page, then a read load with live numbers.

Starts a daemon with an embedded Valkey in a private directory, and ends by itself; nothing is left behind.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glidecache import ClientSideCache, DaemonUnavailableError, EvictionPolicy, GlideClientConfiguration
from glidecache.sync import GlideClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import SpawnProcess
    from multiprocessing.synchronize import Event

WORKERS = 4
KEYS = 20_000
VALUE_BYTES = 100
ZIPF_EXPONENT = 0.99
POOL_KB = 3072
"""Room for most of the keys, not for all: the least recently used ones have to leave."""

START_TIMEOUT_S = 20
KEYS_PER_ROUND = 50_000


def main() -> int:
    """Run the demonstration. Return the exit status."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=8.0, help="how long the read load lasts (8)")
    seconds = options.parse_args().seconds
    with (
        tempfile.TemporaryDirectory(prefix="glidecached-demo-") as directory,
        daemon(Path(directory)) as runtime_dir,
    ):
        walk_through(runtime_dir)
        read_load(runtime_dir, seconds)
    return 0


@contextmanager
def daemon(directory: Path) -> Iterator[str]:
    """Run a daemon with an embedded Valkey; yield its runtime directory."""
    runtime_dir = str(directory / "run")
    log_path = directory / "glidecached.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "glidecached", "--embedded", "--runtime-dir", runtime_dir],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(runtime_dir, process, log_path)
        yield runtime_dir
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(runtime_dir: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    """Return when the daemon takes clients; ends the program when it does not come up."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connect(runtime_dir).close()
        except DaemonUnavailableError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"the daemon did not start:\n{log_path.read_text()}")


def connect(runtime_dir: str, cache: ClientSideCache | None = None) -> GlideClient:
    """Open a blocking client; without addresses it uses the daemon's upstream `default`, here the embedded server."""
    return GlideClient.create(
        GlideClientConfiguration(runtime_dir=runtime_dir, client_side_cache=cache, request_timeout=5_000)
    )


def walk_through(runtime_dir: str) -> None:
    """Run the six steps of GLIDE's page, and show what is seen at each."""
    cache = ClientSideCache.create(max_cache_kb=1024, entry_ttl_ms=60_000, enable_metrics=True)
    client = connect(runtime_dir, cache)
    print("The page's walk-through")
    print(
        f"  {'':1}  {'operation':16} {'answer':10} {'entries':>7} {'lookups':>7} {'hit rate':>8} {'miss rate':>9}"
    )
    steps = (
        ("SET k v1", lambda: client.set("k", "v1"), "server only; cache unchanged"),
        ("GET k", lambda: client.get("k"), "miss: asked the server, stored"),
        ("GET k", lambda: client.get("k"), "hit: from shared memory"),
        ("GET nonexistent", lambda: client.get("nonexistent"), "miss: nil is not stored"),
        ("SET k v2", lambda: client.set("k", "v2"), "server only; the cache still has v1"),
        ("GET k", lambda: client.get("k"), "hit: v1 until its TTL ends"),
    )
    for number, (operation, call, seen) in enumerate(steps, 1):
        answer = call()
        shown = answer.decode() if isinstance(answer, bytes) else str(answer)
        print(
            f"  {number}  {operation:16} {shown:10} {client.get_cache_entry_count():7}"
            f" {client.get_cache_total_lookups():7} {client.get_cache_hit_rate():8.2f}"
            f" {client.get_cache_miss_rate():9.2f}   {seen}"
        )
    client.close()


class Sample(NamedTuple):
    """The counters at one moment."""

    at_s: float
    lookups: int
    hits: int
    entries: int
    evictions: int
    upstream_requests: int


def sample(client: GlideClient) -> Sample:
    """Read the pool's metrics, and the server's own count of the reads that reached it."""
    lookups = client.get_cache_total_lookups()
    stats = client.custom_command(["INFO", "commandstats"])
    calls = re.search(rb"cmdstat_get:calls=(\d+)", stats if isinstance(stats, bytes) else str(stats).encode())
    return Sample(
        at_s=time.monotonic(),
        lookups=lookups,
        hits=round(lookups * client.get_cache_hit_rate()),
        entries=client.get_cache_entry_count(),
        evictions=client.get_cache_evictions(),
        upstream_requests=int(calls[1]) if calls else 0,
    )


def read_load(runtime_dir: str, seconds: float) -> None:
    """Let the workers read, and print what all of them do together, once a second."""
    cache = ClientSideCache.create(
        max_cache_kb=POOL_KB, entry_ttl_ms=60_000, eviction_policy=EvictionPolicy.LRU, enable_metrics=True
    )
    client = connect(runtime_dir, cache)
    for first in range(0, KEYS, 1000):
        client.mset({key_of(number): "x" * VALUE_BYTES for number in range(first, first + 1000)})
    print(
        f"\n{WORKERS} worker processes read {KEYS:,} keys, Zipf({ZIPF_EXPONENT}),"
        f" through one pool of {POOL_KB:,} KB, for {seconds:g} s"
    )
    print(f"  {'hits/s':>11} {'hit rate':>9} {'entries':>8} {'evictions':>10} {'upstream requests/s':>20}")
    with workers(runtime_dir, cache):
        start = before = sample(client)
        while before.at_s < start.at_s + seconds:
            time.sleep(min(1.0, max(0.05, start.at_s + seconds - before.at_s)))
            now = sample(client)
            show(before, now)
            before = now
    print("  over all:")
    show(start, before)
    client.close()


def show(before: Sample, now: Sample) -> None:
    """Print one line of what happened between two samples."""
    seconds = now.at_s - before.at_s
    lookups = now.lookups - before.lookups
    hits = now.hits - before.hits
    print(
        f"  {hits / seconds:11,.0f} {hits / lookups if lookups else 0:9.2%} {now.entries:8,} {now.evictions:10,}"
        f" {(now.upstream_requests - before.upstream_requests) / seconds:20,.0f}",
        flush=True,
    )


@contextmanager
def workers(runtime_dir: str, cache: ClientSideCache) -> Iterator[None]:
    """Run fresh interpreters that read until the block ends. The cache object reaches them by pickle."""
    context = multiprocessing.get_context("spawn")
    stop, ready = context.Event(), [context.Event() for _ in range(WORKERS)]
    processes: list[SpawnProcess] = [
        context.Process(target=work, args=(runtime_dir, cache, number, is_ready, stop), daemon=True)
        for number, is_ready in enumerate(ready)
    ]
    for process in processes:
        process.start()
    try:
        for is_ready in ready:
            if not is_ready.wait(START_TIMEOUT_S):
                sys.exit("a worker did not start")
        yield
    finally:
        stop.set()
        for process in processes:
            process.join(10)
            if process.is_alive():
                process.kill()


def work(runtime_dir: str, cache: ClientSideCache, seed: int, ready: Event, stop: Event) -> None:
    """Run one worker: read keys in a Zipf distribution until told to stop."""
    client = connect(runtime_dir, cache)
    numbers = random.Random(seed)
    weights = list(accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, KEYS + 1)))
    keys = [key_of(number) for number in numbers.choices(range(KEYS), cum_weights=weights, k=KEYS_PER_ROUND)]
    get = client.get
    ready.set()
    while not stop.is_set():
        first = numbers.randrange(KEYS_PER_ROUND)
        for key in keys[first : first + 1000]:
            get(key)
    client.close()


def key_of(number: int) -> str:
    """Return the key of the entry with this rank."""
    return f"key:{number:05}"


if __name__ == "__main__":
    sys.exit(main())
