"""`read_from` in a cluster: each primary's replicas answer reads, never behind the client's own writes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from glidecache import ReadFrom
from support.cacheable import GET
from support.caches import new_cache
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.clients import AnyClient
    from support.cluster import Cluster, ClusterNode
    from support.connector import Connector


def replica_of(cluster: Cluster, primary: ClusterNode) -> ClusterNode:
    return next(node for node in cluster.nodes if not node.is_primary and node.ask("ROLE")[2] == primary.port)


def read_until_replicas_answer(client: AnyClient, cluster: Cluster, keys: list[str]) -> None:
    """Nothing waits for a replica's connection: read until each of them stands."""
    for key in keys:
        replica = replica_of(cluster, cluster.owner(key))

        def asked(key: str = key, replica: ClusterNode = replica) -> bool:
            client.call("strlen", key)
            return replica.calls("strlen") > 0

        wait_until(asked, f"the replica answers for {key}")


@pytest.mark.parametrize(
    ("read_from", "of_primaries"), [(ReadFrom.PREFER_REPLICA, 0), (ReadFrom.ALL_NODES, 4)]
)
def test_replicas_answer_reads(
    connect: Connector, cluster: Cluster, read_from: ReadFrom, of_primaries: int
) -> None:
    client = connect(read_from=read_from)
    keys = cluster.keys_of_each()
    read_until_replicas_answer(client, cluster, keys)
    for node in cluster.nodes:
        node.admin.config_resetstat()
    for key in keys:
        assert [client.call("strlen", key) for _ in range(8)] == [0] * 8
        primary = cluster.owner(key)
        asked = (primary.calls("strlen"), replica_of(cluster, primary).calls("strlen"))
        assert asked == (of_primaries, 8 - of_primaries)


@contextlib.contextmanager
def cut_off(replica: ClusterNode, primary: ClusterNode) -> Iterator[None]:
    """Let a replica answer readers, and hear nothing of its primary: that one refuses it."""
    replica.admin.config_set("primaryauth", "wrong")
    replica.admin.config_set("primaryuser", "nobody")
    primary.ask("CLIENT", "KILL", "TYPE", "REPLICA")
    wait_until(lambda: replica.ask("ROLE")[3] != b"connected", "the replica is cut off")
    try:
        yield
    finally:
        replica.admin.config_set("primaryuser", "")
        replica.admin.config_set("primaryauth", "")


def test_c23_a_client_sees_its_own_writes(connect: Connector, cluster: Cluster) -> None:
    writer, reader = (connect(read_from=ReadFrom.PREFER_REPLICA) for _ in range(2))
    key = cluster.keys_of_each()[0]
    primary = cluster.owner(key)
    replica = replica_of(cluster, primary)
    for client in (writer, reader):
        read_until_replicas_answer(client, cluster, [key])
        replica.admin.config_resetstat()
    with cut_off(replica, primary):
        for number in range(1, 30):
            writer.call("append", key, "x")
            assert writer.call("strlen", key) == number
        assert reader.call("strlen", key) == 0, "who has written nothing is answered by what there is"
    asked = replica.calls("strlen")

    def replica_answers() -> bool:
        assert writer.call("strlen", key) == 29
        return replica.calls("strlen") > asked

    wait_until(replica_answers, "the replica has come as far, and is asked again")
    cluster.wait_until_healthy()


def test_c22_the_cache_is_filled_from_primaries(connect: Connector, cluster: Cluster) -> None:
    client = connect(new_cache(), read_from=ReadFrom.PREFER_REPLICA)
    keys = cluster.keys_of_each()
    read_until_replicas_answer(client, cluster, keys)
    for key in keys:
        GET.write(cluster, key, 1)
        assert client.get(key) == b"v1"
        assert replica_of(cluster, cluster.owner(key)).calls("get") == 0
    assert cluster.calls("get") == 3
