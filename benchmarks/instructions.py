"""Count the instructions of a hit, a miss and an EXISTS: `make bench-instructions`. They hardly depend on the load.

callgrind counts only while a client that is warm issues its requests, one at a time. A client's figure is counted
with a usual daemon, a daemon's with a usual client. The kernel's work is not counted. The client collects no garbage
meanwhile: a collection would fall into some counts and not into others. `--before DIRECTORY` counts another tree beside
this one, with the interpreter, the daemon and the client of its `.venv`. The daemon's timers run meanwhile, so a
machine that has other work adds some per cent to the daemon's figures: the least of several runs is right.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WARM, REQUESTS = 300, 1_000
KEYS_AT_ONCE = 100
CALLS_AT_ONCE = 64
AWAITED = "an awaited GET hit"
IN_A_LOOP = "a GET miss of 64 at once in an event loop"
START_S = 60.0
LANE_WARM_S = 2.5
TRACED = " with OpenTelemetry on"
"""The end of the rows whose client has traces and metrics on, with OpenTelemetry's SDK and no exporter."""
WITH_METRICS = " with metrics"
"""The end of the rows whose cache has metrics, and so a sample for advice; all of the few keys here are in it."""
WITH_SERVER_TTL = " with server_ttl"
"""The end of the rows whose cache asks what the server's keys have left."""
IN_A_CLUSTER = "a cluster's"
"""The rows whose servers are a cluster of three primaries; the others have one server."""
BUDGET = Path(__file__).with_name("instruction-budget.json")
MOST_EXCESS = {"client": 0.03, "daemon": 0.1}
"""The daemon's timers run meanwhile, and more often the slower the machine is."""
MORE_COUNTS = 3
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}


def main() -> int:
    """Count and print, or be the client that is counted."""
    options = argparse.ArgumentParser(prog="make bench-instructions", description=__doc__)
    options.add_argument("--before", type=Path, help="another tree, with its own .venv")
    options.add_argument("--only", default="", help="the rows whose name has this text")
    options.add_argument("--json", type=Path, default=Path("build/bench-instructions.json"))
    options.add_argument("--keep", action="store_true", help="make this run the budget")
    options.add_argument(
        "--profiles", type=Path, help="a directory for callgrind's files (callgrind_annotate)"
    )
    options.add_argument("--client", nargs=4, metavar=("WAY", "DIRECTORY", "PORT", "SHIFT"))
    given = options.parse_args()
    if given.client:
        way, directory, port, shift = given.client
        take_type_numbers(int(shift))
        issue(way, directory, int(port))
        return 0
    if shutil.which("valgrind") is None:
        options.error("valgrind is not installed (Debian: valgrind)")
    trees = {"now": Path(__file__).resolve().parents[1]}
    if given.before is not None:
        trees["before"] = given.before.resolve()
    found = {name: counted(tree, given.only, given.profiles) for name, tree in trees.items()}
    budget = json.loads(BUDGET.read_text())
    if budget["python"] == sys.version and not given.keep:
        count_again(trees["now"], found["now"], budget["rows"])
    print(f"{'':44} {'now':>12} {'budget':>12}")
    for row, now in found["now"].items():
        print(f"{row:44} {now:12,.0f} {compared(now, budget['rows'].get(row))}", end="")
        before = found.get("before", {}).get(row)
        print("" if before is None else f"   before {compared(now, before)}")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(found, indent=2) + "\n")
    if given.keep:
        rows = {row: round(now) for row, now in found["now"].items()}
        budget = {"python": sys.version, "rows": budget["rows"] | rows}
        BUDGET.write_text(json.dumps(budget, indent=2) + "\n")
    if budget["python"] != sys.version:
        print("not judged: the budget belongs to another build of the interpreter")
        return 0
    exceeding = excesses(found["now"], budget["rows"])
    print(*exceeding, sep="\n", end="\n" if exceeding else "")
    return 1 if exceeding else 0


