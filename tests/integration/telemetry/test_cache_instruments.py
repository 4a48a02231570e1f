"""Contract C13 as OpenTelemetry's metrics: they are the clients' own numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache_shared import protocol
from glidecached.cli.daemon_client import DaemonClient
from support.caches import new_cache
from support.clients import at

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.telemetry import Observed, Telemetry
    from support.valkey_server import ValkeyServer

NAMES = ("hits", "misses", "entries", "evictions", "expirations")


def of_client(client: AnyClient, name: str) -> Observed:
    """The same numbers from the client's own metrics."""
    metrics = client.metrics()
    hits = round(metrics.hit_rate * metrics.total_lookups)
    numbers = {
        "hits": hits,
        "misses": metrics.total_lookups - hits,
        "entries": metrics.entry_count,
        "evictions": metrics.evictions,
        "expirations": metrics.expirations,
    }
    return {(f"glidecache.cache.{each}", name): numbers[each] for each in NAMES}


@pytest.mark.parametrize("upstream_kind", ["standalone", "cluster"])
def test_c13_the_instruments_show_the_clients_numbers(
    connect: Connector, valkey: ValkeyServer, telemetry: Telemetry, kind: str, mode: str
) -> None:
    telemetry.init()
    name = f"instruments-{kind}-{mode}"
    cache = new_cache(max_cache_kb=1, entry_ttl_ms=60_000, name=name)
    client, second = connect(cache), connect(cache)
    assert set(telemetry.observed().values()) == {0}
    valkey.admin.mset({f"k{number}": "x" * 250 for number in range(5)})
    for number in range(5):
        client.get(f"k{number}")
    second.get("k4")
    observed = telemetry.observed()
    assert observed == of_client(client, name) == of_client(second, name)
    assert observed["glidecache.cache.hits", name] == 1
    assert observed["glidecache.cache.misses", name] == 5
    assert observed["glidecache.cache.evictions", name] == 2
    assert observed["glidecache.cache.entries", name] == 3


def test_c13_expirations_are_shown(connect: Connector, valkey: ValkeyServer, telemetry: Telemetry) -> None:
    telemetry.init()
    cache = new_cache(entry_ttl_ms=1)
    client = connect(cache)
    valkey.admin.set("k", "v")
    client.get("k")
    while client.metrics().expirations == 0:
        client.get("k")
    observed = telemetry.observed()
    assert observed == of_client(client, cache.cache_id)
    assert observed["glidecache.cache.expirations", cache.cache_id] > 0


def test_c14_a_cache_without_metrics_shows_its_entries(
    connect: Connector, valkey: ValkeyServer, telemetry: Telemetry
) -> None:
    cache = new_cache(enable_metrics=False)
    client = connect(cache)
    connect(None).get("k")
    telemetry.init()
    valkey.admin.set("k", "v")
    client.get("k")
    assert telemetry.observed() == {("glidecache.cache.entries", cache.cache_id): 1}
    client.close()
    assert telemetry.observed() == {}


def test_caches_of_one_name_at_two_daemons_are_one_sum(
    start_daemon: Callable[..., Daemon], valkey: ValkeyServer, telemetry: Telemetry, connect: Connector
) -> None:
    """Two observations of the same attributes would be an error of OpenTelemetry's."""
    telemetry.init()
    cache = new_cache(name="twice")
    clients = [connect(cache, **at(start_daemon(), valkey)) for _ in range(2)]
    for client in clients:
        client.get("a")
    assert telemetry.observed()["glidecache.cache.misses", "twice"] == 2


def test_a_client_whose_pool_was_replaced_hides_no_newer_number(
    connect: Connector, daemon: Daemon, telemetry: Telemetry, kind: str
) -> None:
    telemetry.init()
    name = f"replaced-{kind}"
    clients = [connect(new_cache(name=name)) for _ in range(3)]
    clients[1].get("a")
    with DaemonClient(str(daemon.runtime_dir)) as administrator:
        administrator.request(protocol.DROP, name)
    clients[1].get("a")
    clients[1].get("b")
    assert telemetry.observed() == of_client(clients[1], name)
