"""Where commands go in a cluster, and how several replies become one; without any server."""

from __future__ import annotations

from typing import Any

import pytest

from glidecache_shared.command_table import find_keys
from glidecache_shared.protocol import ReplyError
from glidecached.upstream.cluster import response_policy
from glidecached.upstream.cluster.routing import (
    MultiNodeRoute,
    Part,
    RoutingError,
    SlotRoute,
    plan,
    plan_transaction,
)
from glidecached.upstream.cluster.slots import key_slot
from glidecached.upstream.cluster.topology import Topology, TopologyError, read_redirection, read_topology
from glidecached.upstream.target import Address

A, B, C = (Address("10.0.0.1", port) for port in (1, 2, 3))
TOPOLOGY = Topology([(0, 8191, [A, C]), (8192, 16383, [B])])
ERROR = ReplyError("ERR no")


def words(text: str) -> list[bytes]:
    return text.encode().split()


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"123456789", 0x31C3 % 16384),
        (b"foo", 12182),
        (b"{foo}bar", 12182),
        (b"a{foo}{bar}", 12182),
        (b"{}foo", key_slot(b"{}foo")),
        (b"", 0),
    ],
)
def test_slots(key: bytes, slot: int) -> None:
    assert key_slot(key) == slot


def test_an_empty_tag_is_none() -> None:
    assert key_slot(b"{}foo") != key_slot(b"{}bar")
    assert key_slot(b"{foo") != key_slot(b"{bar")


@pytest.mark.parametrize(
    "command", ["EVAL script", "EVAL s x", "EVAL s 99999999 k", "XREAD COUNT", "OBJECT", "GET"]
)
def test_malformed_commands_have_no_keys(command: str) -> None:
    assert list(find_keys(words(command))) == []
    assert plan(words(command), None, TOPOLOGY).parts == [Part(words(command), None)]


def test_commands_go_to_the_slot_of_their_keys() -> None:
    for command in (
        "get foo",
        "XREAD COUNT 1 streams foo 0",
        "EVAL s 1 foo",
        "OBJECT ENCODING foo",
        "MYMODULE.DO foo",
    ):
        assert plan(words(command), None, TOPOLOGY).parts == [Part(words(command), 12182)]
    assert plan(words("CLUSTER COUNTKEYSINSLOT 7"), None, TOPOLOGY).parts[0].where == 7
    assert plan(words("CLUSTER COUNTKEYSINSLOT 77777"), None, TOPOLOGY).parts[0].where is None


def test_a_split_keeps_what_belongs_together() -> None:
    parts, join = plan(words("mset foo 1 bar 2 {foo}x 3"), None, TOPOLOGY)
    assert [part.arguments for part in parts] == [words("mset foo 1 {foo}x 3"), words("mset bar 2")]
    assert join is response_policy.all_succeeded
    parts, join = plan(words("MGET foo bar {foo}x foo"), None, TOPOLOGY)
    assert [part.arguments for part in parts] == [words("MGET foo {foo}x foo"), words("MGET bar")]
    assert join is not None
    assert join([None, None], [[b"1", b"3", b"4"], [b"2"]]) == [b"1", b"2", b"3", b"4"]
    assert join([None, None], [[b"1", b"3", b"4"], ERROR]) is ERROR
    assert plan(words("DEL foo {foo}x"), None, TOPOLOGY).policy is None


def test_i3_what_stands_behind_the_last_key_is_every_parts() -> None:
    parts, join = plan(words("JSON.MGET foo bar {foo}x $.a"), None, TOPOLOGY)
    assert [part.arguments for part in parts] == [
        words("JSON.MGET foo {foo}x $.a"),
        words("JSON.MGET bar $.a"),
    ]
    assert join is not None
    assert join([None, None], [[b"1", b"3"], [b"2"]]) == [b"1", b"2", b"3"]
    parts, join = plan(words("JSON.MSET foo $ 1 bar $ 2"), None, TOPOLOGY)
    assert [part.arguments for part in parts] == [words("JSON.MSET foo $ 1"), words("JSON.MSET bar $ 2")]
    assert join is response_policy.all_succeeded


