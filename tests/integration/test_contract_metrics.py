"""Contract C13, C14: the six metrics."""

from __future__ import annotations

import inspect
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from glidecache import RequestError
from glidecache_shared import protocol
from support import worker_tasks
from support.cacheable import GET
from support.caches import new_cache, write_entries
from support.clients import AsyncioClient, Metrics, at
from support.waiting import wait_until

if TYPE_CHECKING:
    from glidecache import ClientSideCache
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from support.wire import WireClient

METHODS = [f"get_cache_{name}" for name in Metrics._fields]


def test_c13_all_are_zero_before_the_first_lookup(connect: Connector, cache: ClientSideCache) -> None:
    metrics = connect(cache).metrics()
    assert metrics == Metrics(0.0, 0.0, 0, 0, 0, 0)
    assert [isinstance(value, float) for value in metrics] == [True, True, False, False, False, False]


def test_c13_rates_are_shares_of_the_lookups(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    for _ in range(8):
        client.get("k")
    assert client.metrics() == Metrics(
        hit_rate=7 / 8, miss_rate=1 / 8, entry_count=1, evictions=0, expirations=0, total_lookups=8
    )


def test_c13_sums_over_processes_are_exact(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    client.get("k")
    workers = [connect.worker(cache) for _ in range(3)]
    for worker in workers:
        worker.start(worker_tasks.read_repeatedly, "k", 2_000)
    assert [worker.result() for worker in workers] == [2_000] * 3
    for observer in (client, *workers):
        metrics = observer.metrics()
        assert metrics.total_lookups == 6_001
        assert round(metrics.hit_rate * 6_001) == 6_000


def test_c13_what_a_killed_process_counted_stays_counted(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    client.get("k")
    worker = connect.worker(cache)
    worker.run(worker_tasks.read_repeatedly, "k", 500)
    worker.kill()
    assert client.metrics().total_lookups == 501


def test_c13_metrics_are_read_without_the_daemon(
    connect: Connector, cache: ClientSideCache, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    GET.write(own_valkey, "k", 1)
    client = connect(cache, **at(own_daemon, own_valkey))
    client.get("k")
    own_daemon.pause()
    assert client.get("k") == b"v1"
    assert client.metrics() == Metrics(0.5, 0.5, 1, 0, 0, 2)


def test_c13_a_fresh_generation_starts_at_zero(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, unique_name: str
) -> None:
    GET.write(own_valkey, "k", 1)
    cache = new_cache(name=unique_name)
    client = connect(cache, **at(own_daemon, own_valkey))
    for _ in range(4):
        client.get("k")
    client.close()
    own_daemon.stop()
    for path in own_daemon.pool_dir.iterdir():
        path.unlink()
    own_daemon.start()
    assert connect(cache, **at(own_daemon, own_valkey)).metrics() == Metrics(0.0, 0.0, 0, 0, 0, 0)


def test_c13_a_flush_is_neither_eviction_nor_expiration(
    connect: Connector, valkey: ValkeyServer, wire: WireClient, unique_name: str
) -> None:
    client = connect(new_cache(name=unique_name))
    for key in write_entries(valkey, "a", "b", "c"):
        client.get(key)
    wire.hello()
    assert wire.request(protocol.FLUSH, unique_name) == 3
    assert client.metrics() == Metrics(0.0, 1.0, 0, 0, 0, 3)


def test_c13_counters_of_the_operator_agree(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(new_cache(name=unique_name))
    for _ in range(4):
        client.get("k")
    (stats,) = [one for one in daemon.stats()["caches"] if one.get("name") == unique_name]
    assert json.dumps(stats), "plain values"
    assert (stats["metrics"]["hits"], stats["metrics"]["misses"], stats["metrics"]["entry_count"]) == (
        3,
        1,
        1,
    )


@pytest.mark.parametrize("method", METHODS)
def test_c13_the_asyncio_client_returns_values_that_can_also_be_awaited(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, kind: str, method: str
) -> None:
    if kind == "blocking":
        assert not inspect.isawaitable(getattr(connect(cache).client, method)())
        return
    GET.write(valkey, "k", 1)
    client = connect(cache)
    assert isinstance(client, AsyncioClient)
    client.get("k")

    async def both() -> tuple[object, object]:
        plain = getattr(client.client, method)()
        return plain, await getattr(client.client, method)()

    plain, awaited = client.run(both())
    assert isinstance(plain, (int, float))
    assert plain == awaited
    assert plain + 1 == awaited + 1


@pytest.mark.parametrize("method", METHODS)
def test_c14_without_metrics_only_the_entry_count_is_there(
    connect: Connector, valkey: ValkeyServer, method: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(new_cache(enable_metrics=False))
    assert client.get("k") == client.get("k") == b"v1"
    assert valkey.calls("get") == 1
    if method == "get_cache_entry_count":
        assert client.call(method) == 1
        return
    with pytest.raises(RequestError) as raised:
        client.call(method)
    assert str(raised.value) == "Cache metrics tracking is not enabled"


@pytest.mark.parametrize("method", METHODS)
def test_c14_without_a_cache_there_are_none(connect: Connector, method: str) -> None:
    with pytest.raises(RequestError) as raised:
        connect().call(method)
    assert str(raised.value) == "Client-side caching is not enabled"


def test_c13_a_worker_killed_while_reading_loses_no_count_of_others(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    client.get("k")
    victim, other = connect.worker(cache), connect.worker(cache)
    victim.start(worker_tasks.read_repeatedly, "k", 10**9)
    wait_until(lambda: client.metrics().total_lookups > 1_000, "the victim reads")
    other.start(worker_tasks.read_repeatedly, "k", 1_000)
    os.kill(victim.pid, signal.SIGKILL)
    victim.process.wait()
    assert other.result() == 1_000
    at_rest = client.metrics()
    other.run(worker_tasks.read_repeatedly, "k", 1_000)
    assert client.metrics().total_lookups == at_rest.total_lookups + 1_000
