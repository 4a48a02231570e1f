"""Commands in a cluster: split by slot, spread over nodes, routed on request, refused where no node could answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import RequestError
from glidecache_shared import protocol
from support.cacheable import GET
from support.waiting import wait_until
from support.wire import ReplyRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.cluster import Cluster
    from support.connector import Connector
    from support.daemon import Daemon
    from support.wire import WireClient

    Ask = Callable[..., Any]


@pytest.fixture
def ask(wire: WireClient, session: int) -> Ask:
    """Send a command of words by hand, to `route` if one is given."""

    def send(*words: str | bytes, route: object = None) -> Any:
        arguments = [word if isinstance(word, bytes) else word.encode() for word in words]
        return wire.request(protocol.COMMAND, session, arguments, route)

    return send


def test_commands_reach_the_node_of_their_keys(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    for key in cluster.keys_of_each():
        assert client.call("set", key, f"value of {key}") == "OK"
        assert cluster.owner(key).admin.get(key) == b"value of %s" % key.encode()
        assert client.get(key) == b"value of %s" % key.encode()
    numbers = client.call("custom_command", ["INFO", "commandstats"])
    assert len(numbers) == 3


def test_commands_of_many_keys_are_split_and_joined_in_order(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    keys = [f"key{number}" for number in range(50)]
    assert client.call("mset", {key: key.upper() for key in keys}) == "OK"
    assert client.call("mget", [*keys, "nothing", keys[7]]) == [
        *(key.upper().encode() for key in keys),
        None,
        keys[7].upper().encode(),
    ]
    assert client.call("exists", [*keys, "nothing", keys[0]]) == 51
    assert client.call("touch", keys) == 50
    assert client.call("delete", keys[:10]) == 10
    assert client.call("unlink", keys[5:20]) == 10
    assert client.call("custom_command", ["DBSIZE"]) == 30
    assert cluster.calls("del") == 10, "one command per slot"


def test_an_error_of_one_part_is_the_answer(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    with pytest.raises(RequestError, match="wrong number of arguments for 'mset'"):
        client.call("custom_command", ["MSET", "a", "1", "b"])
    assert cluster.calls("mset") == 0


@pytest.mark.parametrize(
    "command",
    [
        ["MSETNX", "a", "1", "b", "2"],
        ["RENAME", "a", "b"],
        ["SINTER", "a", "b"],
        ["EVAL", "return 1", "2", "a", "b"],
        ["ZUNIONSTORE", "a", "1", "b"],
        ["SORT", "a", "STORE", "b"],
        ["BLPOP", "a", "b", "0.1"],
    ],
    ids=lambda command: command[0],
)
def test_keys_of_several_slots_are_refused_before_sending(
    connect: Connector, cluster: Cluster, command: list[str]
) -> None:
    with pytest.raises(RequestError, match=r"CROSSSLOT.*slot 15495.*slot 3300.*hash tag"):
        connect().call("custom_command", command)
    assert cluster.calls(command[0]) == 0


def test_a_transaction_of_several_slots_is_refused_whole(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    batch = client.batch(atomic=True)
    batch.set("a", "1")
    batch.set("b", "2")
    with pytest.raises(RequestError, match="CROSSSLOT"):
        client.call("exec", batch, raise_on_error=True)
    assert cluster.calls("set") == 0


def test_a_transaction_of_one_slot_runs_whole(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    for key in cluster.keys_of_each():
        batch = client.batch(atomic=True)
        batch.set(key, "1")
        batch.custom_command(["PING"])
        batch.custom_command(["INCR", key])
        assert client.call("exec", batch, raise_on_error=True) == ["OK", b"PONG", 2]
    batch = client.batch(atomic=True)
    batch.custom_command(["ECHO", "nothing but this"])
    assert client.call("exec", batch, raise_on_error=True) == [b"nothing but this"]


def test_a_pipeline_goes_to_all_nodes_and_answers_in_its_order(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    keys = cluster.keys_of_each()
    batch = client.batch(atomic=False)
    for number in range(30):
        batch.custom_command(["INCRBY", keys[number % 3], str(number)])
    batch.mget(keys)
    batch.custom_command(["DBSIZE"])
    batch.lpush(keys[0], ["x"])
    *numbers, values, size, error = client.call("exec", batch, raise_on_error=False)
    assert numbers == [sum(range(number % 3, number + 1, 3)) for number in range(30)]
    assert (values, size) == ([b"135", b"145", b"155"], 3)
    assert "WRONGTYPE" in str(error)


def test_a_pipeline_that_blocks_keeps_its_order(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    keys = cluster.keys_of_each()
    batch = client.batch(atomic=False)
    for key in keys:
        batch.rpush(key, ["first"])
        batch.custom_command(["BLPOP", key, "5"])
    expected = [[1, [key.encode(), b"first"]] for key in keys]
    assert client.call("exec", batch, raise_on_error=True) == [each for pair in expected for each in pair]


def test_commands_without_keys_go_where_all_is_known(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    keys = cluster.keys_of_each()
    client.call("mset", dict.fromkeys(keys, "v"))
    assert client.call("custom_command", ["PING"]) == b"PONG"
    assert sorted(client.call("custom_command", ["KEYS", "*"])) == sorted(key.encode() for key in keys)
    assert client.call("custom_command", ["RANDOMKEY"]).decode() in keys
    assert client.call("custom_command", ["WAIT", "1", "2000"]) == 1
    digest = client.call("custom_command", ["SCRIPT", "LOAD", "return KEYS[1]"])
    assert client.call("custom_command", ["SCRIPT", "EXISTS", digest, "0" * 40]) in ([True, False], [1, 0])
    for key in keys:
        assert client.call("custom_command", ["EVALSHA", digest, "1", key]) == key.encode()
    assert len(client.call("custom_command", ["FUNCTION", "STATS"])) == 6
    assert client.call("custom_command", ["FLUSHALL"]) == "OK"
    assert client.call("custom_command", ["DBSIZE"]) == 0


def test_routes_choose_the_nodes(ask: Ask, cluster: Cluster) -> None:
    addresses = {node.address.encode() for node in cluster.nodes}
    primaries = {node.address.encode() for node in cluster.primaries}
    ports = {node.port for node in cluster.primaries}
    assert set(ask("CONFIG", "GET", "port", route="all_nodes")) == addresses
    assert set(ask("CONFIG", "GET", "port", route="all_primaries")) == primaries
    assert int(ask("CONFIG", "GET", "port", route="random")[b"port"]) in ports
    for node in cluster.nodes:
        reply = ask("CONFIG", "GET", "port", route=["address", "127.0.0.1", node.port])
        assert reply == {b"port": b"%d" % node.port}
    key = cluster.keys_of_each()[1]
    owner = cluster.owner(key)
    for role, primary in (("primary", True), ("replica", False)):
        port = int(ask("CONFIG", "GET", "port", route=["slot_key", key.encode(), role])[b"port"])
        assert (port == owner.port) is primary
        assert (port in ports) is primary
    assert ask("CLUSTER", "COUNTKEYSINSLOT", "16383", route=["slot_id", 16383, "primary"]) == 0
    assert ask("DBSIZE", route="all_nodes") == 0


def test_a_replica_answers_a_read_that_is_routed_to_it(ask: Ask, cluster: Cluster) -> None:
    key = cluster.keys_of_each()[0]
    GET.write(cluster, key, 1)
    replica = next(
        node
        for node in cluster.nodes
        if not node.is_primary and node.ask("ROLE")[2] == cluster.owner(key).port
    )
    replica.admin.config_resetstat()
    to_replica = ["slot_key", key.encode(), "replica"]
    wait_until(lambda: ask("GET", key, route=to_replica) == b"v1", "the replica has the value")
    assert replica.calls("get") > 0
    assert ask("SET", key, "v2", route=to_replica) == "OK", "a write is redirected to the primary"


def test_a_scan_walks_one_node(ask: Ask, cluster: Cluster) -> None:
    GET.write(cluster, cluster.keys_of_each()[2], 1)
    sizes = [
        len(ask("SCAN", "0", "COUNT", "1000", route=["address", "127.0.0.1", node.port])[1])
        for node in cluster.primaries
    ]
    assert sizes == [0, 0, 1]
    with pytest.raises(ReplyRefused, match="SCAN concerns one node of a cluster: say which by a route"):
        ask("SCAN", "0")


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ("everywhere", "route 'everywhere' is none; expected \"random\""),
        (["slot_key", "text", "primary"], "expected"),
        (["slot_id", 16384, "primary"], "0 to 16383"),
        (["slot_id", True, "primary"], "expected"),
        (["slot_key", b"k", "leader"], '"primary" | "replica"'),
        (["address", "host", 0], "0 is not a port"),
        (["address", "ho st", 1], "is not a host name"),
        (7, "route 7 is none"),
    ],
)
def test_malformed_routes_are_refused(ask: Ask, route: object, message: str) -> None:
    with pytest.raises(ReplyRefused) as raised:
        ask("PING", route=route)
    assert raised.value.code == protocol.ERROR_PROTOCOL
    assert message in raised.value.message


def test_a_node_that_is_not_of_the_cluster_is_not_connected_to(ask: Ask, cluster: Cluster) -> None:
    with pytest.raises(ReplyRefused, match=rf"has no node 127.0.0.1:1; it has: .*{cluster.nodes[0].port}"):
        ask("PING", route=["address", "127.0.0.1", 1])


def test_a_batch_goes_to_the_node_of_its_route(wire: WireClient, session: int, cluster: Cluster) -> None:
    node = cluster.nodes[-1]
    ports = [[b"CONFIG", b"GET", b"port"]] * 2
    for atomic in (False, True):
        replies = wire.request(protocol.BATCH, session, atomic, ports, ["address", "127.0.0.1", node.port])
        assert replies == [{b"port": b"%d" % node.port}] * 2
    with pytest.raises(ReplyRefused, match="all of a batch goes to one node"):
        wire.request(protocol.BATCH, session, False, ports, "all_nodes")


def test_blocking_commands_block_nobody_else(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    keys = cluster.keys_of_each()
    results = client.call_together(
        [("custom_command", ["BLPOP", key, "10"]) for key in keys]
        + [("custom_command", ["RPUSH", key, "x"]) for key in keys]
    )
    assert results[:3] == [[key.encode(), b"x"] for key in keys]


def test_watched_keys_are_watched_where_they_are(connect: Connector, cluster: Cluster) -> None:
    client = connect()
    for key in cluster.keys_of_each():
        for expected in (["OK"], None):
            client.call("watch", [key, f"{{{key}}}"])
            if expected is None:
                GET.write(cluster, key, 2)
            batch = client.batch(atomic=True)
            batch.set(key, "3")
            assert client.call("exec", batch, raise_on_error=True) == expected
        assert cluster.owner(key).admin.get(key) == b"v2"


def test_statistics_show_the_cluster(connect: Connector, daemon: Daemon, wire: WireClient) -> None:
    connect().get("k")
    wire.hello()
    numbers = next(each for each in wire.request(protocol.STATS)["upstreams"] if each["name"] == "default")
    assert numbers["mode"] == "cluster"
    assert numbers["slots_covered"] == 16384
    assert sorted(node["role"] for node in numbers["nodes"]) == ["primary"] * 3 + ["replica"] * 3
    assert sum(node["slots"] for node in numbers["nodes"]) == 16384
    assert numbers["refreshes"] >= 1
    assert daemon.running
