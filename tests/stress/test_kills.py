"""C13 and C20 with everything there is between a worker and the server: clients killed in the middle of their calls.

`test_counters.py` does the same to bare readers. `GLIDECACHE_STRESS=long` kills 1,000 clients a policy.
"""

from __future__ import annotations

import base64
import os
import pickle
from typing import TYPE_CHECKING

import pytest

from glidecache import EvictionPolicy
from support.caches import new_cache
from support.clients import at, open_client
from support.daemon import Daemon
from support.valkey_server import HOST, ValkeyServer
from support.waiting import wait_until
from support.worker_tasks import is_genuine, stamped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stress.conftest import StartWorker

LONG = os.environ.get("GLIDECACHE_STRESS") == "long"
KILLS = 1_000 if LONG else 40
KEYS = 400

pytestmark = [
    pytest.mark.timeout(1_800 if LONG else 120),
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
    daemon = Daemon(tmp_path / "daemon", {"daemon": {"log_level": "info"}})
    daemon.start()
    yield daemon
    daemon.discard()


@pytest.mark.parametrize("policy", [EvictionPolicy.LRU, EvictionPolicy.LFU])
def test_c13_clients_killed_in_the_middle_of_calls_cost_no_count_but_that_of_their_last_call(
    start_worker: StartWorker, server: ValkeyServer, daemon: Daemon, policy: EvictionPolicy
) -> None:
    keys = [f"key-{number}" for number in range(KEYS)]
    server.admin.mset({key: stamped(key, number) for number, key in enumerate(keys)})
    cache = new_cache(32, entry_ttl_ms=20, eviction_policy=policy)
    witness = open_client("blocking", **at(daemon, server, client_side_cache=cache))
    try:
        result = start_worker(
            "read_and_die",
            module="stress.mortal_clients",
            runtime_dir=str(daemon.runtime_dir),
            host=HOST,
            port=server.port,
            cache=base64.b64encode(pickle.dumps(cache)).decode(),
            keys=keys,
            trials=KILLS,
            seed=23,
        ).result()
        assert result["strange"] == []
        assert result["kills"] >= KILLS
        assert result["returned"] > 20 * KILLS

        # The daemon takes requests in turn: when this is answered, those of the killed have been counted.
        witness.call("custom_command", ["PING"])
        metrics = witness.metrics()
        assert 0 <= metrics.total_lookups - result["returned"] <= result["kills"]
        assert 0 < metrics.hit_rate < 1
        # Which of them is the more frequent depends on the machine's speed.
        assert metrics.evictions + metrics.expirations > 0

        before = metrics.total_lookups
        for number, key in enumerate(keys):
            value = witness.get(key)
            assert is_genuine(key, value)
            assert value == stamped(key, number).encode()
        assert witness.metrics().total_lookups == before + KEYS
    finally:
        witness.close()
    wait_until(lambda: daemon.pool_files() == [], "the pool of the last holder is gone (C20)", 20)
    assert daemon.running
    assert "Traceback" not in daemon.log_text()
    daemon.stop()
