"""The cost of a hit through the fronts, beside their libraries' own: `make bench-fronts`.

Each row is processor time of the calling process for one call, in microseconds: the least of several rounds, the
library and its front by turns, with a server, a daemon and a value of 100 bytes. Compare within a run. Then the same of
frameworks above the libraries, beside the memory of the process itself, and uvicorn's requests a second (`serving.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import serving
from framework_hits import KEY, VALUE, framework_rows

from glidecache import ClientSideCache
from support.daemon import Daemon
from support.front_clients import FRONT_KINDS, FrontKind
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET = {"daemon": {"log_level": "warning"}}
READS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "get": ("get", ("product:1",)),
    "hgetall, 10 fields": ("hgetall", ("hash",)),
    "smembers, 10 members": ("smembers", ("set",)),
    "mget, 10 keys": ("mget", ([f"product:{number}" for number in range(10)],)),
}


PARTS = ("calls", "frameworks", "uvicorn")


def main() -> None:
    """Measure, print tables, and write them as JSON."""
    options = argparse.ArgumentParser(prog="make bench-fronts", description=__doc__)
    options.add_argument(
        "--rounds", type=int, default=7, help="the least of so many counts (default: %(default)s)"
    )
    options.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        help="of each uvicorn turn (default: %(default)s)",
    )
    options.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    options.add_argument(
        "--json", type=Path, default=Path("build/bench-fronts.json"), help="the file of the figures"
    )
    given = options.parse_args()
    parts = given.only.split(",")
    if not set(parts) <= set(PARTS):
        options.error(f"--only is {given.only}; it must be some of {','.join(PARTS)}")
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server, daemon = ValkeyServer(directory / "valkey"), Daemon(directory / "daemon", QUIET)
        server.start()
        daemon.start()
        try:
            if "calls" in parts:
                found["calls"] = measured(server, daemon, given.rounds)
                show(found["calls"])
            if "frameworks" in parts:
                found["frameworks"] = framework_rows(server, daemon, given.rounds)
                found["frameworks"].append(measured_awaited(server, daemon, given.rounds))
                show(found["frameworks"])
            if "uvicorn" in parts:
                found["uvicorn"] = serving.measured(directory, server, daemon, given.rounds, given.seconds)
                serving.show(found["uvicorn"])
        finally:
            daemon.stop()
            server.stop()
            daemon.discard()
    given.json.parent.mkdir(exist_ok=True)
    given.json.write_text(json.dumps(found, indent=1))


def show(rows: list[dict[str, Any]]) -> None:
    """Print rows of calls."""
    print(
        "server: each call asks the server; shared: a hit in the shared cache; local: a hit in the process's memory"
    )
    print("times: server by shared, or local by shared where there is no server")
    print(f"{'µs of processor time':<46}{'server':>10}{'shared':>10}{'times':>8}{'local':>8}")
    for row in rows:
        name = f"{row['library']} {row['call']}"
        server, local = (
            f"{row[column]:.2f}" if column in row else "-" for column in ("library_us", "local_us")
        )
        print(f"{name:<46}{server:>10}{row['front_us']:>10.2f}{row['times']:>8.1f}{local:>8}")


def measured(server: ValkeyServer, daemon: Daemon, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each library and call."""
    server.admin.mset({f"product:{number}": "x" * 100 for number in range(10)})
    server.admin.hset("hash", mapping={f"field-{number}": "value" for number in range(10)})
    server.admin.sadd("set", *range(10))
    cache = ClientSideCache.create(65_536, 600_000, name="bench")
    rows = []
    for kind in FRONT_KINDS:
        for decoded in (False, True):
            arguments = {"host": HOST, "port": server.port, "decode_responses": decoded}
            front_arguments = {**arguments, "shared_cache": cache, "runtime_dir": str(daemon.runtime_dir)}
            for call, (name, parameters) in READS.items():
                if decoded and name != "get":
                    continue
                best = least(kind, name, parameters, [(False, arguments), (True, front_arguments)], rounds)
                label = f"{call}{', text' if decoded else ''}"
                rows.append(
                    {
                        "library": str(kind),
                        "call": label,
                        "library_us": best[0],
                        "front_us": best[1],
                        "times": best[0] / best[1],
                    }
                )
        hits = server.calls("get")
        assert hits < rounds * 2_000 * 9, "the fronts' reads are hits"
    return rows


def measured_awaited(server: ValkeyServer, daemon: Daemon, rounds: int) -> dict[str, Any]:
    """Return a row for `await cache.aget`: Django's local-memory backend, and the shared cache."""
    from django.core.cache.backends.locmem import LocMemCache

    from glidecache.django import SharedCache

    options = {"cache": "bench-django", "runtime_dir": str(daemon.runtime_dir)}
    shared = SharedCache(f"valkey://{HOST}:{server.port}/0", {"OPTIONS": options})
    made = (LocMemCache("bench", {}), shared)
    for cache in made:
        cache.set(KEY, VALUE, None)
        assert cache.get(KEY) == cache.get(KEY)
    local_us = shared_us = float("inf")

    async def time_awaited(cache: Any) -> float:
        began = time.process_time()
        for _ in range(5_000):
            await cache.aget(KEY)
        return (time.process_time() - began) / 5_000 * 1e6

    before = server.calls("get")
    for _ in range(rounds):
        local_us = min(local_us, asyncio.run(time_awaited(made[0])))
        shared_us = min(shared_us, asyncio.run(time_awaited(made[1])))
    assert server.calls("get") - before < rounds, "the shared cache's reads are hits"
    return {
        "library": "Django's locmem, SharedCache",
        "call": "await cache.aget",
        "local_us": local_us,
        "front_us": shared_us,
        "times": local_us / shared_us,
    }


def least(
    kind: FrontKind,
    name: str,
    parameters: tuple[Any, ...],
    clients: list[tuple[bool, dict[str, Any]]],
    rounds: int,
) -> list[float]:
    """Return the least time of a call for each of the clients."""
    if kind.is_async:
        return asyncio.run(_least_awaited(kind, name, parameters, clients, rounds))
    made = [kind.client_class(front=front)(**arguments) for front, arguments in clients]
    calls = [getattr(client, name) for client in made]
    for call in calls:
        call(*parameters)
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for index, call in enumerate(calls):
            best[index] = min(best[index], _timed(call, parameters, 20_000 if index else 1_000))
    for client in made:
        client.close()
    return best


def _timed(call: Callable[..., Any], parameters: tuple[Any, ...], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        call(*parameters)
    return (time.process_time() - began) / count * 1e6


async def _least_awaited(
    kind: FrontKind,
    name: str,
    parameters: tuple[Any, ...],
    clients: list[tuple[bool, dict[str, Any]]],
    rounds: int,
) -> list[float]:
    made = [kind.client_class(front=front)(**arguments) for front, arguments in clients]
    calls = [getattr(client, name) for client in made]
    for call in calls:
        await call(*parameters)
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for index, call in enumerate(calls):
            count = 20_000 if index else 1_000
            began = time.process_time()
            for _ in range(count):
                await call(*parameters)
            best[index] = min(best[index], (time.process_time() - began) / count * 1e6)
    for client in made:
        await client.aclose()
    return best


if __name__ == "__main__":
    main()
