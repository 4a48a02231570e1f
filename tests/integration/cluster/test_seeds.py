"""One cache of a cluster, whichever nodes a client names (contract C18): and only of that cluster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientSideCache, ConfigurationError, NodeAddress
from support.cacheable import GET
from support.clients import close_all, open_client
from support.fault_proxy import proxy_before
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.cluster import Cluster, ClusterNode
    from support.connector import Connector
    from support.daemon import Daemon

TTL_MS = 600_000


def new_cache(name: str | None = None) -> ClientSideCache:
    return ClientSideCache.create(1_024, TTL_MS, enable_metrics=True, name=name)


def at_nodes(*nodes: ClusterNode) -> dict[str, Any]:
    return {"addresses": [NodeAddress(HOST, node.port) for node in nodes]}


def test_c18_clients_of_any_nodes_of_a_cluster_share_a_cache(connect: Connector, cluster: Cluster) -> None:
    GET.write(cluster, "k", 1)
    cache = new_cache()
    first = connect(cache, **at_nodes(cluster.nodes[0]))
    value = first.get("k")
    seeds = [[node] for node in cluster.nodes[1:]]
    for number, nodes in enumerate([*seeds, cluster.nodes[1:3], list(reversed(cluster.nodes))], 1):
        client = connect(cache, **at_nodes(*nodes))
        assert client.get("k") == value
        assert first.metrics().entry_count == 1
        assert first.metrics().total_lookups == number + 1, "it is the same pool"
    assert cluster.calls("get") == 1


def test_c18_names_and_numbers_of_this_host_are_the_same_nodes(connect: Connector, cluster: Cluster) -> None:
    GET.write(cluster, "k", 1)
    cache = new_cache()
    connect(cache, **at_nodes(cluster.nodes[0])).get("k")
    connect(cache, addresses=[NodeAddress("localhost", cluster.nodes[1].port)]).get("k")
    assert cluster.calls("get") == 1


def test_c18_clients_that_come_at_once_by_different_seeds_share_a_cache(
    connect: Connector, cluster: Cluster, daemon: Daemon
) -> None:
    GET.write(cluster, "k", 1)
    cache = new_cache(f"all at once, {connect.kind}")

    def make(node: ClusterNode) -> Any:
        configuration = at_nodes(node)
        return open_client(
            connect.kind,
            cluster=True,
            runtime_dir=str(daemon.runtime_dir),
            client_side_cache=cache,
            request_timeout=5_000,
            **configuration,
        )

    with ThreadPoolExecutor(len(cluster.nodes)) as threads:
        clients = list(threads.map(make, cluster.nodes))
    try:
        for client in clients:
            client.get("k")
        assert {client.metrics().total_lookups for client in clients} == {len(clients)}
        assert cluster.calls("get") == 1
    finally:
        close_all(clients)


def test_c18_a_way_that_the_cluster_does_not_know_is_another_identity(
    connect: Connector, cluster: Cluster
) -> None:
    """A proxy leads to a node; any server could claim that, so the pool's own cluster must know the address."""
    cache = new_cache()
    connect(cache, **at_nodes(cluster.nodes[0])).get("k")
    with proxy_before(cluster.nodes[1].port) as proxy:
        for nodes in ([], [cluster.nodes[1]]):
            addresses = [NodeAddress(HOST, proxy.port), *at_nodes(*nodes)["addresses"]]
            with pytest.raises(ConfigurationError, match="another server, database or user: addresses"):
                connect(cache, addresses=addresses)


def test_c18_another_user_stays_another_identity(connect: Connector, cluster: Cluster) -> None:
    from glidecache import ServerCredentials

    cluster.nodes[0].ask("ACL", "SETUSER", "other", "on", ">secret", "~*", "&*", "+@all")
    cluster.nodes[1].ask("ACL", "SETUSER", "other", "on", ">secret", "~*", "&*", "+@all")
    try:
        cache = new_cache()
        connect(cache, **at_nodes(cluster.nodes[0])).get("k")
        with pytest.raises(
            ConfigurationError, match=r"another server, database or user: .*user default, not other"
        ):
            connect(cache, **at_nodes(cluster.nodes[1]), credentials=ServerCredentials("secret", "other"))
    finally:
        for node in cluster.nodes[:2]:
            node.ask("ACL", "DELUSER", "other")


def test_c18_the_caches_cluster_is_known_without_the_seed_that_made_it(
    connect_own: Connector, own_cluster: Cluster
) -> None:
    """The first client's node has ended, and a replica has its place."""
    cache = new_cache()
    seed = own_cluster.primaries[0]
    others = [node for node in own_cluster.nodes if node is not seed]
    first = connect_own(cache, **at_nodes(seed))
    key = next(key for key in own_cluster.keys_of_each() if own_cluster.owner(key) is not seed)
    first.call("set", key, "v")
    assert first.get(key) == b"v"
    seed.kill()
    wait_until(
        lambda: len({node.port for node in own_cluster.primaries}) == 3, "a replica has taken over", 30
    )
    for node in others[:3]:
        client = connect_own(cache, **at_nodes(node))
        assert client.get(key) == b"v"
        assert first.metrics().entry_count == 1


def test_c18_the_next_daemon_knows_the_caches_cluster_too(
    connect_own: Connector, own_cluster: Cluster, own_daemon: Daemon
) -> None:
    """A client joins a pool of the previous daemon by another seed than the one that made it."""
    cache = new_cache("kept")
    key = own_cluster.keys_of_each()[0]
    holder = connect_own(cache, **at_nodes(own_cluster.nodes[0]))
    holder.call("set", key, "v")
    assert holder.get(key) == b"v"
    before = holder.metrics().total_lookups
    own_daemon.stop()
    own_daemon.start()
    client = connect_own(cache, **at_nodes(own_cluster.nodes[1]))
    assert client.get(key) == b"v"
    assert client.metrics().total_lookups == before + 1


def test_c18_a_lazy_client_joins_by_another_seed(connect: Connector, cluster: Cluster) -> None:
    GET.write(cluster, "k", 1)
    cache = new_cache()
    connect(cache, **at_nodes(cluster.nodes[0])).get("k")
    lazy = connect(cache, **at_nodes(cluster.nodes[1]), lazy_connect=True)
    lazy.get("k")
    assert lazy.metrics().total_lookups == 2
    assert cluster.calls("get") == 1
