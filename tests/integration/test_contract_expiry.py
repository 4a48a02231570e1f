"""Contract C6, C7, C7a: when entries expire, who notices, and who counts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from support.cacheable import GET, HGETALL
from support.caches import new_cache, sleep_past
from support.clients import at
from support.waiting import wait_until
from support.wire import attach_all

if TYPE_CHECKING:
    from glidecache import ClientSideCache
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from support.wire import WireClient


def test_c6_access_never_prolongs(connect: Connector, valkey: ValkeyServer) -> None:
    ttl_s = 0.5
    GET.write(valkey, "k", 1)
    client = connect(new_cache(entry_ttl_ms=int(ttl_s * 1000)))
    before_storing = time.monotonic()
    client.get("k")
    after_storing = time.monotonic()
    GET.write(valkey, "k", 2)
    # Hit after hit: were access to prolong, the first version would be served for ever.
    wait_until(lambda: client.get("k") == b"v2", "the second version", 10)
    now = time.monotonic()
    assert now - before_storing >= ttl_s
    assert client.metrics().hit_rate > 0
    assert now - after_storing < ttl_s + 2


def test_c6_a_replaced_entry_has_its_own_time(connect: Connector, valkey: ValkeyServer) -> None:
    ttl_s = 1.5
    GET.write(valkey, "k", 1)
    client = connect(new_cache(entry_ttl_ms=int(ttl_s * 1000)))
    client.get("k")
    stored_first = time.monotonic()
    time.sleep(0.6 * ttl_s)
    valkey.admin.delete("k")
    HGETALL.write(valkey, "k", 1)
    replaced = time.monotonic()
    client.call("hgetall", "k")
    HGETALL.write(valkey, "k", 2)
    time.sleep(max(0.0, stored_first + 1.1 * ttl_s - time.monotonic()))
    value = client.call("hgetall", "k")
    if time.monotonic() < replaced + ttl_s:
        assert value == HGETALL.value(1), "the first entry's time ended, not the second's"


def test_c6_zero_means_never(connect: Connector, valkey: ValkeyServer) -> None:
    ttl_ms = 100
    GET.write(valkey, "k", 1)
    lasting = connect(new_cache(entry_ttl_ms=0))
    passing = connect(new_cache(entry_ttl_ms=ttl_ms))
    for client in (lasting, passing):
        client.get("k")
    GET.write(valkey, "k", 2)
    wait_until(lambda: passing.get("k") == b"v2", "the entry with a TTL has expired")
    assert lasting.get("k") == b"v1"
    assert lasting.metrics().expirations == 0


def test_c7_expired_entries_stay_until_a_lookup_meets_them(connect: Connector, valkey: ValkeyServer) -> None:
    ttl_ms = 150
    for number in range(5):
        GET.write(valkey, f"k{number}", 1)
    client = connect(new_cache(entry_ttl_ms=ttl_ms))
    for number in range(5):
        client.get(f"k{number}")
    sleep_past(3 * ttl_ms)
    assert client.metrics().entry_count == 5
    assert client.metrics().expirations == 0

    valkey.admin.delete("k0")
    assert client.get("k0") is None
    assert client.metrics().entry_count == 4
    assert client.metrics().expirations == 1

    GET.write(valkey, "k1", 2)
    assert client.get("k1") == b"v2"
    assert client.metrics().entry_count == 4
    assert client.metrics().expirations == 2
    assert client.metrics().evictions == 0
    assert client.metrics().hit_rate == 0.0


def test_c7a_an_expiration_counts_once_however_many_workers_saw_it(
    connect: Connector, valkey: ValkeyServer
) -> None:
    ttl_ms = 300
    cache = new_cache(entry_ttl_ms=ttl_ms)
    GET.write(valkey, "k", 1)
    client = connect(cache)
    workers = [connect.worker(cache) for _ in range(3)]
    client.get("k")
    sleep_past(ttl_ms)
    from support import worker_tasks

    for worker in workers:
        worker.start(worker_tasks.call, "get", ["k"])
    assert [worker.result() for worker in workers] == [b"v1"] * 3
    assert client.metrics().expirations == 1
    assert client.metrics().total_lookups == 4


def test_c7a_the_daemon_answers_from_the_pool_and_counts_a_hit(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, wire: WireClient, mode: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    (session,) = attach_all([wire], cache, mode)
    # A worker whose own lookup came a moment too early sends such a request for an entry that lives.
    for _ in range(3):
        assert wire.request(protocol.READ, session, STRING, b"k") == b"v1"
    assert valkey.calls("get") == 1
    assert client.metrics().total_lookups == 3
    assert round(client.metrics().hit_rate * 3) == 2


def test_c7a_what_the_client_did_since_makes_it_a_miss(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, wire: WireClient, mode: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    (session,) = attach_all([wire], cache, mode)
    assert wire.request(protocol.READ, session, STRING, b"k") == b"v1"
    wire.request(protocol.COMMAND, session, [b"SET", b"k", b"v2"])
    assert wire.request(protocol.READ, session, STRING, b"k") == b"v2"
    assert client.metrics().hit_rate == 0.0
    assert client.metrics().total_lookups == 2
    assert valkey.calls("get") == 2


def test_c7a_a_known_read_in_between_does_not(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, wire: WireClient, mode: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    (session,) = attach_all([wire], cache, mode)
    wire.request(protocol.READ, session, STRING, b"k")
    assert wire.request(protocol.COMMAND, session, [b"STRLEN", b"k"]) == 2
    wire.request(protocol.READ, session, STRING, b"k")
    assert client.metrics().hit_rate == 0.5
    assert valkey.calls("get") == 1


def test_c7a_direct_requests_are_no_lookups(
    connect: Connector, cache: ClientSideCache, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    GET.write(own_valkey, "cached", 1)
    GET.write(own_valkey, "other", 1)
    client = connect(cache, **at(own_daemon, own_valkey), fallback="direct", request_timeout=500)
    client.get("cached")
    before = client.metrics()
    own_daemon.kill()
    for _ in range(3):
        assert client.get("other") == b"v1"
    assert own_valkey.calls("get") == 4
    assert client.metrics() == before
