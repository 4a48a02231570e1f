"""Every command of the server, in every shape, on the shared stream: other clients do not notice (I3, I4).

The suite tries a sample, always the same; `GLIDECACHE_STRESS=long` tries all of them.
"""

from __future__ import annotations

import contextlib
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from support.sentinel import Sentinel, Watchman
from support.shapes import LEFT_OUT, Shape, commands_of, lay_out, shapes_of, undo
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from support.clients import AnyClient
    from support.cluster import Cluster
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

    Connect = Callable[..., AnyClient]

LONG = os.environ.get("GLIDECACHE_STRESS") == "long"
SEED = 11
SAMPLE = 500
SAMPLE_OF_BATCHES = 250
SAMPLE_OF_CLUSTER = 150
ABUSER_TIMEOUT_MS = 1_500
LAID_OUT_EVERY = 12


@pytest.fixture(scope="module")
def shapes(abused_valkey: ValkeyServer) -> list[Shape]:
    return shapes_of(ask_of(abused_valkey))


def ask_of(server: ValkeyServer) -> Callable[..., Any]:
    """Return a function that sends the server a command, and returns its plain reply."""

    def ask(*command: object) -> Any:
        connection = server.admin.connection_pool.get_connection("ask")
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            server.admin.connection_pool.release(connection)

    return ask


