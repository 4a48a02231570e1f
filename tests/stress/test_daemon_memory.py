"""The daemon's memory is flat, however many commands it has passed on (architecture, "Errors": bounded memory).

`GLIDECACHE_STRESS=long` sends ten million; without it a fiftieth of that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from glidecache import Batch
from support.caches import new_cache
from support.clients import at, open_client
from support.daemon import Daemon
from support.valkey_server import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = os.environ.get("GLIDECACHE_STRESS") == "long"
COMMANDS = 10_000_000 if LONG else 200_000
PIPELINED = 190
SINGLE = 10
KEYS = 500
PARTS = 10
REQUEST_TIMEOUT_MS = 10_000
SLACK_BYTES = 3 << 20
"""What the allocator may differ by between two looks."""

pytestmark = [
    pytest.mark.timeout(3_600 if LONG else 180),
    pytest.mark.skipif(
        os.environ.get("GLIDECACHED_SANITIZED") == "1",
        reason="a daemon and its server are no part of the core that is under the sanitizers",
    ),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "daemon")
    daemon.start()
    yield daemon
    daemon.discard()


def test_mixed_commands_leave_no_memory_behind(server: ValkeyServer, daemon: Daemon) -> None:
    process = psutil.Process(daemon.pid)
    cache = new_cache(64, entry_ttl_ms=50)
    client = open_client(
        "blocking", **at(daemon, server, client_side_cache=cache, request_timeout=REQUEST_TIMEOUT_MS)
    )
    try:
        rounds = COMMANDS // (PIPELINED + SINGLE)
        private_bytes = []
        for number in range(rounds):
            send_mixed(client, number)
            if (number + 1) % (rounds // PARTS) == 0:
                private_bytes.append(process.memory_full_info().uss)
    finally:
        client.close()
    # The first tenth warms up; from then on no trend: the last looks are no higher than those in the middle.
    middle, last = private_bytes[2:6], private_bytes[6:]
    assert min(last) <= max(middle) + SLACK_BYTES, private_bytes
    assert daemon.running
    assert "Traceback" not in daemon.log_text()


def send_mixed(client: Any, number: int) -> None:
    """A batch of commands, and a few one by one: reads, writes, errors, misses, hits, values of all sizes."""
    batch = Batch(is_atomic=number % 10 == 0)
    for i in range(PIPELINED // 5):
        key = f"key-{(number * 7 + i) % KEYS}"
        batch.set(key, b"x" * (i * i % 2_000))
        batch.get(key)
        batch.incr("counter")
        batch.hset("hash", {key: b"y" * 50})
        batch.custom_command(["LPUSH", key, "wrong type"])
    replies = client.call("exec", batch, raise_on_error=False)
    assert len(replies) == PIPELINED
    for i in range(SINGLE // 2):
        key = f"key-{(number + i) % KEYS}"
        client.get(key)
        client.call("exists", [key])
