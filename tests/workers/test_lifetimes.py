"""C20 over a day of workers, compressed in time. `GLIDECACHE_STRESS=long` has 10,000 of them come and go."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from glidecache import GlideClientConfiguration
from glidecache.sync import GlideClient
from support.process import child_environment
from support.waiting import wait_until
from workers.holding import Footprint, unnamed_pools

if TYPE_CHECKING:
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

LONG = os.environ.get("GLIDECACHE_STRESS") == "long"
CYCLES = 10_000 if LONG else 100
PATIENCE_S = 1_800 if LONG else 60


UPSTREAM_CONNECTIONS = 3
"""The shared one, one for probes that find it busy, and one for detours. Those that were made stay."""


def descriptors_beside(daemon: Daemon, valkey: ValkeyServer) -> int:
    """Return the number of the daemon's descriptors, without its connections to the server."""
    connections = psutil.Process(daemon.pid).net_connections("tcp")
    upstream = [each for each in connections if each.raddr[1:] == (valkey.port,)]
    assert len(upstream) <= UPSTREAM_CONNECTIONS
    return Footprint.of(daemon.pid).descriptors - len(upstream)


@pytest.mark.timeout(2 * PATIENCE_S)
def test_c20_nothing_is_left_of_workers_that_came_and_went(daemon: Daemon, valkey: ValkeyServer) -> None:
    valkey.admin.set("k", "v")
    wait_until(lambda: not unnamed_pools(daemon), "the pools of tests before have ended")
    with GlideClient.create(GlideClientConfiguration(runtime_dir=str(daemon.runtime_dir))) as client:
        client.get("k")  # the daemon connects to its upstream, and stays so
    before = descriptors_beside(daemon, valkey)
    ended = subprocess.run(
        [sys.executable, "-m", "workers.mortal", str(CYCLES)],
        env=child_environment(GLIDECACHED_RUNTIME_DIR=str(daemon.runtime_dir)),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, str(CYCLES), "")
    assert unnamed_pools(daemon), "a pool that was handed out just now is not looked at yet"
    wait_until(lambda: daemon.pool_files() == [], "pools, boards and leases are gone", 20)
    wait_until(
        lambda: descriptors_beside(daemon, valkey) <= before,
        "the daemon has closed what it had open for them",
    )
    assert daemon.stats()["caches"] == []