@pytest.mark.parametrize("command", ["MSET foo 1 bar", "JSON.MSET foo $ 1 bar $"])
def test_i3_what_cannot_be_split_is_refused(command: str) -> None:
    with pytest.raises(RoutingError, match="wrong number of arguments"):
        plan(words(command), None, TOPOLOGY)


@pytest.mark.parametrize(
    ("policy", "commands"),
    [
        (
            response_policy.total,
            "DEL a|EXISTS a b|touch a|UNLINK a|CLIENT KILL ID 1|DBSIZE|SLOWLOG LEN|LATENCY RESET",
        ),
        (response_policy.joined, "MGET a b|KEYS *|SLOWLOG GET|PUBSUB CHANNELS"),
        (
            response_policy.all_succeeded,
            "MSET a 1|FLUSHALL|PING|CONFIG SET a b|FUNCTION LOAD x|SCRIPT LOAD x",
        ),
        (response_policy.least, "WAIT 1 1"),
        (response_policy.least_of_each, "WAITAOF 1 1 1"),
        (response_policy.everywhere, "SCRIPT EXISTS x"),
        (response_policy.one_succeeded, "SCRIPT KILL|function kill"),
        (response_policy.first_found, "RANDOMKEY"),
        (response_policy.summed_map, "PUBSUB NUMSUB c"),
        (
            response_policy.by_node,
            "GET a|INFO|FUNCTION STATS|CONFIG GET a|NOSUCH a|CLIENT NOSUCH|DEBUG SLEEP 0|MSETNX a 1",
        ),
    ],
)
def test_i3_a_route_to_several_nodes_has_the_commands_policy(policy: Any, commands: str) -> None:
    for command in commands.split("|"):
        for route, nodes in ((MultiNodeRoute.ALL_NODES, [A, B, C]), (MultiNodeRoute.ALL_PRIMARIES, [A, B])):
            parts, join = plan(words(command), route, TOPOLOGY)
            assert ([part.where for part in parts], join) == (nodes, policy), command


def test_commands_without_keys() -> None:
    assert [part.where for part in plan(words("CONFIG SET a b"), None, TOPOLOGY).parts] == [A, B, C]
    assert [part.where for part in plan(words("DBSIZE"), None, TOPOLOGY).parts] == [A, B]
    assert plan(words("TIME"), None, TOPOLOGY).parts == [Part(words("TIME"), None)]
    with pytest.raises(RoutingError, match="SHUTDOWN concerns one node"):
        plan(words("SHUTDOWN"), None, TOPOLOGY)


def test_routes() -> None:
    command = words("GET foo")
    assert plan(command, MultiNodeRoute.RANDOM, TOPOLOGY).parts == [Part(command, None)]
    assert plan(command, SlotRoute(5, replica=True), TOPOLOGY).parts == [Part(command, 5, replica=True)]
    assert plan(command, B, TOPOLOGY).parts == [Part(command, B)]
    parts, join = plan(command, MultiNodeRoute.ALL_NODES, TOPOLOGY)
    assert ([part.where for part in parts], join) == ([A, B, C], response_policy.by_node)
    assert plan(words("DBSIZE"), MultiNodeRoute.ALL_NODES, TOPOLOGY).policy is response_policy.total
    with pytest.raises(RoutingError, match=r"no node 10.0.0.1:9; it has: 10.0.0.1:1, 10.0.0.1:2, 10.0.0.1:3"):
        plan(command, Address("10.0.0.1", 9), TOPOLOGY)


def test_a_transaction_has_one_place() -> None:
    assert plan_transaction([words("SET foo 1"), words("PING"), words("GET {foo}x")], None, TOPOLOGY) == (
        12182,
        False,
    )
    assert plan_transaction([words("PING")], None, TOPOLOGY) == (None, False)
    assert plan_transaction([words("PING")], SlotRoute(3, replica=True), TOPOLOGY) == (3, True)
    with pytest.raises(RoutingError, match="CROSSSLOT"):
        plan_transaction([words("SET foo 1"), words("SET bar 1")], None, TOPOLOGY)


