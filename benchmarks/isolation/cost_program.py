"""Measure one tree: `TREE/.venv/bin/python cost_program.py PORT`. Prints microseconds as JSON.

It uses what every version has: the two programs' names, and the clients' public methods.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import glidecache
import glidecache.sync

HITS = 200_000
MISSES = 4_000
EXISTS = 1_500
PROCESSES = 8
REPEATS = 3


def client_of(directory: str, port: int, *, cached: bool = False) -> Any:
    """Return a blocking client, with a cache or without one."""
    cache = glidecache.ClientSideCache.create(4096, 0) if cached else None
    return glidecache.sync.GlideClient.create(
        glidecache.GlideClientConfiguration(
            [glidecache.NodeAddress("127.0.0.1", port)],
            runtime_dir=directory,
            request_timeout=10_000,
            client_side_cache=cache,
            fallback="error",
        )
    )


def hit(directory: str, port: int) -> float:
    """Return the microseconds of one hit."""
    client = client_of(directory, port, cached=True)
    client.set("hit", "x" * 100)
    get = client.get
    get("hit")
    numbers = range(HITS)
    began = time.perf_counter()
    for _ in numbers:
        get("hit")
    taken = time.perf_counter() - began
    client.close()
    return taken / HITS * 1e6


def miss(directory: str, port: int) -> float:
    """Return the microseconds of one read of a missing key, which the client asks the server for each time."""
    client = client_of(directory, port, cached=True)
    get = client.get
    keys = [f"none{number}" for number in range(MISSES)]
    get("none")
    began = time.perf_counter()
    for key in keys:
        get(key)
    taken = time.perf_counter() - began
    client.close()
    return taken / MISSES * 1e6


def _exists(directory: str, port: int, begin: Any, times: Any) -> None:
    client = client_of(directory, port)
    client.exists(["hit"])
    begin.wait()
    began = time.perf_counter()
    for _ in range(EXISTS):
        client.exists(["hit"])
    times.put(time.perf_counter() - began)
    client.close()


def exists(directory: str, port: int) -> float:
    """Return the microseconds of one EXISTS when eight processes issue them at once."""
    context = multiprocessing.get_context("fork")
    begin, times = context.Barrier(PROCESSES), context.Queue()
    workers = [
        context.Process(target=_exists, args=(directory, port, begin, times)) for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    taken: list[float] = [times.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    return sum(taken) / len(taken) / EXISTS * 1e6


def main() -> None:
    """Start the tree's daemon, and measure: the best of a few, since noise only adds."""
    port = int(sys.argv[1])
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory(prefix="glidecached-cost-") as directory:
        daemon = subprocess.Popen(
            [programs / "glidecached", "--runtime-dir", directory],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": directory},
        )
        try:
            ping = [str(programs / "glidecache"), "ping", "--runtime-dir", directory]
            limit = time.monotonic() + 30
            while subprocess.run(ping, capture_output=True, check=False).returncode:
                if time.monotonic() > limit:
                    sys.exit("the daemon does not answer")
            found = {
                name: min(function(directory, port) for _ in range(REPEATS))
                for name, function in (("hit", hit), ("miss", miss), ("exists", exists))
            }
        finally:
            daemon.terminate()
            daemon.wait(20)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
