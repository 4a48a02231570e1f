"""What STATS tells of a cluster: one upstream, whichever nodes answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.stats_keys import keys, promised

if TYPE_CHECKING:
    from glidecache import ClientSideCache
    from support.cluster import Cluster
    from support.connector import Connector
    from support.daemon import Daemon


def figures(daemon: Daemon) -> dict[str, Any]:
    """Those of the common upstream."""
    (found,) = [each for each in daemon.stats()["upstreams"] if each["name"] == "default"]
    return dict(found)


def test_replies_of_all_nodes_are_in_one_histogram(
    connect: Connector, cache: ClientSideCache, cluster: Cluster, daemon: Daemon
) -> None:
    client = connect(cache, addresses=None, upstream="default")
    before = figures(daemon)["latency"]
    keys = list(cluster.keys_of_each())
    assert len(keys) == 3
    for key in keys:
        client.call("set", key, "v")
    after = figures(daemon)["latency"]
    assert len(after["counts"]) == len(after["bounds_us"]) + 1
    assert sum(after["counts"]) - sum(before["counts"]) >= len(keys)
    assert after["sum_us"] > before["sum_us"]


def test_the_page_has_every_key_of_a_cluster(
    connect: Connector, cache: ClientSideCache, daemon: Daemon
) -> None:
    connect(cache, addresses=None, upstream="default").call("set", "k", "v")
    found = set(keys({"upstreams": [figures(daemon)]}))
    assert found <= promised()
    assert promised(only_of_a_cluster=True) <= found
