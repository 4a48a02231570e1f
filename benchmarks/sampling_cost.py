"""The cost of sampling for advice: a hit's time, and the daemon's: `make bench-sampling`.

Two daemons, one with advice and one without, each with a cache of the same keys. Workers read random keys, in slices
that change between the two, so that whatever else the machine does meets both. Of each slice: processor time of the
workers per hit, and processor time of the daemon. The figures are medians over the slices.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SLICE_S = 2.0
KEYS_AT_ONCE = 10_000
WARM_SLICES = 4
"""Of each daemon, before anything is measured: the sample finds its threshold."""
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and print, or be a worker."""
    options = argparse.ArgumentParser(prog="make bench-sampling", description=__doc__)
    options.add_argument("--keys", type=int, default=1_000_000)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--slices", type=int, default=20, help="of each daemon")
    options.add_argument("--json", type=Path, default=Path("build/bench-sampling.json"))
    options.add_argument("--worker", nargs=4, metavar=("ON", "OFF", "KEYS", "SEED"))
    given = options.parse_args()
    if given.worker:
        work(given.worker[:2], int(given.worker[2]), int(given.worker[3]))
        return 0
    found = measured(given.keys, given.workers, given.slices)
    print(f"{given.keys:,} keys, {given.workers} workers, {given.slices} slices of {SLICE_S:.0f} s each")
    print(f"{'':24} {'advice on':>12} {'off':>12} {'ratio':>8}")
    for name, pair in found["pairs"].items():
        print(f"{name:24} {pair[0]:12,.3f} {pair[1]:12,.3f} {pair[0] / pair[1] if pair[1] else 0:8.3f}")
    print(
        f"the hit's ratio by pairs of slices: median {found['ratio']:.4f}, "
        f"quarter to three quarters {found['quarters'][0]:.3f} to {found['quarters'][1]:.3f}"
    )
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def measured(keys: int, workers: int, slices: int) -> dict[str, Any]:
    """Run servers, daemons and workers; return the figures."""
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

    with tempfile.TemporaryDirectory(prefix="glidecached-sampling-") as directory:
        place = Path(directory)
        server = ValkeyServer(place / "valkey")
        server.start()
        daemons = [
            Daemon(
                place / name,
                {
                    "daemon": {"log_level": "warning", "max_total_cache_kb": keys},
                    "upstreams": {"default": {"addresses": [f"127.0.0.1:{server.port}"]}},
                    "advice": {"enabled": name == "on"},
                },
            )
            for name in ("on", "off")
        ]
        started: list[subprocess.Popen[str]] = []
        try:
            for daemon in daemons:
                daemon.start()
            for first in range(0, keys, KEYS_AT_ONCE):
                server.admin.mset(
                    {f"key:{number}": "v" * 64 for number in range(first, first + KEYS_AT_ONCE)}
                )
            places = [str(daemon.runtime_dir) for daemon in daemons]
            started += [
                subprocess.Popen(
                    [sys.executable, "-P", __file__, "--worker", *places, str(keys), str(seed)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for seed in range(workers)
            ]
            for worker in started:
                answer(worker)
            return figures(daemons, started, slices)
        finally:
            for worker in started:
                worker.terminate()
                worker.wait()
            for daemon in daemons:
                daemon.discard()
            server.stop()


def figures(daemons: list[Any], workers: list[subprocess.Popen[str]], slices: int) -> dict[str, Any]:
    """Measure slices of both daemons in turn."""
    hit_us: list[list[float]] = [[], []]
    rates: list[list[float]] = [[], []]
    shares: list[list[float]] = [[], []]
    for number in range(2 * (WARM_SLICES + slices)):
        which = (number + number // 2) % 2  # on, off, off, on, ...
        before, began = cpu_s(daemons[which].process.pid), time.monotonic()
        for worker in workers:
            tell(worker, which)
        told = [answer(worker) for worker in workers]
        took = time.monotonic() - began
        used = cpu_s(daemons[which].process.pid) - before
        hits = sum(each["hits"] for each in told)
        if number < 2 * WARM_SLICES:
            continue
        hit_us[which].append(sum(each["cpu_s"] for each in told) / hits * 1e6)
        rates[which].append(hits / took / 1e6)
        shares[which].append(used / took * 100)
    ratios = sorted(on / off for on, off in zip(*hit_us, strict=True))
    return {
        "pairs": {
            "a hit, us": [statistics.median(each) for each in hit_us],
            "hits/s, millions": [statistics.median(each) for each in rates],
            "daemon, % of a core": [statistics.mean(each) for each in shares],
        },
        "ratio": statistics.median(ratios),
        "quarters": [ratios[len(ratios) // 4], ratios[len(ratios) * 3 // 4]],
        "hit_us": hit_us,
    }


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def tell(worker: subprocess.Popen[str], which: int) -> None:
    """Have a worker read from one daemon's cache for a slice."""
    assert worker.stdin is not None
    worker.stdin.write(f"{which}\n")
    worker.stdin.flush()


def answer(worker: subprocess.Popen[str]) -> Any:
    """Return what a worker says next."""
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        sys.exit("a worker has ended")
    return json.loads(line)


def work(places: list[str], keys: int, seed: int) -> None:
    """Fill both caches, then read from one for a slice, whenever told to."""
    from glidecache import ClientSideCache, GlideClientConfiguration
    from glidecache.sync import GlideClient

    names = [f"key:{number}" for number in range(keys)]
    clients = []
    for place in places:
        cache = ClientSideCache.create(keys // 4 * 3, 0, enable_metrics=True, name="cost")
        client = GlideClient.create(
            GlideClientConfiguration(
                client_side_cache=cache, upstream="default", runtime_dir=place, request_timeout=60_000
            )
        )
        for first in range(0, keys, KEYS_AT_ONCE):
            client.get_many(names[first : first + KEYS_AT_ONCE])
        clients.append(client)
    chance = random.Random(seed)
    say({})
    for line in sys.stdin:
        get = clients[int(line)].get
        hits, used = 0, 0.0
        until = time.monotonic() + SLICE_S
        while time.monotonic() < until:
            chosen = chance.choices(names, k=KEYS_AT_ONCE)
            began = time.process_time()
            for name in chosen:
                get(name)
            used += time.process_time() - began
            hits += KEYS_AT_ONCE
        say({"hits": hits, "cpu_s": used})


def say(told: dict[str, Any]) -> None:
    """Write an answer."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
