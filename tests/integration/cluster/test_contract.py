"""What the contract says of clusters in particular; all else of it runs on a cluster as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache import NodeAddress
from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from support.cacheable import GET
from support.caches import is_cached, new_cache
from support.valkey_server import HOST

if TYPE_CHECKING:
    from glidecache import ClientSideCache
    from support.cluster import Cluster
    from support.connector import Connector
    from support.wire import WireClient


def test_c17_get_many_asks_for_all_misses_at_once(
    connect: Connector, cache: ClientSideCache, cluster: Cluster
) -> None:
    keys = [f"key{number}" for number in range(40)]
    for number, key in enumerate(keys[:30]):
        GET.write(cluster, key, number)
    client = connect(cache)
    for key in keys[:3]:
        client.get(key)
    for _ in range(2):
        values = client.call("get_many", [*keys, keys[5]])
        assert values == [*(b"v%d" % number for number in range(30)), *[None] * 10, b"v5"]
    assert cluster.calls("mget") == 37 + 10, "one per slot, and again for what does not exist"
    assert client.metrics().entry_count == 30


def test_c18_a_standalone_and_a_cluster_client_share_a_pool(
    connect: Connector, cache: ClientSideCache, cluster: Cluster
) -> None:
    GET.write(cluster, "k", 1)
    seed = {"addresses": [NodeAddress(HOST, cluster.owner("k").port)]}
    connect(cache, **seed).get("k")
    assert is_cached(connect(cache, cluster=False, **seed), cluster, "k")


@pytest.mark.parametrize("batched", [False, True], ids=["single", "batches"])
def test_c23_what_is_issued_without_awaiting_takes_effect_in_order_in_each_slot(
    cluster: Cluster, wire: WireClient, batched: bool
) -> None:
    keys = [key.encode() for key in cluster.keys_of_each()]
    cache = new_cache()
    settings = {"max_cache_kb": 64, "entry_ttl_ms": 0, "eviction_policy": "LRU", "enable_metrics": True}
    spec = {"upstream": "default", "cache": {"id": cache.cache_id, "settings": settings}}
    session = wire.attach(mode="cluster", **spec)["session_id"]
    expected = {}
    for number in range(200):
        key = keys[number % 3]
        value = b"%d" % number
        write = [b"SET", key, value]
        if batched:
            wire.send(protocol.BATCH, session, False, [write])
        else:
            wire.send(protocol.COMMAND, session, write)
        expected[wire.send(protocol.READ, session, STRING, key)] = value
    read = {}
    while len(read) < len(expected):
        request_id, status, body = wire.receive()
        assert status == protocol.STATUS_OK, body
        if request_id in expected:
            read[request_id] = body
    assert read == expected
