"""`read_from`: replicas answer reads, never behind the client's own writes; the primary is found, and found again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import Batch, ReadFrom, RequestError
from support.caches import new_cache
from support.clients import at
from support.fault_proxy import REPLIES, proxy_before
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


@pytest.fixture
def kind() -> str:
    """Where reads go is the daemon's business: one kind of client shows it."""
    return "blocking"


def follow(replica: ValkeyServer, primary_port: int) -> None:
    """Have a server be a replica of what listens at that port, and wait until it is."""
    replica.admin.execute_command("REPLICAOF", HOST, primary_port)
    wait_until(lambda: replica.admin.info("replication")["master_link_status"] == "up", "replication")


@pytest.fixture
def servers(start_valkey: Callable[..., ValkeyServer]) -> list[ValkeyServer]:
    """A primary and two replicas."""
    servers = [start_valkey("repl-diskless-sync-delay 0") for _ in range(3)]
    for replica in servers[1:]:
        follow(replica, servers[0].port)
    return servers


def reads_of(servers: list[ValkeyServer]) -> list[int]:
    """How many `STRLEN` each server has had."""
    return [server.calls("strlen") for server in servers]


def read_until_replicas_answer(client: AnyClient, replicas: list[ValkeyServer], key: str = "k") -> None:
    """Nothing waits for a replica's connection: read until each of them stands."""

    def all_asked() -> bool:
        client.call("strlen", key)
        return all(replica.calls("strlen") for replica in replicas)

    wait_until(all_asked, "each replica answers")


def test_replicas_answer_in_turn_and_the_primary_gets_what_is_its_own(
    connect: Connector, daemon: Daemon, servers: list[ValkeyServer]
) -> None:
    primary, *replicas = servers
    primary.admin.set("k", "value")
    wait_until(lambda: all(replica.admin.exists("k") for replica in replicas), "replication")
    # In whatever order they are given.
    client = connect(**at(daemon, *reversed(servers)), read_from=ReadFrom.PREFER_REPLICA)
    read_until_replicas_answer(client, replicas)
    before = reads_of(servers)
    for _ in range(10):
        assert client.call("strlen", "k") == 5
    assert [after - number for after, number in zip(reads_of(servers), before, strict=True)] == [0, 5, 5]
    assert client.get("k") == b"value"
    assert primary.calls("get") == 0
    batch = Batch(is_atomic=False)
    batch.get("k")
    assert client.call("exec", batch, raise_on_error=True) == [b"value"]
    assert client.call("custom_command", ["SCAN", "0"])[1] == [b"k"]
    assert primary.calls("scan") == primary.calls("get") == 1
    assert client.call("set", "k", "v") == "OK"


def test_all_nodes_includes_the_primary_and_primary_alone_is_the_default(
    connect: Connector, daemon: Daemon, servers: list[ValkeyServer]
) -> None:
    client = connect(**at(daemon, *servers), read_from=ReadFrom.ALL_NODES)
    read_until_replicas_answer(client, servers)
    before = reads_of(servers)
    for _ in range(9):
        client.call("strlen", "k")
    assert [after - number for after, number in zip(reads_of(servers), before, strict=True)] == [3, 3, 3]
    other = connect(**at(daemon, *servers))
    before = reads_of(servers)
    for _ in range(5):
        other.call("strlen", "k")
    assert [after - number for after, number in zip(reads_of(servers), before, strict=True)] == [5, 0, 0]


