"""Contract C15–C17: writes never touch the cache, nothing invalidates it, batches go around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import RequestError
from support.cacheable import CACHEABLE, GET, HGETALL, SMEMBERS, Cacheable
from support.clients import Metrics, at
from support.valkey_server import LIMITED_CLIENT_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache import ClientSideCache
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


def test_c15_the_walk_through_of_the_page(connect: Connector, cache: ClientSideCache) -> None:
    client = connect(cache)
    client.call("set", "k", "v1")
    assert client.metrics() == Metrics(0.0, 0.0, 0, 0, 0, 0)
    assert client.get("k") == b"v1"
    assert client.metrics() == Metrics(0.0, 1.0, 1, 0, 0, 1)
    assert client.get("k") == b"v1"
    assert client.metrics() == Metrics(0.5, 0.5, 1, 0, 0, 2)
    assert client.get("nonexistent") is None
    assert client.metrics() == Metrics(1 / 3, 2 / 3, 1, 0, 0, 3)
    client.call("set", "k", "v2")
    assert client.metrics() == Metrics(1 / 3, 2 / 3, 1, 0, 0, 3)
    assert client.get("k") == b"v1"
    assert client.metrics() == Metrics(0.5, 0.5, 1, 0, 0, 4)


WRITES: list[tuple[Cacheable, tuple[Any, ...]]] = [
    (GET, ("set", "k", "other")),
    (GET, ("delete", ["k"])),
    (GET, ("unlink", ["k"])),
    (GET, ("expire", "k", 0)),
    (GET, ("append", "k", "more")),
    (GET, ("flushall",)),
    (GET, ("flushdb",)),
    (GET, ("rename", "k", "{k}l")),
    (GET, ("custom_command", ["SET", "k", "other"])),
    (GET, ("custom_command", ["EVAL", "return redis.call('set', KEYS[1], 'other')", "1", "k"])),
    (HGETALL, ("hset", "k", {"field": "other"})),
    (HGETALL, ("hdel", "k", ["field"])),
    (SMEMBERS, ("sadd", "k", ["other"])),
    (SMEMBERS, ("srem", "k", ["member"])),
]


@pytest.mark.parametrize(
    ("command", "write"), WRITES, ids=lambda part: str(part[0]) if type(part) is tuple else ""
)
def test_c15_writes_never_touch_the_cache(
    connect: Connector,
    cache: ClientSideCache,
    valkey: ValkeyServer,
    command: Cacheable,
    write: tuple[Any, ...],
) -> None:
    command.write(valkey, "k", 1)
    client, other = connect(cache), connect(cache)
    client.call(command.method, "k")
    before = client.metrics()
    client.call(*write)
    assert client.metrics() == before
    assert client.call(command.method, "k") == command.value(1)
    assert other.call(command.method, "k") == command.value(1)
    assert valkey.calls(command.method) == 1


@pytest.mark.parametrize("command", CACHEABLE, ids=lambda command: command.method)
def test_c15_writes_of_others_never_touch_the_cache(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, command: Cacheable
) -> None:
    command.write(valkey, "k", 1)
    client = connect(cache)
    client.call(command.method, "k")
    command.write(valkey, "k", 2)
    assert client.call(command.method, "k") == command.value(1)
    valkey.admin.flushall()
    assert client.call(command.method, "k") == command.value(1)
    assert client.metrics().entry_count == 1


def test_c16_a_server_with_hardly_any_client_command_is_enough(
    connect: Connector,
    cache: ClientSideCache,
    start_valkey: Callable[..., ValkeyServer],
    start_daemon: Callable[..., Daemon],
) -> None:
    server = start_valkey(LIMITED_CLIENT_COMMANDS)
    client = connect(cache, **at(start_daemon(), server))
    client.call("set", "k", "v")
    assert [client.get("k") for _ in range(3)] == [b"v"] * 3
    assert client.metrics().total_lookups == 3
    refused = [entry for entry in server.admin.acl_log() if entry["username"] == "default"]
    assert refused == [], "the daemon tried what such a server does not offer"


def test_c16_no_tracking_is_ever_asked_for(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    client = connect(cache)
    client.call("set", "k", "v")
    client.get("k")
    assert not [name for name in valkey.admin.info("commandstats") if "tracking" in name]
    assert not [one for one in valkey.admin.client_list() if "t" in one["flags"]]


@pytest.mark.parametrize("atomic", [True, False], ids=["transaction", "pipeline"])
def test_c17_batches_bypass_the_cache_in_both_directions(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, *, atomic: bool
) -> None:
    for command, key in ((GET, "{k}string"), (HGETALL, "{k}hash"), (SMEMBERS, "{k}set")):
        command.write(valkey, key, 1)
    client = connect(cache)
    client.get("{k}string")
    before = client.metrics()
    for command, key in ((GET, "{k}string"), (HGETALL, "{k}hash"), (SMEMBERS, "{k}set")):
        command.write(valkey, key, 2)

    def batch() -> Any:
        reads = client.batch(atomic=atomic)
        reads.get("{k}string")
        reads.hgetall("{k}hash")
        reads.smembers("{k}set")
        return reads

    for _ in range(2):
        read = client.call("exec", batch(), raise_on_error=True)
        assert read == [GET.value(2), HGETALL.value(2), SMEMBERS.value(2)]
    assert client.metrics() == before
    assert client.get("{k}string") == GET.value(1)
    assert client.call("hgetall", "{k}hash") == HGETALL.value(2)
    assert valkey.calls("hgetall") == 3


def test_c17_errors_in_batches(connect: Connector, valkey: ValkeyServer) -> None:
    GET.write(valkey, "string", 1)
    client = connect()
    batch = client.batch(atomic=False)
    batch.get("string")
    batch.lpush("string", ["x"])
    first, second = client.call("exec", batch, raise_on_error=False)
    assert first == b"v1"
    assert isinstance(second, RequestError)
    assert "WRONGTYPE" in str(second)
    with pytest.raises(RequestError, match="WRONGTYPE"):
        client.call("exec", batch, raise_on_error=True)


def test_c17_get_many_asks_for_all_misses_at_once(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    for number in range(10):
        GET.write(valkey, f"{{k}}{number}", number)
    client = connect(cache)
    for number in range(4):
        client.get(f"{{k}}{number}")
    keys = [f"{{k}}{number}" for number in range(10)]
    for _ in range(2):
        assert client.call("get_many", keys) == [b"v%d" % number for number in range(10)]
    assert valkey.calls("mget") == 1
    assert valkey.calls("get") == 4
    metrics = client.metrics()
    assert metrics.entry_count == 10
    assert metrics.total_lookups == 24
    assert round(metrics.miss_rate * 24) == 10


def test_c17_get_many_has_the_semantics_of_mget(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "string", 1)
    HGETALL.write(valkey, "hash", 1)
    valkey.admin.set("empty", b"")
    client = connect(cache)
    keys = ["hash", "string", "nothing", "empty", "string"]
    for _ in range(2):
        assert client.call("get_many", keys) == [None, b"v1", None, b"", b"v1"]
    assert client.metrics().entry_count == 2
    assert client.metrics().total_lookups == 10
    assert client.call("get_many", []) == []


def test_c17_get_many_asks_for_a_duplicate_once_and_counts_each_occurrence(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    before = valkey.stat("keyspace_hits")
    assert client.call("get_many", ["k"] * 6) == [b"v1"] * 6
    assert valkey.stat("keyspace_hits") == before + 1
    assert client.metrics().total_lookups == 6


def test_c17_get_many_of_an_entry_of_another_kind_is_a_miss(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    HGETALL.write(valkey, "k", 1)
    client = connect(cache)
    client.call("hgetall", "k")
    assert client.call("get_many", ["k"]) == [None]
    assert client.call("hgetall", "k") == HGETALL.value(1)
    assert valkey.calls("hgetall") == 1


def test_c17_get_many_works_without_a_cache(connect: Connector, valkey: ValkeyServer) -> None:
    GET.write(valkey, "k", 1)
    assert connect().call("get_many", ["k", "{k}nothing"]) == [b"v1", None]
    assert valkey.calls("mget") == 1
