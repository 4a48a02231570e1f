"""Routes: how they are sent, and what a cluster's replies become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    AllNodes,
    AllPrimaries,
    BatchRetryStrategy,
    ByAddressRoute,
    ClientSideCache,
    ClusterBatch,
    ClusterBatchOptions,
    ConfigurationError,
    RandomNode,
    RequestError,
    Route,
    Script,
    SlotIdRoute,
    SlotKeyRoute,
    SlotType,
)
from glidecache_shared import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient

NODE, OTHER = b"127.0.0.1:7000", b"127.0.0.1:7001"
PRIMARY, REPLICA = SlotType.PRIMARY, SlotType.REPLICA

ROUTES = [
    (RandomNode(), "random"),
    (AllNodes(), "all_nodes"),
    (AllPrimaries(), "all_primaries"),
    (SlotKeyRoute(PRIMARY, "k"), ["slot_key", b"k", "primary"]),
    (SlotKeyRoute(REPLICA, b"\xff"), ["slot_key", b"\xff", "replica"]),
    (SlotIdRoute(REPLICA, 16_383), ["slot_id", 16_383, "replica"]),
    (ByAddressRoute("node", 7000), ["address", "node", 7000]),
    (ByAddressRoute("::1:7000"), ["address", "::1", 7000]),
]


@pytest.fixture
def client(daemon: Any, connect: Callable[..., AnyClient]) -> AnyClient:
    daemon.pool = None
    return connect(cluster=True)


def commands(daemon: Any) -> list[list[Any]]:
    """What was sent: arguments, and the route if there was one."""
    return [body[1:] for _, body in daemon.operations(protocol.COMMAND)]


@pytest.mark.parametrize(("route", "sent"), ROUTES, ids=[str(sent) for _, sent in ROUTES])
def test_a_route_is_sent_behind_the_arguments(
    client: AnyClient, daemon: Any, route: Route, sent: Any
) -> None:
    client.call("echo", "words", route)
    client.call("echo", "words")
    client.call("custom_command", ["ECHO", "words"], route=route)
    assert commands(daemon) == [
        [[b"ECHO", b"words"], sent],
        [[b"ECHO", b"words"]],
        [[b"ECHO", b"words"], sent],
    ]


@pytest.mark.parametrize(
    ("method", "arguments", "route", "reply", "result"),
    [
        ("echo", ["x"], AllNodes(), {NODE: b"x", OTHER: b"x"}, {NODE: b"x", OTHER: b"x"}),
        ("config_get", [["a"]], AllPrimaries(), {NODE: [b"a", b"1"]}, {NODE: {b"a": b"1"}}),
        ("config_get", [["a"]], AllPrimaries(), {NODE: {b"a": b"1"}}, {NODE: {b"a": b"1"}}),
        ("config_get", [["a"]], RandomNode(), {b"a": b"1"}, {b"a": b"1"}),
        ("config_get", [["a"]], None, {b"a": b"1"}, {b"a": b"1"}),
        ("info", [], None, {NODE: b"redis_version"}, {NODE: b"redis_version"}),
        ("info", [], SlotIdRoute(PRIMARY, 0), b"redis_version", b"redis_version"),
        ("memory_doctor", [], None, {NODE: b"well"}, {NODE: "well"}),
        ("latency_latest", [], None, {NODE: []}, {NODE: []}),
        ("script_exists", [["x"]], AllPrimaries(), [1], [True]),
        ("dbsize", [], AllPrimaries(), 5, 5),
        ("config_set", [{"a": 1}], AllNodes(), b"OK", "OK"),
        ("bgsave", [], None, {NODE: b"started"}, {NODE: b"started"}),
        ("client_unpause", [], AllNodes(), b"OK", "OK"),
        ("custom_command", [["CONFIG", "GET", "a"]], AllNodes(), {NODE: [b"a", b"1"]}, {NODE: {b"a": b"1"}}),
        ("custom_command", [["function", "stats"]], None, {NODE: [b"running_script", None, b"engines", []]}, ...),
        ("fcall_route", ["f", ["a"]], AllPrimaries(), {NODE: 1, OTHER: 2}, {NODE: 1, OTHER: 2}),
        ("pubsub_shardnumsub", [["c"]], None, {b"c": 2}, {b"c": 2}),
    ],
)  # fmt: skip
def test_c5_replies_of_several_nodes_are_decoded_one_by_one(
    client: AnyClient,
    daemon: Any,
    method: str,
    arguments: list[Any],
    route: Route | None,
    reply: Any,
    result: Any,
) -> None:
    daemon.answers[protocol.COMMAND] = lambda _body: reply
    options = {} if route is None else {"route": route}
    if result is ...:
        result = {NODE: {b"running_script": None, b"engines": {}}}
    returned = client.call(method, *arguments, **options)
    assert returned == result
    assert type(returned) is type(result)


def test_c1_a_read_with_a_route_goes_past_the_cache(daemon: Any, connect: Callable[..., AnyClient]) -> None:
    client = connect(cluster=True, client_side_cache=ClientSideCache.create(64, 0))
    client.call("custom_command", ["GET", "k"], RandomNode())
    assert commands(daemon) == [[[b"GET", b"k"], "random"]]
    assert not daemon.operations(protocol.READ)


def test_a_script_is_loaded_before_it_runs_on_several_nodes(client: AnyClient, daemon: Any) -> None:
    script = Script("return 1")
    client.call("invoke_script_route", script, ["a"], AllPrimaries())
    digest = script.get_hash().encode()
    assert commands(daemon) == [
        [[b"SCRIPT", b"LOAD", b"return 1"]],
        [[b"EVALSHA", digest, b"0", b"a"], "all_primaries"],
    ]


def test_i7_where_not_all_nodes_load_a_script_those_of_the_route_have_to(
    client: AnyClient, daemon: Any
) -> None:
    daemon.refusals.append((protocol.ERROR_CONNECTION, "one node is not reachable"))
    client.call("invoke_script_route", Script("return 1"), None, AllPrimaries())
    assert [sent[1:] for sent in commands(daemon)] == [[], ["all_primaries"], ["all_primaries"]]
    assert [sent[0][0] for sent in commands(daemon)] == [b"SCRIPT", b"SCRIPT", b"EVALSHA"]


def test_a_script_follows_its_route_when_the_node_does_not_know_it(client: AnyClient, daemon: Any) -> None:
    daemon.refusals.append((protocol.ERROR_REQUEST, "NOSCRIPT No matching script."))
    client.call("invoke_script_route", Script("return 1"), None, SlotIdRoute(PRIMARY, 1))
    route = ["slot_id", 1, "primary"]
    assert [sent[1:] for sent in commands(daemon)] == [[route], [], [route]]
    assert commands(daemon)[1][0] == [b"SCRIPT", b"LOAD", b"return 1"]
    assert commands(daemon)[2][0][:2] == [b"EVAL", b"return 1"]


def test_a_batch_with_a_route_is_sent_to_its_node(client: AnyClient, daemon: Any) -> None:
    daemon.answers[protocol.BATCH] = lambda body: [{b"a": b"1"} for _ in body[2]]
    batch = ClusterBatch(is_atomic=False)
    batch.custom_command(["INFO"])
    options = ClusterBatchOptions(route=SlotKeyRoute(PRIMARY, "k"), retry_strategy=BatchRetryStrategy())
    # One node's reply, which is a map itself, is not taken for several nodes'.
    assert client.call("exec", batch.config_get(["a"]), True, options) == [{b"a": b"1"}] * 2
    ((_, body),) = daemon.operations(protocol.BATCH)
    assert body[1:] == [False, [[b"INFO"], [b"CONFIG", b"GET", b"a"]], ["slot_key", b"k", "primary"]]


def test_c5_in_a_batch_too_several_nodes_replies_are_decoded_one_by_one(
    client: AnyClient, daemon: Any
) -> None:
    replies: list[Any] = [{NODE: [b"engines", [], b"running_script", None]}, 1]
    daemon.answers[protocol.BATCH] = lambda _body: replies
    results = client.call("exec", ClusterBatch(is_atomic=False).function_stats().dbsize(), True)
    assert results == [{NODE: {b"engines": {}, b"running_script": None}}, 1]
    assert daemon.operations(protocol.BATCH)[0][1][3:] == []


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SlotKeyRoute("primary", "k"), TypeError, "slot_type must be a SlotType, not str"),
        (lambda: SlotKeyRoute(PRIMARY, 1), TypeError, "slot_key must be a str or bytes, not int"),
        (lambda: SlotIdRoute(PRIMARY, True), TypeError, "slot_id must be an int, not bool"),
        (lambda: SlotIdRoute(PRIMARY, 16_384), ValueError, "from 0 to 16383, not 16384"),
        (lambda: ByAddressRoute("localhost"), RequestError, "not of the form host:port: localhost"),
        (lambda: ByAddressRoute("localhost:http"), RequestError, "not of the form host:port: localhost:http"),
        (lambda: ByAddressRoute(None, 1), TypeError, "host must be a str, not NoneType"),
        (lambda: ClusterBatchOptions(route="random"), TypeError, "route must be a Route, not str"),
        (lambda: ClusterBatchOptions(route=AllNodes()), TypeError, "lead to one node, not AllNodes"),
        (
            lambda: ClusterBatchOptions(retry_strategy=True),
            TypeError,
            "must be a BatchRetryStrategy, not bool",
        ),
        (
            lambda: ClusterBatchOptions(retry_strategy=BatchRetryStrategy(retry_connection_error=True)),
            ConfigurationError,
            "retry_connection_error=True is not supported",
        ),
    ],
)
def test_what_is_no_route_is_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_nothing_is_sent_with_what_is_no_route(client: AnyClient, daemon: Any) -> None:
    with pytest.raises(TypeError, match="route must be a Route, not str"):
        client.call("ping", route="random")
    with pytest.raises(TypeError, match="route must be a Route, not str"):
        client.call("invoke_script_route", Script("return 1"), None, "random")
    assert commands(daemon) == []