def test_c23_a_client_reads_its_own_writes_however_far_replicas_are_behind(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    primary, replica = start_valkey("repl-diskless-sync-delay 0"), start_valkey()
    with proxy_before(primary.port) as replication:
        follow(replica, replication.port)
        reached = {**at(daemon, primary, replica), "read_from": ReadFrom.PREFER_REPLICA}
        writer, reader = connect(**reached), connect(**reached)
        primary.admin.set("k", "")
        wait_until(lambda: replica.admin.exists("k"), "replication")
        read_until_replicas_answer(reader, [replica])
        replication.hold(REPLIES)
        for number in range(1, 30):
            writer.call("append", "k", "x")
            assert writer.call("strlen", "k") == number
        assert reader.call("strlen", "k") == 0, "who has written nothing is answered by what there is"
        assert connect(**reached).call("strlen", "k") == 29, "who is new may have written before it came"
        replication.release(REPLIES)
        asked = replica.calls("strlen")

        def replica_answers() -> bool:
            assert writer.call("strlen", "k") == 29
            return replica.calls("strlen") > asked

        wait_until(replica_answers, "the replica has come as far, and is asked again")


def test_c22_the_cache_is_filled_from_the_primary_alone(
    connect: Connector, daemon: Daemon, servers: list[ValkeyServer]
) -> None:
    primary, *replicas = servers
    primary.admin.set("k", "v")
    client = connect(new_cache(), **at(daemon, *servers), read_from=ReadFrom.PREFER_REPLICA)
    read_until_replicas_answer(client, replicas)
    assert client.get("k") == b"v"
    assert client.call("get_many", ["k", "other"]) == [b"v", None]
    assert primary.calls("get") == primary.calls("mget") == 1


def test_where_replicas_fail_the_primary_answers(
    connect: Connector, daemon: Daemon, servers: list[ValkeyServer]
) -> None:
    primary, *replicas = servers
    client = connect(**at(daemon, *servers), read_from=ReadFrom.PREFER_REPLICA)
    read_until_replicas_answer(client, replicas)
    for replica in replicas:
        replica.kill()
    for _ in range(10):
        assert client.call("strlen", "k") == 0
    assert primary.calls("strlen") >= 10
    replicas[0].restart()
    follow(replicas[0], primary.port)
    read_until_replicas_answer(client, replicas[:1])


def test_a_replica_that_cannot_answer_is_passed_over(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    primary, replica = start_valkey("repl-diskless-sync-delay 0"), start_valkey("replica-serve-stale-data no")
    follow(replica, primary.port)
    client = connect(**at(daemon, primary, replica), read_from=ReadFrom.PREFER_REPLICA)
    read_until_replicas_answer(client, [replica])
    primary.admin.execute_command("CLIENT", "KILL", "TYPE", "replica")
    replica.admin.execute_command("REPLICAOF", HOST, 1)
    with pytest.raises(Exception, match="MASTERDOWN"):
        replica.admin.strlen("k")
    for _ in range(3):
        assert client.call("strlen", "k") == 0


def test_a_replica_that_hangs_is_left_alone_after_a_moment(
    connect: Connector, daemon: Daemon, servers: list[ValkeyServer]
) -> None:
    _, *replicas = servers
    own = {**at(daemon, *servers), "fallback": "error"}  # a direct read would ask the primary
    client = connect(**own, read_from=ReadFrom.PREFER_REPLICA, request_timeout=400)
    read_until_replicas_answer(client, replicas)
    for replica in replicas:
        replica.pause()
    for _ in replicas:
        with pytest.raises(RequestError):
            client.call("strlen", "k")
    for _ in range(10):
        assert client.call("strlen", "k") == 0
    for replica in replicas:
        replica.resume()
    before = [replica.calls("strlen") for replica in replicas]
    wait_until(
        lambda: (
            client.call("strlen", "k") == 0
            and all(
                replica.calls("strlen") > number for replica, number in zip(replicas, before, strict=True)
            )
        ),
        "they are asked again",
    )


@pytest.mark.parametrize("how", ["killed", "demoted"])
def test_after_a_fail_over_the_primary_is_found_again(
    connect: Connector, daemon: Daemon, servers: list[ValkeyServer], how: str
) -> None:
    old, new, other = servers
    client = connect(**at(daemon, *servers), read_from=ReadFrom.PREFER_REPLICA)
    assert client.call("set", "k", "before") == "OK"
    wait_until(lambda: new.admin.exists("k") and other.admin.exists("k"), "replication")
    new.admin.execute_command("REPLICAOF", "NO", "ONE")
    follow(other, new.port)
    if how == "killed":
        old.kill()
    else:
        follow(old, new.port)

    def writes() -> Any:
        try:
            return client.call("set", "k", "after")
        except RequestError:
            return None

    wait_until(writes, "the new primary is written to")
    assert new.admin.get("k") == b"after"
    assert client.get("k") == b"after"
