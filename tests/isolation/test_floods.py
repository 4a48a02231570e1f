"""Floods of questions cost the loop bounded turns, and health is reported whatever scrapers do (I9, I10)."""

from __future__ import annotations

import contextlib
import socket
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientSideCache
from support import taking
from support.members import MEMBER, NEIGHBOUR
from support.valkey_server import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from support.workers import Worker

MANY = 200_000
MOST_AT_ONCE = 2_000
SCRAPERS = 1_000


def test_i10_very_many_keys_are_asked_for_in_bounded_parts(
    kind: str, connect: Callable[..., Any], server: ValkeyServer
) -> None:
    """The reply has hits, misses, missing keys and repeated keys, each at its place."""
    client = connect(
        kind, client_side_cache=ClientSideCache.create(65_536, 0, name="many"), request_timeout=30_000
    )
    keys = [f"k{number % (MANY - 7_000)}" for number in range(MANY)]
    there = {f"k{number}": b"v%d" % number for number in range(0, MANY, 3)}
    with server.admin.pipeline(transaction=False) as pipeline:
        for key, value in there.items():
            pipeline.set(key, value)
        pipeline.execute()
    for key in list(there)[:100]:
        client.call("get", key)
    expected = [there.get(key) for key in keys]
    server.admin.config_resetstat()
    assert client.call("get_many", keys) == expected
    asked = server.admin.info("commandstats")["cmdstat_mget"]["calls"]
    assert asked >= MANY // MOST_AT_ONCE - 4
    assert client.call("get_many", keys) == expected
    assert client.call("get_many", keys[:5]) == expected[:5]


def test_i10_very_many_keys_stay_in_their_clients_order(
    kind: str, connect: Callable[..., Any], server: ValkeyServer
) -> None:
    del server
    client = connect(
        kind, client_side_cache=ClientSideCache.create(1_024, 0, name="order"), request_timeout=30_000
    )
    for turn in range(5):
        keys = [f"{turn}-{number}" for number in range(MOST_AT_ONCE * 5)]
        assert client.call("set", keys[-1], str(turn)) == "OK"
        first, last = client.call_together([("get_many", keys), ("get_many", keys[-2:])])
        assert (len(first), first[-1], last[-1]) == (len(keys), str(turn).encode(), str(turn).encode())


@pytest.fixture
def metrics_port(server: ValkeyServer, start_daemon: Callable[..., Daemon]) -> int:
    port = free_port()
    start_daemon(
        upstreams={"default": {"addresses": [f"{HOST}:{server.port}"]}}, metrics={"listen": f"{HOST}:{port}"}
    )
    return port


def health(port: int) -> int:
    with urllib.request.urlopen(f"http://{HOST}:{port}/healthz", timeout=10) as answer:
        return int(answer.status)


def test_i9_health_is_told_beside_a_thousand_idle_scrapers(metrics_port: int) -> None:
    with contextlib.ExitStack() as held:
        for number in range(SCRAPERS):
            held.enter_context(socket.create_connection((HOST, metrics_port), timeout=10))
            if number % 100 == 0:
                assert health(metrics_port) == 200
        for _ in range(20):
            assert health(metrics_port) == 200


def test_i9_health_is_told_to_one_user_beside_the_idle_scrapers_of_another(
    metrics_port: int, other_users: None, start_worker: Callable[..., Worker]
) -> None:
    del other_users
    taker, other = start_worker(MEMBER), start_worker(NEIGHBOUR)
    assert taker.run(taking.scrapers, metrics_port, SCRAPERS)[0] > 0
    for _ in range(20):
        assert other.run(taking.ask_for_health, metrics_port) == 200
        assert health(metrics_port) == 200