def count_again(tree: Path, counts: dict[str, float], budget: dict[str, float]) -> None:
    """Count rows over their budget again, and keep the least: other work on the machine only ever adds.

    So does a collision in the interpreter's cache of attributes: one tree has it with every count, another never.
    """
    for shift in range(1, MORE_COUNTS + 1):
        for row, count in list(counts.items()):
            if excesses({row: count}, budget):
                counts[row] = min(count, counted(tree, row, shift=shift)[row])


def compared(now: float, other: float | None) -> str:
    """Return the other count, and how far this one is from it."""
    return f"{'':21}" if other is None else f"{other:12,.0f} {100 * (now / other - 1):+6.1f} %"


def excesses(counts: dict[str, float], budget: dict[str, float]) -> list[str]:
    """Return a line for each row that exceeds its budget, or has none."""
    found = []
    for row, count in counts.items():
        most = MOST_EXCESS[row.rpartition(", ")[2]]
        if row not in budget:
            found.append(f"{row}: no budget; `--keep` makes this run the budget")
        elif count > budget[row] * (1 + most):
            found.append(f"{row}: over its budget of {budget[row]:,} by more than {most:.0%}")
    return found


def counted(tree: Path, only: str, profiles: Path | None = None, shift: int = 0) -> dict[str, float]:
    """Return the instructions of each kind of request whose row's name has the text `only`, by that name.

    Clients make `shift` types before, so that the collisions in the interpreter's cache are others.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="glidecached-instructions-") as place, servers(place) as ports:
        for way, (keys, reaches_daemon) in WAYS.items():
            for program in ("client", "daemon") if reaches_daemon else ("client",):
                row = f"{way}, {program}"
                if only in row:
                    port = ports[way.startswith(IN_A_CLUSTER)]
                    counts = _run(tree, Path(place), port, way, program, shift)
                    found[row] = _total(counts) / REQUESTS / keys
                    if profiles is not None:
                        profiles.mkdir(parents=True, exist_ok=True)
                        shutil.copy(counts, profiles / row.replace(" ", "-").replace(",", ""))
    return found


@contextlib.contextmanager
def servers(place: str) -> Iterator[tuple[int, int]]:
    """Run an embedded Valkey and a cluster within the context; give the port of the first, and one of the cluster's."""
    from support.cluster import Cluster
    from support.valkey_server import ValkeyServer

    valkey = ValkeyServer(Path(place) / "valkey")
    cluster = Cluster(Path(place) / "cluster")
    with contextlib.ExitStack() as ends:
        ends.callback(valkey.stop)
        valkey.start()
        ends.callback(cluster.stop)
        cluster.start()
        yield valkey.port, cluster.port


def _run(tree: Path, place: Path, port: int, way: str, program: str, shift: int) -> Path:
    """Return callgrind's file for all requests, of the client or of the daemon."""
    directory = Path(tempfile.mkdtemp(dir=place))
    counts = directory / "counts"
    callgrind = [
        "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={counts}",
    ]  # fmt: skip
    python = tree / ".venv/bin/python"
    daemon_command = [python, tree / ".venv/bin/glidecached", "--runtime-dir", directory]
    client_command = [python, "-P", __file__, "--client", way, directory, str(port), str(shift)]
    with (directory / "log").open("w") as log, contextlib.ExitStack() as ends:
        daemon = subprocess.Popen(
            [*callgrind, *daemon_command] if program == "daemon" else daemon_command,
            stdout=log,
            stderr=log,
            env={**_ENVIRONMENT, "HOME": str(directory)},
        )
        ends.callback(_end, daemon)
        limit = time.monotonic() + START_S
        while not (directory / "glidecached.sock").exists():
            if daemon.poll() is not None or time.monotonic() > limit:
                sys.exit(f"the daemon does not start: {(directory / 'log').read_text()}")
            time.sleep(0.05)
        client = subprocess.Popen(
            [*callgrind, *client_command] if program == "client" else client_command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_ENVIRONMENT,
            text=True,
        )
        ends.callback(_end, client)
        assert client.stdin is not None
        assert client.stdout is not None
        if client.stdout.readline() != "warm\n":
            sys.exit(f"the client does not start: {(directory / 'log').read_text()}")
        while len(list(Path(f"/proc/{daemon.pid}/task").iterdir())) > 1 and time.monotonic() < limit:
            time.sleep(0.05)  # the threads that made the connections end after some idle seconds
        counted = client if program == "client" else daemon
        _control("--instr=on", counted.pid)
        client.stdin.write("go\n")
        client.stdin.flush()
        client.stdout.readline()
        _control("--dump", counted.pid)
        client.stdin.close()
        client.wait(60)
        client.stdout.close()
    return Path(f"{counts}.1")


