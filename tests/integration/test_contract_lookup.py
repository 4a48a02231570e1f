"""Contract C1–C5: what is cacheable, what hits, what is stored, and what comes back."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from glidecache import EvictionPolicy, RequestError
from support.cacheable import CACHEABLE, GET, HGETALL, SMEMBERS, Cacheable
from support.caches import is_cached, new_cache, write_entries

if TYPE_CHECKING:
    from glidecache import ClientSideCache
    from support.connector import Connector
    from support.valkey_server import ValkeyServer

by_method = pytest.mark.parametrize("command", CACHEABLE, ids=lambda command: command.method)
by_two_kinds = pytest.mark.parametrize(
    ("first", "second"),
    list(itertools.permutations(CACHEABLE, 2)),
    ids=lambda command: command.method,
)


@by_method
def test_c1_method_is_cached(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, command: Cacheable
) -> None:
    command.write(valkey, "k", 1)
    client = connect(cache)
    for _ in range(5):
        assert client.call(command.method, "k") == command.value(1)
    assert valkey.calls(command.method) == 1
    assert client.metrics().total_lookups == 5


@pytest.mark.parametrize("spelling", [str.upper, str.lower, str.title, lambda name: name.upper().encode()])
@by_method
def test_c1_custom_command_is_cached_in_any_letter_case(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, command: Cacheable, spelling: object
) -> None:
    command.write(valkey, "k", 1)
    client = connect(cache)
    name = spelling(command.method)  # type: ignore[operator]
    assert client.call("custom_command", [name, "k"]) == command.value(1)
    assert client.call("custom_command", [name, b"k"]) == command.value(1)
    assert client.call(command.method, "k") == command.value(1)
    assert valkey.calls(command.method) == 1
    assert client.metrics().total_lookups == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["MGET", "string"],
        ["STRLEN", "string"],
        ["GETRANGE", "string", "0", "-1"],
        ["EXISTS", "string"],
        ["TYPE", "string"],
        ["HGET", "hash", "field"],
        ["HLEN", "hash"],
        ["HKEYS", "hash"],
        ["SISMEMBER", "set", "member"],
        ["SCARD", "set"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_c1_every_other_command_goes_to_the_server(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, arguments: list[str]
) -> None:
    for command, key in ((GET, "string"), (HGETALL, "hash"), (SMEMBERS, "set")):
        command.write(valkey, key, 1)
    client = connect(cache)
    client.get("string")
    before = client.metrics()
    first = client.call("custom_command", arguments)
    assert client.call("custom_command", arguments) == first
    assert valkey.calls(arguments[0]) == 2
    assert client.metrics() == before


def test_c1_another_number_of_arguments_is_no_lookup(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(cache)
    for arguments in (["GET"], ["GET", "k", "k"]):
        with pytest.raises(RequestError, match="wrong number of arguments"):
            client.call("custom_command", arguments)
    assert client.metrics().total_lookups == 0
    assert client.metrics().entry_count == 0


@by_method
def test_c1_a_client_without_cache_always_asks_the_server(
    connect: Connector, valkey: ValkeyServer, command: Cacheable
) -> None:
    client = connect()
    for version in (1, 2):
        command.write(valkey, "k", version)
        assert client.call(command.method, "k") == command.value(version)
    assert valkey.calls(command.method) == 2


@by_two_kinds
def test_c2_a_pool_holds_one_entry_per_key(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, first: Cacheable, second: Cacheable
) -> None:
    client = connect(cache)
    for command in (first, second):
        valkey.admin.delete("k")
        command.write(valkey, "k", 1)
        assert client.call(command.method, "k") == command.value(1)
        assert client.metrics().entry_count == 1


@by_two_kinds
def test_c3_another_kind_is_a_miss_and_wrongtype_leaves_the_entry(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, first: Cacheable, second: Cacheable
) -> None:
    first.write(valkey, "k", 1)
    client = connect(cache)
    client.call(first.method, "k")
    with pytest.raises(RequestError, match="WRONGTYPE"):
        client.call(second.method, "k")
    assert valkey.calls(second.method) == 1
    assert client.metrics().total_lookups == 2
    assert client.metrics().miss_rate == 1.0
    assert client.call(first.method, "k") == first.value(1)
    assert valkey.calls(first.method) == 1


@by_two_kinds
def test_c3_a_value_of_another_kind_replaces_the_entry(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, first: Cacheable, second: Cacheable
) -> None:
    first.write(valkey, "k", 1)
    client = connect(cache)
    client.call(first.method, "k")
    valkey.admin.delete("k")
    second.write(valkey, "k", 2)
    assert client.call(second.method, "k") == second.value(2)
    assert client.call(second.method, "k") == second.value(2)
    assert valkey.calls(second.method) == 1
    with pytest.raises(RequestError, match="WRONGTYPE"):
        client.call(first.method, "k")
    assert client.metrics().entry_count == 1
    assert client.metrics().evictions == 0


def test_c4_nil_is_never_stored(connect: Connector, cache: ClientSideCache, valkey: ValkeyServer) -> None:
    client = connect(cache)
    for calls in (1, 2):
        assert client.get("nothing") is None
        assert valkey.calls("get") == calls
    assert client.metrics().entry_count == 0
    GET.write(valkey, "nothing", 1)
    assert client.get("nothing") == b"v1"


@by_two_kinds
def test_c4_errors_are_never_stored(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, first: Cacheable, second: Cacheable
) -> None:
    second.write(valkey, "k", 1)
    client = connect(cache)
    for calls in (1, 2):
        with pytest.raises(RequestError, match="WRONGTYPE"):
            client.call(first.method, "k")
        assert valkey.calls(first.method) == calls
    assert client.metrics().entry_count == 0


@pytest.mark.parametrize(("method", "empty"), [("get", b""), ("hgetall", {}), ("smembers", set())])
def test_c4_empty_values_are_stored_like_any_other(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, method: str, empty: object
) -> None:
    if method == "get":
        valkey.admin.set("k", b"")
    client = connect(cache)
    for _ in range(3):
        value = client.call(method, "k")
        assert value == empty
        assert type(value) is type(empty)
    assert valkey.calls(method) == 1
    assert client.metrics().entry_count == 1


def test_c4_a_replaced_entry_starts_with_a_frequency_of_one(connect: Connector, valkey: ValkeyServer) -> None:
    a, b, c, d = write_entries(valkey, "a", "b", "c", "d")
    client = connect(new_cache(1, eviction_policy=EvictionPolicy.LFU))
    for key, accesses in ((a, 9), (b, 2), (c, 2)):
        for _ in range(accesses):
            client.get(key)
    valkey.admin.delete(a)
    valkey.admin.hset(a, "field", "x" * 200)
    client.call("hgetall", a)
    assert client.metrics().evictions == 0
    client.get(d)
    assert client.metrics().evictions == 1
    assert is_cached(client, valkey, b)
    assert is_cached(client, valkey, c)
    reached = valkey.calls("hgetall")
    client.call("hgetall", a)
    assert valkey.calls("hgetall") == reached + 1, "its nine accesses should have ended with the string"


BINARY = bytes(range(256))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"v"),
        (BINARY, BINARY),
        (b"\x00", b"\x00"),
        (b"k" * 100_000, b"long key"),
        (b"\r\n$5\r\n", b"*1\r\n"),
        (b"five MiB", BINARY * (5 * 4096)),
    ],
    ids=["empty key", "all bytes", "nul", "100 kB key", "protocol text", "5 MiB value"],
)
def test_c5_strings_are_binary_safe(
    connect: Connector, valkey: ValkeyServer, key: bytes, value: bytes
) -> None:
    valkey.admin.set(key, value)
    client = connect(new_cache(16 * 1024))
    for _ in range(2):
        assert client.get(key) == value
    assert valkey.calls("get") == 1


def test_c5_hashes_and_sets_are_binary_safe(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    mapping = {BINARY: b"", b"": BINARY, b"\x00": b"x" * 70_000, b"f" * 70_000: b"\x00\x00"}
    members = {BINARY, b"", b"\x00", b"m" * 70_000}
    valkey.admin.hset("hash", mapping=mapping)
    valkey.admin.sadd("set", *members)
    client = connect(cache)
    for _ in range(2):
        assert client.call("hgetall", "hash") == mapping
        assert client.call("smembers", "set") == members
    assert valkey.calls("hgetall") == valkey.calls("smembers") == 1


@pytest.mark.parametrize(
    "keys",
    [
        ("schlüssel-Ω", "schlüssel-Ω".encode(), bytearray("schlüssel-Ω", "utf-8")),
        ("42", 42, b"42", memoryview(b"42")),
        (2.5, b"2.5", "2.5"),
    ],
    ids=["text is UTF-8", "int", "float"],
)
def test_c5_a_key_is_its_bytes_however_it_is_given(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, keys: tuple[object, ...]
) -> None:
    client = connect(cache)
    client.call("set", keys[0], "value")
    for key in keys:
        assert client.get(key) == b"value"
    assert valkey.calls("get") == 1


def test_c5_every_call_returns_a_fresh_object(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    HGETALL.write(valkey, "hash", 1)
    SMEMBERS.write(valkey, "set", 1)
    client = connect(cache)
    for _ in range(3):
        mapping = client.call("hgetall", "hash")
        assert mapping == HGETALL.value(1)
        mapping.clear()
        members = client.call("smembers", "set")
        assert members == SMEMBERS.value(1)
        members.add(b"of the caller's own")
    assert valkey.reads() == 2