def sample(shapes: list[Shape], size: int, seed: int = SEED) -> list[Shape]:
    """Return a sample with more of the particular shapes, which are last in the list; in a long run, all shapes."""
    if LONG:
        return shapes
    particular = [shape for shape in shapes[-160:] if shape.command not in {"", "echo"}]
    chance = random.Random(seed)
    chosen = chance.sample(shapes[:-160], size // 2) + chance.sample(
        particular, min(size // 2, len(particular))
    )
    chance.shuffle(chosen)
    return chosen


class Reconnects:
    """The number of times that the daemon has connected again, by its own count."""

    def __init__(self, daemon: Daemon) -> None:
        self._wire = WireClient(daemon.runtime_dir)
        self._wire.hello()

    def __call__(self) -> int:
        upstreams = self._wire.request(protocol.STATS)["upstreams"]
        return sum(upstream["reconnects"] for upstream in upstreams)

    def close(self) -> None:
        self._wire.close()


@pytest.fixture
def reconnects(daemon: Daemon) -> Iterator[Reconnects]:
    counter = Reconnects(daemon)
    yield counter
    counter.close()


def hurt_by(
    shapes: Sequence[Shape],
    issue: Callable[[Shape], object],
    sentinel: Sentinel,
    admin: Any,
    reconnects: Callable[[], int],
) -> list[str]:
    """Return what each shape did to the sentinel, or to the connection that it shares."""
    found = []
    before = reconnects()
    for number, shape in enumerate(shapes):
        if number % LAID_OUT_EVERY == 0:
            lay_out(admin)
        with contextlib.suppress(Exception):
            issue(shape)
        problems = sentinel.check(erased=shape.erases) + sentinel.check()
        now = reconnects()
        if now != before:
            problems.append(f"{now - before} connections were replaced")
            before = now
        if problems:
            found.append(f"{shape}: {'; '.join(problems)}")
    undo(admin)
    return found


def alone(client: AnyClient) -> Callable[[Shape], object]:
    return lambda shape: client.call("custom_command", shape.encoded)


def in_batch(client: AnyClient, *, atomic: bool) -> Callable[[Shape], object]:
    """Return a function that issues a shape between two harmless members of a batch."""

    def issue(shape: Shape) -> object:
        batch = client.batch(atomic=atomic)
        batch.custom_command([b"SET", b"a-string", b"value"])
        batch.custom_command(shape.encoded)
        batch.custom_command([b"GET", b"a-string"])
        return client.call("exec", batch, False)

    return issue


def test_the_shapes_are_those_of_all_commands(abused_valkey: ValkeyServer, shapes: list[Shape]) -> None:
    commands = {command for command, _ in commands_of(ask_of(abused_valkey))}
    assert len(shapes) > 4_000
    assert {shape.command for shape in shapes} >= commands - set(LEFT_OUT)
    assert set(LEFT_OUT) - commands <= {"cluster|flushslot", "cluster|migrateslots"}, "left out, and unknown"


def test_a_sentinel_notices(connect: Connect, server: ValkeyServer) -> None:
    sentinel = Sentinel(connect("blocking"))
    assert sentinel.check() == []
    server.admin.flushall()
    assert len(sentinel.check()) == 2
    server.admin.flushall()
    assert sentinel.check(erased=True) == []
    assert sentinel.check() == []


@pytest.mark.timeout(1_800 if LONG else 120)
def test_i3_i4_no_shape_reaches_another_client(
    kind: str, connect: Connect, server: ValkeyServer, shapes: list[Shape], reconnects: Reconnects
) -> None:
    abuser = connect(kind, request_timeout=ABUSER_TIMEOUT_MS)
    sentinel = Sentinel(connect("blocking"))
    chosen = sample(shapes, SAMPLE, SEED + (kind == "asyncio"))
    found = hurt_by(chosen, alone(abuser), sentinel, server.admin, reconnects)
    assert not found, "\n".join(found)


@pytest.mark.timeout(1_800 if LONG else 120)
@pytest.mark.parametrize("atomic", [False, True], ids=["pipeline", "transaction"])
def test_i3_i4_no_member_of_a_batch_reaches_another_client(
    atomic: bool, connect: Connect, server: ValkeyServer, shapes: list[Shape], reconnects: Reconnects
) -> None:
    abuser = connect("blocking", request_timeout=ABUSER_TIMEOUT_MS)
    sentinel = Sentinel(connect("blocking"))
    chosen = sample(shapes, SAMPLE_OF_BATCHES, SEED + atomic)
    found = hurt_by(chosen, in_batch(abuser, atomic=atomic), sentinel, server.admin, reconnects)
    assert not found, "\n".join(found)


@pytest.mark.timeout(1_800 if LONG else 120)
@pytest.mark.parametrize("batched", [False, True], ids=["alone", "batch"])
def test_i3_i4_no_shape_reaches_another_client_of_a_cluster(
    batched: bool,
    connect: Connect,
    abused_cluster: Cluster,
    start_daemon: Callable[..., Daemon],
    shapes: list[Shape],
) -> None:
    abused_cluster.reset()
    daemon = start_daemon()
    nodes = abused_cluster.nodes[:1]
    abuser = connect("blocking", *nodes, daemon=daemon, cluster=True, request_timeout=ABUSER_TIMEOUT_MS)
    sentinel = Sentinel(connect("blocking", *nodes, daemon=daemon, cluster=True), keys=8)
    issue = in_batch(abuser, atomic=False) if batched else alone(abuser)
    chosen = sample(shapes, SAMPLE_OF_CLUSTER // (1 + batched), SEED + 2 + batched)
    counter = Reconnects(daemon)
    try:
        found = hurt_by(chosen, issue, sentinel, ClusterAdmin(abused_cluster), counter)
    finally:
        counter.close()
    assert not found, "\n".join(found)


def test_i3_i4_others_go_on_while_unusual_commands_run(connect: Connect, server: ValkeyServer) -> None:
    """Commands that block, or whose replies few can read, meet other clients in the middle of their work."""
    lay_out(server.admin)
    abusers = [connect(kind, request_timeout=ABUSER_TIMEOUT_MS) for kind in ("blocking", "asyncio")]
    slow: list[list[bytes]] = [
        [b"XREADGROUP", b"GROUP", b"streams", b"me", b"BLOCK", b"400", b"STREAMS", b"a-stream", b">"],
        [b"XREAD", b"BLOCK", b"400", b"STREAMS", b"a-stream", b"$"],
        [b"BLMPOP", b"0.4", b"1", b"none", b"LEFT"],
        [b"WAIT", b"9", b"400"],
        [b"COMMAND"],
        [b"COMMAND", b"DOCS"],
        [b"EVAL", b"redis.setresp(3); return {map={[{1,2}]=3}}", b"0"],
        [b"DEBUG", b"PROTOCOL", b"push"],
        [b"MONITOR"],
        [b"SUBSCRIBE", b"c"],
        [b"CLIENT", b"REPLY", b"OFF"],
    ]
    sentinel = Sentinel(connect("blocking"))
    with Watchman(sentinel) as watchman:
        for command in slow:
            for abuser in abusers:
                abuser.call_together([("custom_command", command)] * 2)
    assert watchman.problems == []
    assert sentinel.rounds > 50


class ClusterAdmin:
    """A cluster, with the methods that `lay_out` and `undo` need."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster.admin, name)

    def execute_command(self, *arguments: str) -> None:
        for node in self._cluster.primaries:
            node.admin.execute_command(*arguments)

    def acl_users(self) -> list[str]:
        return sorted({user for node in self._cluster.primaries for user in node.admin.acl_users()})

    def acl_deluser(self, user: str) -> None:
        for node in self._cluster.primaries:
            node.admin.acl_deluser(user)
