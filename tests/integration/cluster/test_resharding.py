"""Slots that move while they are in use: no reply is wrong, none is lost, nothing runs twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache_shared.protocol import COMMAND, STATS, STATUS_ERROR
from support.load import Load
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.cluster import Cluster, ClusterNode
    from support.connector import Connector
    from support.wire import WireClient

TAG = "{moving}"
KEYS = [f"{TAG}{number}" for number in range(6)]


@pytest.fixture
def kind() -> str:
    """The daemon is what is tested here, and the load comes from threads."""
    return "blocking"


class Move:
    """The slot of `TAG` on its way from one primary to another."""

    def __init__(self, cluster: Cluster, target: ClusterNode | None = None) -> None:
        self._cluster = cluster
        self.slot: int = cluster.nodes[0].ask("CLUSTER", "KEYSLOT", TAG)
        self.source = cluster.owner(TAG)
        self.target = target or next(node for node in cluster.primaries if node is not self.source)

    def open(self) -> None:
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.node_id)
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.node_id)

    def carry(self, *keys: str) -> None:
        """Move keys, or all that there are."""
        names = keys or self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 1000)
        if names:
            self.source.ask(
                "MIGRATE", HOST, self.target.port, "", 0, 5000, "AUTH2", "admin", "any", "KEYS", *names
            )

    def finish(self) -> None:
        for node in (self.target, self.source, *self._cluster.primaries):
            node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self.target.node_id)


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


def counts(wire: WireClient) -> dict[str, int]:
    """The daemon's own count of what led its commands elsewhere."""
    wire.hello()
    upstreams = wire.request(STATS)["upstreams"]
    return next(each["redirections"] for each in upstreams if each["name"] == "default")


def test_slots_move_under_load(connect: Connector, cluster: Cluster) -> None:
    client = connect(upstream="default", addresses=None)
    here = cluster.owner(TAG)
    there = Move(cluster).target
    with Load(client, KEYS) as load:
        for target in (there, here, there, here):
            move = Move(cluster, target)
            move.open()
            load.wait_for_rounds(3)
            for key in KEYS:
                move.carry(key)
                load.wait_for_rounds(1)
            move.carry()
            load.wait_for_rounds(3)
            move.finish()
            load.wait_for_rounds(3)
    assert load.lies == []
    assert load.errors == []
    # Two counts a round, and perhaps one more of a round that was not finished: nothing was lost, nothing ran twice.
    for key in KEYS:
        assert 2 * load.rounds[key] <= int(cluster.admin.get(key)) <= 2 * load.rounds[key] + 2


def test_a_key_that_has_moved_already_is_asked_for_at_the_new_node(
    connect: Connector, move: Move, wire: WireClient
) -> None:
    client = connect(upstream="default", addresses=None)
    client.call("set", KEYS[0], "v")
    before = counts(wire)
    move.open()
    move.carry(KEYS[0])
    assert client.get(KEYS[0]) == b"v"
    client.call("set", KEYS[1], "new keys go to the new node")
    assert move.target.ask("CLUSTER", "COUNTKEYSINSLOT", move.slot) == 2
    batch = client.batch(atomic=True)
    batch.custom_command(["APPEND", KEYS[0], "w"])
    batch.get(KEYS[0])
    assert client.call("exec", batch, raise_on_error=True) == [2, b"vw"]
    assert client.call("custom_command", ["BLPOP", f"{TAG}list", "0.05"]) is None
    client.call("custom_command", ["RPUSH", f"{TAG}list", "x"])
    assert client.call("custom_command", ["BLPOP", f"{TAG}list", "5"]) == [f"{TAG}list".encode(), b"x"]
    assert counts(wire)["ASK"] - before.get("ASK", 0) == 6
    assert counts(wire).get("MOVED", 0) == before.get("MOVED", 0), "the slot has not moved yet"


def test_keys_of_a_slot_in_two_places_are_tried_again(
    connect: Connector, move: Move, wire: WireClient, session: int
) -> None:
    client = connect(upstream="default", addresses=None)
    client.call("mset", dict.fromkeys(KEYS[:2], "v"))
    move.open()
    move.carry(KEYS[0])
    tried_again = counts(wire).get("TRYAGAIN", 0)
    request = wire.send(COMMAND, session, [b"MGET", *(key.encode() for key in KEYS[:2])])
    wire.hello()
    while counts(wire).get("TRYAGAIN", 0) == tried_again:
        pass
    move.carry()
    assert wire.result(request) == [b"v", b"v"]


def test_what_no_node_serves_fails_with_the_servers_word(move: Move, wire: WireClient, session: int) -> None:
    wire.request(COMMAND, session, [b"SET", KEYS[0].encode(), b"v"])
    wire.request(COMMAND, session, [b"SET", KEYS[1].encode(), b"v"])
    move.open()
    move.carry(KEYS[0])
    request = wire.send(COMMAND, session, [b"MGET", *(key.encode() for key in KEYS[:2])], timeout_ms=300)
    request_id, status, body = wire.receive()
    assert (request_id, status) == (request, STATUS_ERROR)
    assert "TRYAGAIN" in body[1]


def test_a_slot_that_has_moved_is_learnt(connect: Connector, move: Move, wire: WireClient) -> None:
    client = connect(upstream="default", addresses=None)
    client.call("set", KEYS[0], "v")
    move.open()
    move.carry()
    move.finish()
    before = counts(wire).get("MOVED", 0)
    for _ in range(3):
        assert client.call("custom_command", ["GET", KEYS[0]]) == b"v"
    assert counts(wire)["MOVED"] == before + 1
