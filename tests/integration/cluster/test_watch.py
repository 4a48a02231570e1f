"""`watch` in a cluster: keys of several slots, on several nodes; the transaction has one slot, and depends on all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import GlideError, RequestError
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.clients import AnyClient
    from support.cluster import Cluster
    from support.connector import Connector
    from support.valkey_server import ValkeyServer


def watching(cluster: Cluster) -> int:
    """Return the number of connections that watch keys, by the servers' own count."""
    return sum(
        int(connection["watch"]) > 0 for node in cluster.running for connection in node.admin.client_list()
    )


def execute(client: AnyClient, *commands: list[str]) -> Any:
    batch = client.batch(atomic=True)
    for command in commands:
        batch.custom_command(command)  # type: ignore[arg-type]
    return client.call("exec", batch, raise_on_error=True)


@pytest.fixture
def keys(cluster: Cluster) -> Iterator[list[str]]:
    """Return a key of each primary; end the test's watches afterwards."""
    yield cluster.keys_of_each()
    wait_until(lambda: watching(cluster) == 0, "nothing is watched any more")


def test_c5_keys_of_several_slots_are_watched(connect: Connector, cluster: Cluster, keys: list[str]) -> None:
    client = connect()
    for key in keys:
        assert client.call("watch", [*keys, f"{{{key}}}more", "another", "and another"]) == "OK"
        assert watching(cluster) == len(keys)
        assert execute(client, ["SET", key, "v"], ["GET", key])[1] == b"v"
        wait_until(lambda: watching(cluster) == 0, "nothing is watched any more")


@pytest.mark.parametrize("together", [True, False])
def test_c5_a_change_on_any_node_keeps_the_transaction_from_running(
    connect: Connector, cluster: Cluster, keys: list[str], together: bool
) -> None:
    """The change is on the node that would run the transaction, or on another one; GLIDE sees only the first."""
    client = connect()
    for changed in keys:
        for key in keys:
            for group in [keys] if together else [[each] for each in keys]:
                client.call("watch", group)
            cluster.owner(changed).admin.set(changed, "changed")
            assert execute(client, ["SET", key, "by transaction"]) is None
            assert cluster.owner(key).admin.get(key) != b"by transaction"
            # The watch is used up: later transactions are as any other.
            assert execute(client, ["SET", f"{{{key}}}2", "x"]) is not None


def test_c5_a_transaction_without_keys_or_elsewhere_heeds_them_too(
    connect: Connector, cluster: Cluster, keys: list[str]
) -> None:
    client = connect()
    first, second, third = keys
    for commands in (["PING"], ["SET", third, "x"]):
        client.call("watch", [first, second])
        assert execute(client, commands) is not None
        client.call("watch", [first, second])
        cluster.owner(second).admin.set(second, "changed")
        assert execute(client, commands) is None


def test_c5_unwatch_forgets_the_keys_of_all_nodes(
    connect: Connector, cluster: Cluster, keys: list[str]
) -> None:
    client = connect()
    client.call("watch", keys)
    assert client.call("unwatch") == "OK"
    assert watching(cluster) == 0
    for key in keys:
        cluster.owner(key).admin.set(key, "changed")
    assert execute(client, ["SET", keys[0], "x"]) is not None


def test_c5_a_transaction_of_several_slots_is_refused_and_nothing_stays_watched(
    connect: Connector, cluster: Cluster, keys: list[str]
) -> None:
    client = connect()
    client.call("watch", keys)
    with pytest.raises(RequestError, match="CROSSSLOT"):
        execute(client, *(["SET", key, "by transaction"] for key in keys))
    wait_until(lambda: watching(cluster) == 0, "nothing is watched any more")
    assert all(cluster.owner(key).admin.get(key) is None for key in keys)


@pytest.mark.parametrize("runs", [0, 1])
def test_i1_a_watch_ends_whole_when_one_of_its_connections_does(
    connect: Connector, cluster: Cluster, keys: list[str], runs: int
) -> None:
    """The lost connection would run the transaction, or would be asked before it."""
    client = connect()
    client.call("watch", keys)
    _end_watching(cluster.owner(keys[0]))
    wait_until(lambda: watching(cluster) == 0, "the other nodes forget the keys as well")
    with pytest.raises(GlideError, match="not watched any more"):
        execute(client, ["SET", keys[runs], "by transaction"])
    assert all(cluster.owner(key).admin.get(key) is None for key in keys)


def test_i1_a_closed_client_leaves_nothing_watched(
    connect: Connector, cluster: Cluster, keys: list[str]
) -> None:
    client = connect()
    client.call("watch", keys)
    assert watching(cluster) == len(keys)
    client.close()
    wait_until(lambda: watching(cluster) == 0, "nothing is watched any more")


def test_c5_a_node_that_refuses_to_watch_leaves_nothing_watched_elsewhere(
    connect: Connector, cluster: Cluster, keys: list[str]
) -> None:
    """When one node refuses to watch, the others forget their watches as well."""
    client = connect()
    cluster.owner(keys[1]).ask("ACL", "SETUSER", "default", "-watch")
    try:
        with pytest.raises(RequestError, match="NOPERM"):
            client.call("watch", keys)
    finally:
        cluster.owner(keys[1]).ask("ACL", "SETUSER", "default", "+@all")
    wait_until(lambda: watching(cluster) == 0, "nothing is watched any more")
    assert execute(client, ["SET", keys[0], "x"]) is not None


def _end_watching(node: ValkeyServer) -> None:
    for connection in node.admin.client_list():
        if int(connection["watch"]) > 0:
            node.admin.client_kill_filter(_id=connection["id"])
