"""What the cache costs a worker: no system call on a hit, its memory once, and a light import."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from support import worker_tasks
from support.caches import new_cache
from support.clients import at
from support.process import child_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

HITS = 100_000
TOLERATED_CALLS = 60
"""Memory management of the interpreter itself; one call per thousand hits would already be more."""

BLOCKING_PROGRAM = """
import sys
from glidecache import ClientSideCache, GlideClientConfiguration, NodeAddress
from glidecache.sync import GlideClient
client = GlideClient.create(GlideClientConfiguration(
    [NodeAddress("127.0.0.1", {port})], runtime_dir={runtime_dir!r},
    client_side_cache=ClientSideCache.create(1024, 0, enable_metrics=True), request_timeout=5000))
client.get("k"), client.hgetall("h"), client.smembers("s")
get, hgetall, smembers = client.get, client.hgetall, client.smembers
for _ in range({hits} // 4):
    get("k"), get("k"), hgetall("h"), smembers("s")
assert client.get_cache_total_lookups() == {hits} + 3
"""

ASYNCIO_PROGRAM = """
import asyncio
from glidecache import ClientSideCache, GlideClient, GlideClientConfiguration, NodeAddress
async def main():
    client = await GlideClient.create(GlideClientConfiguration(
        [NodeAddress("127.0.0.1", {port})], runtime_dir={runtime_dir!r},
        client_side_cache=ClientSideCache.create(1024, 0, enable_metrics=True), request_timeout=5000))
    await client.get("k"), await client.hgetall("h"), await client.smembers("s")
    for _ in range({hits} // 4):
        await client.get("k"), await client.get("k"), await client.hgetall("h"), await client.smembers("s")
    assert client.get_cache_total_lookups() == {hits} + 3
asyncio.run(main())
"""


def system_calls(strace: str, program: str, report: Path) -> int:
    """How many system calls a Python program makes, its children's included."""
    subprocess.run(
        [strace, "-c", "-f", "-o", report, sys.executable, "-c", program],
        env=child_environment(),
        check=True,
        timeout=100,
    )
    total = report.read_text().splitlines()[-1].split()
    assert total[-1] == "total"
    return int(total[3])


def test_a_hit_makes_no_system_call(
    strace: str, kind: str, daemon: Daemon, valkey: ValkeyServer, tmp_path: Path
) -> None:
    valkey.admin.set("k", "x" * 100)
    valkey.admin.hset("h", mapping={"field": "value"})
    valkey.admin.sadd("s", "member")
    program = BLOCKING_PROGRAM if kind == "blocking" else ASYNCIO_PROGRAM
    calls = [
        system_calls(
            strace,
            program.format(port=valkey.port, runtime_dir=str(daemon.runtime_dir), hits=hits),
            tmp_path / f"strace-{hits}",
        )
        for hits in (0, HITS)
    ]
    assert abs(calls[1] - calls[0]) < TOLERATED_CALLS


def test_workers_on_one_pool_cost_its_memory_once(
    connect: Connector, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    """Four workers read all of a 48 MB pool: together they hold it once, and next to nothing of it privately."""
    pool_mb, workers_number, value_bytes = 48, 4, 64 * 1024
    daemon = start_daemon()
    number = (pool_mb - 8) * 1024 * 1024 // value_bytes
    keys = [f"key{n}" for n in range(number)]
    for key in keys:
        valkey.admin.set(key, "x" * value_bytes)
    cache = new_cache(pool_mb * 1024)
    filler = connect(cache, **at(daemon, valkey))
    for key in keys:
        filler.get(key)
    workers = [connect.worker(cache, **at(daemon, valkey)) for _ in range(workers_number)]
    before = [psutil.Process(worker.pid).memory_full_info() for worker in workers]
    for worker in workers:
        for key in keys:
            worker.run(worker_tasks.read_repeatedly, key, 1)
    assert filler.metrics().entry_count == number
    assert valkey.calls("get") == number, "the workers have only had hits"
    after = [psutil.Process(worker.pid).memory_full_info() for worker in workers]

    stored = number * value_bytes
    rss = sum(a.rss - b.rss for a, b in zip(after, before, strict=True))
    pss = sum(a.pss - b.pss for a, b in zip(after, before, strict=True))
    private = sum(a.uss - b.uss for a, b in zip(after, before, strict=True))
    assert rss > 0.9 * workers_number * stored, "each worker sees all of it"
    assert pss < 1.2 * stored, "together they hold it once"
    assert private < 0.1 * stored, "none of them holds a copy"


NOT_WANTED = {"valkey", "libvalkey", "psutil", "zmq", "msgpack", "glidecached", "pydantic", "click"}
NOT_YET = {"asyncio", "dataclasses", "logging", "typing", "inspect", "socket", "ssl", "subprocess"}


@pytest.mark.parametrize("module", ["glidecache", "glidecache.sync"])
def test_an_import_brings_nothing_that_is_not_needed_yet(module: str) -> None:
    program = f"import sys; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    # Without `site`: what the environment's own start-up files import is not the library's doing.
    output = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    loaded = {name.partition(".")[0] for name in output.split()}
    assert not loaded & NOT_WANTED
    assert not loaded & NOT_YET


def test_a_blocking_clients_first_miss_stays_light(daemon: Daemon, valkey: ValkeyServer) -> None:
    valkey.admin.set("k", "v")
    program = BLOCKING_PROGRAM.format(port=valkey.port, runtime_dir=str(daemon.runtime_dir), hits=0)
    output = subprocess.run(
        [sys.executable, "-c", f"{program}\nprint(*sys.modules)"],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    loaded = {name.partition(".")[0] for name in output.split()}
    assert "msgpack" in loaded
    assert "zmq" not in loaded, "the stub speaks ZeroMQ's protocol without libzmq"
    assert not loaded & {"asyncio", "valkey", "libvalkey", "psutil", "glidecached"}
