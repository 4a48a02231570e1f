"""Contract C29 in a cluster: values and lives come from one node, while slots move and nodes differ."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientSideCache, ReadFrom
from integration.cluster.test_resharding import TAG, Move
from support.caches import end_of_life
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.cluster import Cluster
    from support.connector import Connector

LONG_MS = 3_600_000


def ttl_cache() -> ClientSideCache:
    return ClientSideCache.create(1024, LONG_MS, enable_metrics=True, server_ttl=True)


@pytest.fixture
def kind() -> str:
    """The daemon is what is tested here."""
    return "blocking"


@pytest.fixture
def move(cluster: Cluster) -> Iterator[Move]:
    """A move that is finished, and undone, when the test ends."""
    move = Move(cluster)
    yield move
    move.carry()
    move.finish()
    back = Move(cluster, move.source)
    back.open()
    back.carry()
    back.finish()
    cluster.wait_until_healthy()


def test_c29_lives_are_right_in_each_state_of_a_moving_slot(
    connect: Connector, cluster: Cluster, move: Move
) -> None:
    """Before, during (ASK), and after the move (MOVED), for one key and for many."""
    client = connect(ttl_cache())
    ttl_ms = 1_500

    def check(state: str) -> None:
        one, *many = [f"{TAG}{state}{number}" for number in range(4)]
        for key in (one, *many):
            cluster.admin.set(key, "1", px=ttl_ms)
        if state == "half":
            move.carry()
        end = end_of_life(ttl_ms)
        assert client.get(one) == b"1"
        assert client.call("get_many", many) == [b"1"] * 3
        assert client.metrics().entry_count == 4 * (1 + states.index(state))

        def gone() -> bool:
            begun = time.monotonic()
            # One at a time: while the slot moves, servers answer no MGET of keys that are missing.
            values: list[Any] = [client.get(key) for key in (one, *many)]
            assert begun < end or values == [None] * 4, (state, values)
            return values == [None] * 4

        wait_until(gone, "the server's keys have ended", 20)
        for key in (one, *many):
            cluster.admin.set(key, "2")
        assert [client.get(one), *client.call("get_many", many)] == [b"2"] * 4

    states = ["before", "half", "after"]
    check("before")
    move.open()
    check("half")
    move.carry()
    move.finish()
    check("after")


def test_c29_many_keys_of_all_nodes(connect: Connector, cluster: Cluster) -> None:
    client = connect(ttl_cache(), read_from=ReadFrom.PREFER_REPLICA)
    lasting, soon = cluster.keys_of_each("lasting"), cluster.keys_of_each("soon")
    ttl_ms = 600
    for key in lasting:
        cluster.admin.set(key, "1")
    for key in soon:
        cluster.admin.set(key, "1", px=ttl_ms)
    end = end_of_life(ttl_ms)
    count = len(lasting)
    assert client.call("get_many", [*lasting, *soon, "missing"]) == [b"1"] * 2 * count + [None]
    assert cluster.calls("pttl") == 2 * count + 1
    replicas = [node for node in cluster.running if not node.is_primary]
    assert replicas
    assert not any(b"cmdstat_pttl" in node.ask("INFO", "commandstats") for node in replicas)

    def gone() -> bool:
        begun = time.monotonic()
        values = client.call("get_many", soon)
        assert begun < end or values == [None] * count
        return bool(values == [None] * count)

    wait_until(gone, "the server's keys have ended", 20)
    for key in lasting:
        cluster.admin.delete(key)
    assert client.call("get_many", lasting) == [b"1"] * count