@pytest.mark.parametrize(
    ("policy", "replies", "outcome"),
    [
        ("all_succeeded", [b"OK", b"OK"], b"OK"),
        ("all_succeeded", [b"OK", ERROR], ERROR),
        ("total", [1, 2], 3),
        ("total", [1, ERROR], ERROR),
        ("least", [3, 2], 2),
        ("everywhere", [[1, 1, 0], [1, 0, 0]], [1, 0, 0]),
        ("everywhere", [[1], ERROR], ERROR),
        ("joined", [[b"a"], [], [b"b"]], [b"a", b"b"]),
        ("joined", [[b"a"], ERROR], ERROR),
        ("summed_map", [[b"a", 1], [b"a", 2, b"b", 0]], {b"a": 3, b"b": 0}),
        ("summed_map", [{b"a": 1}, {b"a": 2}], {b"a": 3}),
        ("summed_map", [ERROR, []], ERROR),
        ("one_succeeded", [ERROR, b"OK"], b"OK"),
        ("one_succeeded", [ERROR, ReplyError("x")], ERROR),
        ("first_found", [None, ERROR, b"k"], b"k"),
        ("first_found", [None, None], None),
        ("first_found", [None, ERROR], ERROR),
        ("by_node", [b"a", b"b"], {b"10.0.0.1:1": b"a", b"10.0.0.1:2": b"b"}),
        ("by_node", [b"a", ERROR], ERROR),
    ],
)
def test_replies_become_one(policy: str, replies: list[Any], outcome: Any) -> None:
    assert getattr(response_policy, policy)([A, B], replies) == outcome


def test_a_number_that_is_none_is_an_error() -> None:
    assert "is no number" in str(response_policy.total([A, B], [1, b"x"]))


def test_a_topology_is_read() -> None:
    reply = [
        [0, 99, [b"10.0.0.1", 1, b"id", []], [b"Host.Name", 3, b"id"]],
        [100, 199, [None, 2, b"id"]],
        [200, 299, [b"10.0.0.1", 1, b"id"], [b"host.name", 3, b"id"]],
    ]
    topology = read_topology(reply, Address("10.9.9.9", 7))
    replica, unnamed = Address("host.name", 3), Address("10.9.9.9", 2)
    assert topology.primaries == (A, unnamed)
    assert topology.nodes == (A, unnamed, replica)
    assert [topology.primary(slot) for slot in (0, 99, 100, 299, 300)] == [A, A, unnamed, A, None]
    assert topology.replicas(250) == (replica,)
    assert topology.replicas(300) == ()
    assert topology.slots_covered == 300
    topology.move(100, B)
    assert topology.primary(100) == B
    assert topology.slots_by_node() == {A: 200, unnamed: 99, B: 1}


@pytest.mark.parametrize(
    "reply", [b"OK", [], [[0, 1]], [[5, 1, [b"h", 1]]], [[0, 16384, [b"h", 1]]], [[0, 1, [b"h"]]], 7]
)
def test_a_reply_that_is_no_topology_is_refused(reply: Any) -> None:
    with pytest.raises(TopologyError, match=r"10.0.0.1:1: CLUSTER SLOTS"):
        read_topology(reply, A)


def test_redirections_are_read() -> None:
    assert read_redirection("MOVED 3999 10.0.0.2:6381", A) == (3999, Address("10.0.0.2", 6381))
    assert read_redirection("MOVED 3999 :6381", A) == (3999, Address("10.0.0.1", 6381))
    assert read_redirection("ASK 1 ::1:6381", A) == (1, Address("::1", 6381))
    for text in ("MOVED", "MOVED x 1:2", "MOVED 1 nowhere", "MOVED 16384 h:1"):
        with pytest.raises(ValueError):
            read_redirection(text, A)
