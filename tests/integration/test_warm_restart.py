"""A daemon that was stopped or killed is followed by another, and the pools stay warm (architecture 14)."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.caches import new_cache
from support.clients import at
from support.valkey_server import HOST
from support.waiting import wait_until
from support.worker_tasks import is_genuine, stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

KEYS = [f"key-{number}" for number in range(400)]
KILLS = 4


@pytest.fixture
def filled(own_valkey: ValkeyServer) -> ValkeyServer:
    own_valkey.admin.mset({key: stamped(key, number) for number, key in enumerate(KEYS)})
    return own_valkey


def warm(client: AnyClient) -> None:
    assert client.call("get_many", KEYS) == [stamped(key, number).encode() for number, key in enumerate(KEYS)]


def hits(client: AnyClient, server: ValkeyServer) -> int:
    """How many keys are read without asking the server, of all."""
    before = server.calls("get")
    assert [client.get(key) for key in KEYS] == [
        stamped(key, number).encode() for number, key in enumerate(KEYS)
    ]
    return len(KEYS) - (server.calls("get") - before)


@pytest.mark.parametrize("ending", ["stop", "kill"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_c20_everything_is_a_hit_again_and_the_counters_go_on(
    connect: Connector,
    own_daemon: Daemon,
    filled: ValkeyServer,
    unique_name: str,
    ending: str,
    *,
    named: bool,
) -> None:
    cache = new_cache(name=unique_name if named else None, entry_ttl_ms=600_000)
    attached = connect(cache, **at(own_daemon, filled))
    warm(attached)
    assert hits(attached, filled) == len(KEYS)
    before = attached.metrics()
    getattr(own_daemon, ending)()
    own_daemon.start()
    assert attached.metrics() == before
    assert hits(attached, filled) == len(KEYS)
    late = connect(cache, **at(own_daemon, filled))
    assert hits(late, filled) == len(KEYS)
    after = late.metrics()
    assert after.total_lookups == before.total_lookups + 2 * len(KEYS)
    assert after.entry_count == len(KEYS)
    attached.call("set", "new", "v")  # the daemon's part: by its own session, made unseen
    assert attached.get("new") == b"v"
    assert f"verified={ending != 'stop'} dropped=0" in own_daemon.log_text()


@pytest.mark.parametrize("ending", ["stop", "kill"])
@pytest.mark.parametrize("length_bytes", [1, 1 << 40], ids=["cut", "lengthened"])
def test_i12_a_board_that_a_worker_cut_or_lengthened_costs_the_next_daemon_no_entry(
    connect: Connector,
    own_daemon: Daemon,
    filled: ValkeyServer,
    unique_name: str,
    length_bytes: int,
    ending: str,
) -> None:
    cache = new_cache(name=unique_name, entry_ttl_ms=600_000)
    # A process of its own: the board is cut under its feet, which may end it by SIGBUS.
    first = connect.worker(cache, **at(own_daemon, filled))
    first.call("get_many", KEYS)
    (board,) = own_daemon.pool_dir.glob("*.board")
    getattr(own_daemon, ending)()
    made_bytes = board.stat().st_size
    os.truncate(board, length_bytes)
    own_daemon.start()
    late = connect(cache, **at(own_daemon, filled))
    assert hits(late, filled) == len(KEYS)
    (board,) = own_daemon.pool_dir.glob("*.board")
    assert board.stat().st_size == made_bytes


def test_c24_hits_go_on_while_the_daemon_restarts_with_its_upstream_gone(
    connect: Connector, own_daemon: Daemon, filled: ValkeyServer, unique_name: str
) -> None:
    client = connect(new_cache(name=unique_name), **at(own_daemon, filled))
    warm(client)
    filled.kill()
    own_daemon.stop()
    own_daemon.start()
    for number, key in enumerate(KEYS):
        assert client.get(key) == stamped(key, number).encode()


def test_a_configured_cache_with_new_settings_begins_anew(
    connect: Connector, start_daemon: Callable[..., Daemon], filled: ValkeyServer
) -> None:
    from glidecache import ClientSideCache

    tables: dict[str, Any] = {
        "upstreams": {"default": {"addresses": [f"{HOST}:{filled.port}"]}},
        "caches": {"catalog": {"max_cache_kb": 1024, "entry_ttl_ms": 0, "enable_metrics": True}},
    }
    daemon = start_daemon(**tables)
    client = connect(
        ClientSideCache.named("catalog"),
        runtime_dir=str(daemon.runtime_dir),
        addresses=None,
        upstream="default",
    )
    warm(client)
    daemon.stop()
    text = daemon.configuration.read_text()
    daemon.configuration.write_text(text.replace("entry_ttl_ms = 0", "entry_ttl_ms = 60000"))
    daemon.start()
    assert "entry_ttl_ms is 0, not 60000" in daemon.log_text()
    assert hits(client, filled) == 0
    assert hits(client, filled) == len(KEYS)


def test_an_embedded_daemon_leaves_no_pool(
    connect: Connector, start_daemon: Callable[..., Daemon], unique_name: str
) -> None:
    daemon = start_daemon("--embedded")
    cache = new_cache(name=unique_name)
    client = connect(cache, runtime_dir=str(daemon.runtime_dir), addresses=None)
    client.call("set", "k", "v")
    assert client.get("k") == b"v"
    daemon.stop()
    assert daemon.pool_files() == []
    daemon.start("--embedded")
    client = connect(cache, runtime_dir=str(daemon.runtime_dir), addresses=None)
    client.get("k")
    assert client.metrics().entry_count == 0
    daemon.kill()
    assert daemon.pool_files()
    daemon.start("--embedded")
    assert daemon.pool_files() == []


def test_a_stop_with_nobody_left_removes_unnamed_pools(
    connect: Connector, own_daemon: Daemon, filled: ValkeyServer
) -> None:
    client = connect(new_cache(), **at(own_daemon, filled))
    warm(client)
    client.close()
    own_daemon.stop()
    assert own_daemon.pool_files() == []


def test_c21_a_daemon_killed_while_it_writes_leaves_nothing_wrong(
    connect: Connector, own_daemon: Daemon, filled: ValkeyServer, unique_name: str
) -> None:
    """A small pool and large values: each read evicts, so that the kill meets the daemon as it writes."""
    cache = new_cache(48, name=unique_name)
    client = connect(cache, **at(own_daemon, filled))
    strange: list[tuple[str, bytes]] = []
    rounds = 0
    going_on = True

    def read(reader: AnyClient) -> None:
        nonlocal rounds
        while going_on:
            for key in KEYS:
                value = reader.get(key)
                if value is None or not is_genuine(key, value):
                    strange.append((key, value))
            rounds += 1

    reader = connect(cache, kind="blocking", **at(own_daemon, filled))
    thread = threading.Thread(target=read, args=(reader,))
    thread.start()
    try:
        for _ in range(KILLS):
            seen = rounds
            wait_until(lambda seen=seen: rounds > seen + 1, "the daemon is busy writing", 20)  # type: ignore[misc]
            own_daemon.kill()
            own_daemon.start()
    finally:
        going_on = False
        thread.join(30)
    assert not thread.is_alive()
    assert strange == []
    assert own_daemon.log_text().count("pool restored") == KILLS
    assert "previous pool not restored" not in own_daemon.log_text()
    for number, key in enumerate(KEYS):
        assert client.get(key) == stamped(key, number).encode()
