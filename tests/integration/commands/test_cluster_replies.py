"""What a cluster's client returns, by the command and its route: as GLIDE, which is asked too where it is installed."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import re
from typing import TYPE_CHECKING, Any

import pytest

import glidecache
from glidecache import ClusterBatch, ClusterBatchOptions, ClusterScanCursor, NodeAddress
from support.clients import KINDS, AnyClient, AsyncioClient, close_all, open_client
from support.cluster import Cluster
from support.command_samples import as_text
from support.daemon import Daemon
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


GLIDE = pytest.param(
    "glide",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("glide") is None,
        reason="GLIDE is not installed: it cannot be asked for the same (pip install '.[bench]')",
    ),
)
TIMEOUT_MS = 5_000
PRIMARIES = 3
ADDRESS = re.compile(rb"127\.0\.0\.1:\d+")
LIBRARY = """#!lua name=samples
redis.register_function{
  function_name='answer', callback=function(keys, args) return args[1] end, flags={'no-writes'}
}
"""

Names = Any
Row = tuple[str, "Callable[[Names], tuple[Any, ...]]", str]


def to_all(names: Names) -> tuple[Any, ...]:
    return (names.AllNodes(),)


def to_primaries(names: Names) -> tuple[Any, ...]:
    return (names.AllPrimaries(),)


def to_one(names: Names) -> tuple[Any, ...]:
    return (names.SlotKeyRoute(names.SlotType.PRIMARY, "k"),)


def to_replica(names: Names) -> tuple[Any, ...]:
    return (names.SlotIdRoute(names.SlotType.REPLICA, 0),)


def nowhere(_names: Names) -> tuple[Any, ...]:
    return ()


def behind(
    *arguments: Any, route: Callable[[Names], tuple[Any, ...]] = nowhere
) -> Callable[[Names], tuple[Any, ...]]:
    """Arguments, and a route behind them."""
    return lambda names: (*arguments, *route(names))


def info_of(route: Callable[[Names], tuple[Any, ...]]) -> Callable[[Names], tuple[Any, ...]]:
    return lambda names: ([names.InfoSection.CLUSTER], *route(names))


INVOKED = "return ARGV[1]"
INVOKED_SHA1 = hashlib.sha1(INVOKED.encode(), usedforsecurity=False).hexdigest()
INFO = r"b'# Cluster\r\ncluster_enabled:1\r\n'"
ROWS: list[Row] = [
    ("echo", behind("x"), "b'x'"),
    ("echo", behind("x", route=to_one), "b'x'"),
    ("echo", behind("x", route=to_replica), "b'x'"),
    ("echo", behind("x", route=to_primaries), "3 nodes: b'x'"),
    ("echo", behind("x", route=to_all), "6 nodes: b'x'"),
    ("ping", behind("x", route=to_all), "b'x'"),
    ("info", info_of(nowhere), f"3 nodes: {INFO}"),
    ("info", info_of(to_one), INFO),
    ("info", info_of(to_all), f"6 nodes: {INFO}"),
    ("config_get", behind(["maxmemory"]), "{b'maxmemory': b'0'}"),
    ("config_get", behind(["maxmemory"], route=to_one), "{b'maxmemory': b'0'}"),
    ("config_get", behind(["maxmemory"], route=to_all), "6 nodes: {b'maxmemory': b'0'}"),
    ("config_set", behind({"timeout": "0"}), "'OK'"),
    ("config_set", behind({"timeout": "0"}, route=to_primaries), "'OK'"),
    ("mset", behind({"a": "1", "b": "2", "c": "3", "d": "4"}), "'OK'"),
    ("mget", behind(["c", "missing", "a"]), "[b'3', None, b'1']"),
    ("dbsize", behind(), "4"),
    ("dbsize", behind(route=to_primaries), "4"),
    ("touch", behind(["a", "b", "missing"]), "2"),
    ("delete", behind(["a", "b", "c", "d", "missing"]), "4"),
    ("random_key", behind(), "None"),
    ("memory_purge", behind(), "'OK'"),
    ("latency_latest", behind(route=to_primaries), "3 nodes: []"),
    ("latency_history", behind("e", route=to_all), "6 nodes: []"),
    ("latency_latest", behind(), "3 nodes: []"),
    ("latency_history", behind("e"), "3 nodes: []"),
    ("latency_reset", behind(), "0"),
    ("client_unpause", behind(route=to_primaries), "'OK'"),
    ("function_load", behind(LIBRARY, True), "b'samples'"),
    ("fcall_route", behind("answer", ["x"], route=to_one), "b'x'"),
    ("fcall_ro_route", behind("answer", ["x"], route=to_primaries), "3 nodes: b'x'"),
    ("function_delete", behind("samples"), "'OK'"),
    ("function_list", behind("samples", False, route=to_primaries), "3 nodes: []"),
    ("script_exists", behind(["0" * 40]), "[False]"),
    ("script_exists", behind(["0" * 40], route=to_primaries), "[False]"),
    ("script_flush", lambda names: (names.FlushMode.SYNC,), "'OK'"),
    ("script_kill", behind(), "RequestError"),
    ("invoke_script", lambda names: (names.Script(INVOKED), None, ["x"]), "b'x'"),
    (
        "invoke_script_route",
        lambda names: (names.Script("return ARGV[1] .. '.'"), ["x"], *to_primaries(names)),
        "3 nodes: b'x.'",
    ),
    (
        "invoke_script_route",
        lambda names: (names.Script("return ARGV[1] .. '!'"), ["x"], *to_one(names)),
        "b'x!'",
    ),
    ("script_exists", behind([INVOKED_SHA1]), "[True]"),
    ("custom_command", behind(["SCRIPT", "EXISTS", INVOKED_SHA1], route=to_all), "[True]"),
    ("custom_command", behind(["SCRIPT", "SHOW", INVOKED_SHA1], route=to_all), f"6 nodes: {INVOKED.encode()!r}"),
    ("script_show", behind(INVOKED_SHA1), repr(INVOKED.encode())),
    ("publish", behind("message", "channel", True), "0"),
    ("pubsub_shardnumsub", behind(["channel"]), "{b'channel': 0}"),
    ("copy", behind("{k}missing", "{k}d", True), "False"),
    ("custom_command", behind(["CONFIG", "GET", "maxmemory"]), "{b'maxmemory': b'0'}"),
    ("custom_command", behind(["CONFIG", "GET", "maxmemory"], route=to_all), "6 nodes: {b'maxmemory': b'0'}"),
    ("custom_command", behind(["SLOWLOG", "RESET"], route=to_all), "'OK'"),
    ("custom_command", behind(["CLIENT", "UNPAUSE"]), "'OK'"),
    ("custom_command", behind(["CLIENT", "UNPAUSE"], route=to_all), "'OK'"),
    ("set", behind("k", "1"), "'OK'"),
    ("custom_command", behind(["EXISTS", "k"], route=to_primaries), "3"),
    ("custom_command", behind(["EXISTS", "k"], route=to_all), "6"),
    ("custom_command", behind(["touch", "k"], route=to_primaries), "3"),
    ("custom_command", behind(["MGET", "k"], route=to_primaries), "[b'1', b'1', b'1']"),
    ("custom_command", behind(["MSET", "k", "2"], route=to_primaries), "'OK'"),
    ("custom_command", behind(["DEL", "k"], route=to_primaries), "1"),
    ("custom_command", behind(["UNLINK", "x"], route=to_all), "0"),
    ("custom_command", behind(["EXISTS", "k"], route=to_one), "0"),
    ("custom_command", behind(["GET", "k"], route=to_primaries), "3 nodes: None"),
    ("custom_command", behind(["CLIENT", "KILL", "ID", "999999"]), "0"),
    ("custom_command", behind(["CLIENT", "KILL", "ID", "999999"], route=to_all), "0"),
    ("custom_command", behind(["SLOWLOG", "LEN"], route=to_all), "0"),
    ("custom_command", behind(["PUBSUB", "NUMPAT"], route=to_primaries), "0"),
    ("custom_command", behind(["FUNCTION", "FLUSH"], route=to_primaries), "'OK'"),
    ("custom_command", behind(["LATENCY", "RESET"], route=to_all), "0"),
    ("custom_command", behind(["SCRIPT", "EXISTS", "x"], route=to_all), "[False]"),
    ("custom_command", behind(["COMMAND", "LIST", "FILTERBY", "PATTERN", "no"], route=to_all), "6 nodes: []"),
]  # fmt: skip


def text_of(result: Any) -> str:
    """A result as text; of several nodes how many, and what each of them answered, which is the same."""
    if isinstance(result, dict) and result and all(map(ADDRESS.fullmatch, result)):
        texts = {as_text(each) for each in result.values()}
        return f"{len(result)} nodes: {' or '.join(sorted(texts))}"
    return as_text(result)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster-replies"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def daemon(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    seeds = [node.address for node in cluster.nodes]
    upstreams = {"default": {"mode": "cluster", "addresses": seeds}}
    daemon = Daemon(tmp_path_factory.mktemp("cluster-replies-daemon"), {"upstreams": upstreams})
    daemon.start()
    yield daemon
    assert daemon.running, daemon.log_text()
    daemon.discard()


def open_glide(cluster: Cluster) -> AnyClient:
    import glide

    addresses = [glide.NodeAddress(HOST, cluster.nodes[0].port)]
    configuration = glide.GlideClusterClientConfiguration(addresses, request_timeout=TIMEOUT_MS)
    runner = asyncio.Runner()
    return AsyncioClient(runner, runner.run(glide.GlideClusterClient.create(configuration)))


def open_ours(kind: str, cluster: Cluster, daemon: Daemon) -> AnyClient:
    addresses = [NodeAddress(HOST, node.port) for node in cluster.nodes]
    return open_client(
        kind,
        cluster=True,
        addresses=addresses,
        runtime_dir=str(daemon.runtime_dir),
        request_timeout=TIMEOUT_MS,
    )


@pytest.mark.parametrize("who", [*KINDS, GLIDE])
def test_c5_methods_return_what_glide_returns(who: str, cluster: Cluster, daemon: Daemon) -> None:
    cluster.reset()
    names: Names = glidecache
    if who == "glide":
        names = importlib.import_module("glide")
        client = open_glide(cluster)
    else:
        client = open_ours(who, cluster, daemon)
    try:
        returned = []
        for method, arguments, _ in ROWS:
            try:
                result = client.call(method, *arguments(names))
            except names.GlideError as error:
                result = error
            returned.append((method, text_of(result)))
    finally:
        close_all([client])
    assert returned == [(method, expected) for method, _, expected in ROWS]


@pytest.fixture
def client(kind: str, cluster: Cluster, daemon: Daemon) -> Iterator[AnyClient]:
    cluster.reset()
    client = open_ours(kind, cluster, daemon)
    yield client
    close_all([client])


def test_a_scan_returns_every_key_of_every_node(client: AnyClient) -> None:
    keys = {b"key-%d" % number for number in range(200)}
    client.call("mset", dict.fromkeys(keys, "v"))
    client.call("sadd", "other", ["m"])
    cursor, found = ClusterScanCursor(), []
    while not cursor.is_finished():
        cursor, some = client.call("scan", cursor, "key-*", 20, glidecache.ObjectType.STRING)
        found += some
    assert set(found) == keys


def test_a_batch_is_answered_by_node_where_its_commands_are(client: AnyClient) -> None:
    batch = ClusterBatch(is_atomic=False)
    batch.set("a", 1).get("a").info([glidecache.InfoSection.CLUSTER]).dbsize().config_get(["maxmemory"])
    results = client.call("exec", batch, True)
    assert list(map(text_of, results)) == [
        *("'OK'", "b'1'", f"{PRIMARIES} nodes: {INFO}", "1", "{b'maxmemory': b'0'}"),
    ]


def test_a_batch_with_a_route_runs_on_its_node_alone(client: AnyClient) -> None:
    client.call("mset", {f"key-{number}": "v" for number in range(50)})
    batch = ClusterBatch(is_atomic=False).info([glidecache.InfoSection.CLUSTER]).dbsize()
    route = glidecache.SlotKeyRoute(glidecache.SlotType.PRIMARY, "key-1")
    info, size = client.call("exec", batch, True, ClusterBatchOptions(route=route))
    assert text_of(info) == INFO
    assert 0 < size < 50