def _total(counts: Path) -> int:
    total = re.search(r"^(?:totals|summary): (\d+)", counts.read_text(), re.MULTILINE)
    assert total is not None
    return int(total[1])


def _control(command: str, pid: int) -> None:
    """Have a process begin to count, or write what it has counted."""
    subprocess.run(["callgrind_control", command, str(pid)], check=True, capture_output=True, timeout=60)


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(60)


def take_type_numbers(count: int) -> None:
    """Make types and look an attribute of each up: the interpreter numbers them, and its cache goes by the numbers."""
    for number in range(count):
        hasattr(type(f"Numbered{number}", (), {}), "__slots__")


def issue(way: str, directory: str, port: int) -> None:
    """Issue requests of one kind, in a tree's own interpreter: some to get warm, and then those that are counted."""
    import glidecache
    import glidecache.sync

    if way.endswith(TRACED):
        way = way.removesuffix(TRACED)
        trace()
    settings = {"server_ttl": way.endswith(WITH_SERVER_TTL), "enable_metrics": way.endswith(WITH_METRICS)}
    way = way.removesuffix(WITH_SERVER_TTL).removesuffix(WITH_METRICS)
    options: dict[str, Any] = {
        "runtime_dir": directory,
        "request_timeout": 100_000,
        "client_side_cache": None
        if way == "EXISTS"
        else glidecache.ClientSideCache.create(65_536, 0, **settings),
        "fallback": "error",
    }
    addresses = [glidecache.NodeAddress("127.0.0.1", port)]
    client: glidecache.sync.GlideClient | glidecache.sync.GlideClusterClient
    if way.startswith(IN_A_CLUSTER):
        client = glidecache.sync.GlideClusterClient.create(
            glidecache.GlideClusterClientConfiguration(addresses, **options)
        )
    else:
        client = glidecache.sync.GlideClient.create(glidecache.GlideClientConfiguration(addresses, **options))
    keys = [f"key{number}" for number in range(KEYS_AT_ONCE)]
    client.mset(dict.fromkeys(keys, "x" * 100))
    if way.endswith("an existing key"):
        client.mset({f"some{number}": "x" * 100 for number in range(WARM + REQUESTS)})
    requests: dict[str, Callable[[int], object]] = {
        "a GET hit": lambda _: client.get("key0"),
        "a GET miss of a missing key": lambda number: client.get(f"none{number}"),
        "a GET miss of an existing key": lambda number: client.get(f"some{number}"),
        "EXISTS": lambda _: client.exists(["key0"]),
        "a SET": lambda _: client.set("key0", "v"),
        "a SET of a cached key": lambda _: client.set("key1", "v"),
        "forget of a key": lambda _: client.forget(["key0"]),
        "a key of get_many, hits": lambda _: client.get_many(keys),
        "a key of get_many, missing": lambda number: client.get_many(
            [f"none{number}.{key}" for key in range(KEYS_AT_ONCE)]
        ),
        "a cluster's GET miss of a missing key": lambda number: client.get(f"none{number}"),
    }
    client.hset("hash", {f"field{number}": f"value-{number:08}" for number in range(20)})
    client.sadd("set", [f"member-{number:08}" for number in range(20)])
    requests["a HGETALL hit of 20 fields"] = lambda _: client.hgetall("hash")
    requests["a SMEMBERS hit of 20 members"] = lambda _: client.smembers("set")
    if way == AWAITED:
        requests[way] = awaited(glidecache.GlideClientConfiguration(addresses, **options))
    if way == IN_A_LOOP:
        requests[way] = in_a_loop(glidecache.GlideClientConfiguration(addresses, **options))
    client.get("key1")  # for the SET of a cached key
    request = requests[way]
    for number in range(WARM):
        request(number)
    # After a second of use a lane makes its second connection: before the count rather than within.
    until = time.monotonic() + LANE_WARM_S
    for number in itertools.count():
        client.exists([keys[number % KEYS_AT_ONCE]])
        if time.monotonic() > until:
            break
    gc.collect()
    gc.disable()
    sys.stdout.write("warm\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for number in range(WARM, WARM + REQUESTS):
        request(number)
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.readline()


def trace() -> None:
    """Switch OpenTelemetry on."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    from glidecache import OpenTelemetry

    OpenTelemetry.init(tracer_provider=TracerProvider(), meter_provider=MeterProvider())


def in_a_loop(configuration: Any) -> Callable[[int], object]:
    """Return a function that misses several keys at once with an asyncio client."""
    import asyncio

    import glidecache

    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(glidecache.GlideClient.create(configuration))

    async def miss(number: int) -> None:
        await asyncio.gather(*[client.get(f"none{number}.{key}") for key in range(CALLS_AT_ONCE)])

    return lambda number: loop.run_until_complete(miss(number))


def awaited(configuration: Any) -> Callable[[int], object]:
    """Return a function that awaits as many hits with an asyncio client as other functions ask for keys at once."""
    import asyncio

    import glidecache

    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(glidecache.GlideClient.create(configuration))
    loop.run_until_complete(client.get("key0"))

    async def hit() -> None:
        for _ in range(KEYS_AT_ONCE):
            await client.get("key0")

    def finish(_number: int) -> None:
        """Run it to its end; it never suspends, so that no loop has a part in it."""
        try:
            hit().send(None)
        except StopIteration:
            return
        sys.exit("it was no hit")

    return finish


WAYS = {
    "a GET hit": (1, False),
    AWAITED: (KEYS_AT_ONCE, False),
    "a HGETALL hit of 20 fields": (1, False),
    "a SMEMBERS hit of 20 members": (1, False),
    "a GET miss of a missing key": (1, True),
    "a GET miss of an existing key": (1, True),
    "EXISTS": (1, True),
    "forget of a key": (1, True),
    "a key of get_many, hits": (KEYS_AT_ONCE, False),
    "a key of get_many, missing": (KEYS_AT_ONCE, True),
    "a cluster's GET miss of a missing key": (1, True),
    # How many of them the daemon reads at once, and so its count, depends on the time: only the client's is counted.
    IN_A_LOOP: (CALLS_AT_ONCE, False),
}
WAYS |= {
    way + TRACED: (WAYS[way][0], False)
    for way in (
        *("a GET hit", AWAITED, "a key of get_many, hits", "a GET miss of a missing key", "EXISTS"),
        IN_A_LOOP,
    )
}
WAYS |= {
    "a GET hit" + WITH_METRICS: (1, False),
    "a GET miss of an existing key" + WITH_METRICS: (1, True),
    "a SET": (1, True),
    "a SET" + WITH_METRICS: (1, True),
    "a SET of a cached key" + WITH_METRICS: (1, True),
}
WAYS |= {
    "a GET miss of an existing key" + WITH_SERVER_TTL: (1, True),
    "a key of get_many, missing" + WITH_SERVER_TTL: (KEYS_AT_ONCE, True),
}
"""Of each kind of request: how many keys it is divided by, and whether it reaches the daemon."""


if __name__ == "__main__":
    sys.exit(main())
