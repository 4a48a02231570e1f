"""A full file system for pools: new caches start small and grow, and the log says it once an episode."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support.caches import new_cache
from support.clients import at
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

SIZE_KB = 2_048
VALUE = "v" * 1_000
FULL, ROOM = "file system full", "file system has room again"
PATIENCE_S = 20.0
"""Five quiet heartbeats, on a machine that may be busy."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a tmpfs of two megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k,mode=755", "tmpfs", place],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(f"cannot mount a tmpfs: {done.stderr.decode()}")
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(path: Path) -> None:
    """Fill the file system with other files."""
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4_096))
        except OSError:
            return


def test_i9_a_new_cache_starts_on_a_full_file_system_and_grows_when_there_is_room(
    small: Path,
    start_daemon: Callable[..., Daemon],
    own_valkey: ValkeyServer,
    connect: Connector,
) -> None:
    daemon = start_daemon(
        daemon={"pool_dir": str(small / "pools")},
        upstreams={"default": {"addresses": [f"{HOST}:{own_valkey.port}"]}},
    )
    keys = [f"key-{number}" for number in range(3_000)]
    own_valkey.admin.mset(dict.fromkeys(keys, VALUE))
    old = connect(new_cache(100_000), **at(daemon, own_valkey))
    old.call("get_many", keys)
    fill(small / "others")
    old.call("get_many", keys)
    wait_until(lambda: FULL in daemon.log_text(), "the log says that it is full", PATIENCE_S)

    for _ in range(3):
        old.call("get_many", keys)
        time.sleep(1.1)  # One heartbeat: each reports refusals.
    assert daemon.log_text().count(FULL) == 1

    caches = [new_cache(100_000, name=name) for name in (None, "catalog", None)]
    clients = [connect(cache, **at(daemon, own_valkey)) for cache in caches]
    for client in clients:
        assert [client.get(key) for key in keys[:200]] == [VALUE.encode()] * 200
        assert client.get(keys[199]) == VALUE.encode()
    # The memory that was kept back suffices for a value at least.
    assert clients[0].metrics().entry_count >= 1
    assert old.get(keys[-1]) == VALUE.encode()
    assert daemon.log_text().count(FULL) == 1
    assert ROOM not in daemon.log_text()

    (small / "others").unlink()
    old.close()
    wait_until(lambda: ROOM in daemon.log_text(), "the log says that there is room", PATIENCE_S)
    for client in clients[:2]:
        client.call("get_many", keys[:300])
        client.call("get_many", keys[:300])
        assert client.metrics().entry_count >= 300
    fill(small / "others")
    clients[0].call("get_many", keys)
    wait_until(lambda: daemon.log_text().count(FULL) == 2, "the next episode is told as well", PATIENCE_S)
    assert daemon.log_text().count(ROOM) == 1
    assert "Traceback" not in daemon.log_text()
