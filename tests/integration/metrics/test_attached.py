"""How many processes use a cache: those that attached, and their forks."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from support.process import child_environment
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.daemon import Daemon
    from support.pages import SeenDaemon
    from support.valkey_server import ValkeyServer

PROGRAM = """
import os, sys
from glidecache import ClientSideCache, GlideClientConfiguration
from glidecache.sync import GlideClient
client = GlideClient.create(GlideClientConfiguration(
    runtime_dir=sys.argv[1], upstream="default", client_side_cache=ClientSideCache.named("catalog"),
    request_timeout=20_000))
if os.fork() == 0:
    client.get("asked by the fork")
    print("ready", flush=True)
sys.stdin.read()
"""


def attached(daemon: Daemon) -> int:
    """How many processes STATS tells of for the catalog."""
    (number,) = [
        cache["attached_processes"] for cache in daemon.stats()["caches"] if cache["name"] == "catalog"
    ]
    return int(number)


def test_a_fork_of_an_attached_process_counts_until_it_ends(
    start_seen: Callable[..., SeenDaemon], start_valkey: Callable[..., ValkeyServer]
) -> None:
    daemon = start_seen(start_valkey()).daemon
    assert attached(daemon) == 0
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(daemon.runtime_dir)],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        assert worker.stdout.readline() == "ready\n"
        assert attached(daemon) == 2
        worker.stdin.close()
        worker.wait(20)
    wait_until(lambda: attached(daemon) == 0, "both are gone", 20)
