"""Values as applications store them, serialized and compressed, by a front itself and by Django's own Redis backend."""

from __future__ import annotations

import bz2
import datetime as dt
import decimal
import gzip
import json
import lzma
import marshal
import pickle
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from django.conf import settings
from django.core.cache.backends.redis import RedisCache, RedisCacheClient, RedisSerializer

import glidecache.redis
from support.caches import new_cache
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache import ClientSideCache
    from support.daemon import Daemon
    from support.front_clients import FrontCalls
    from support.valkey_server import ValkeyServer

    Pair = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]

PLAIN: dict[str, Any] = {
    "nothing": None,
    "text": "é\0ü\n" * 3,
    "empty": "",
    "number": -(2**63),
    "fraction": 1e-300,
    "nested": {"list": [1, None, {"text": "ключ", "empty": []}], "": False},
    "long": ["value"] * 2_000,
}
"""Values that every serializer takes."""
BINARY: dict[str, Any] = {"bytes": bytes(range(256)), "long_bytes": bytes(range(256)) * 1024, "no_bytes": b""}
OBJECTS: dict[str, Any] = {
    "a_set": {1, "two", b"three"},
    "a_time": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    "a_decimal": decimal.Decimal("0.1"),
    "a_tuple": (1, (2, 3)),
}


def decoded(load: Callable[[bytes], Any], decompress: Callable[[bytes], bytes], raw: bytes) -> Any:
    return load(decompress(raw))


def pickled(protocol: int) -> Pair:
    return (lambda value: pickle.dumps(value, protocol)), pickle.loads


SERIALIZERS: dict[str, tuple[Pair, dict[str, Any]]] = {
    "json": ((lambda value: json.dumps(value).encode(), json.loads), PLAIN),
    "msgpack": ((msgpack.packb, msgpack.unpackb), PLAIN | BINARY),
    "marshal": ((marshal.dumps, marshal.loads), PLAIN | BINARY),
    **{
        f"pickle {protocol}": (pickled(protocol), PLAIN | BINARY | OBJECTS)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}
COMPRESSORS: dict[str, Pair] = {
    "plain": (bytes, bytes),
    "zlib": (zlib.compress, zlib.decompress),
    "gzip": (gzip.compress, gzip.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "lzma": (lambda value: lzma.compress(value, preset=0), lzma.decompress),
}


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_serialized_and_compressed_values_come_back_as_they_went(
    calls: FrontCalls, valkey: ValkeyServer
) -> None:
    front = calls.front(new_cache(16_384))
    stored: dict[str, tuple[bytes, Any, Callable[[bytes], Any]]] = {}
    for serializer, ((dump, load), values) in SERIALIZERS.items():
        for compressor, (compress, decompress) in COMPRESSORS.items():
            # Each compressor sees all values; what is long is compressed once for each serializer.
            for name, value in values.items():
                if compressor == "plain" or len(str(value)) < 5_000:
                    key = f"{serializer} {compressor} {name}"
                    stored[key] = compress(dump(value)), value, partial(decoded, load, decompress)
    calls.call(
        front, "hset", "all", mapping={key: raw for key, (raw, _, _) in stored.items() if len(raw) < 5_000}
    )
    assert len(stored) > 300
    wrong = []
    for key, (raw, value, load) in stored.items():
        calls.call(front, "set", key, raw)
        miss, hit = calls.call(front, "get", key), calls.call(front, "get", key)
        if not (miss == hit == raw and load(hit) == value):
            wrong.append(key)
    assert wrong == []
    for _ in range(2):
        fields = calls.call(front, "hgetall", "all")
        assert [
            key for key in stored if len(stored[key][0]) < 5_000 and fields[key.encode()] != stored[key][0]
        ] == []
    # A miss that the daemon answers late is asked for once more, by the library.
    assert valkey.calls("get") < 1.1 * len(stored)
    assert valkey.calls("hgetall") <= 2


def test_a_client_for_text_refuses_pickles_as_the_library_does(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    """The front's values stay bytes in the cache, so the other clients of the cache get them."""
    raw = pickle.dumps({"value": bytes(range(256))})
    valkey.admin.mset({"pickle": raw, "json": json.dumps({"value": "é"})})
    texts = {"decode_responses": True}
    plain, front, binary = calls.plain(**texts), calls.front(cache, **texts), calls.front(cache)

    def is_hit(key: str) -> bool:
        before = valkey.calls("get")
        calls.outcome(front, "get", key)
        return valkey.calls("get") == before

    for key in ("pickle", "json"):
        first = calls.outcome(front, "get", key)
        wait_until(lambda key=key: is_hit(key), "reads are hits")  # type: ignore[misc]
        expected = calls.outcome(plain, "get", key)
        assert [first, calls.outcome(front, "get", key)] == [expected] * 2
    assert calls.outcome(front, "get", "pickle")[0] is UnicodeDecodeError
    assert calls.call(binary, "get", "pickle") == raw


class JsonSerializer:
    """A serializer for Django: JSON, compressed."""

    def dumps(self, value: Any) -> bytes | int:
        return value if type(value) is int else zlib.compress(json.dumps(value).encode())

    def loads(self, raw: bytes) -> Any:
        try:
            return int(raw)
        except ValueError:
            return json.loads(zlib.decompress(raw))


class FrontClient(RedisCacheClient):  # type: ignore[misc]
    """Django's client, with the front in place of redis-py's."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client = glidecache.redis.Redis


class FrontCache(RedisCache):  # type: ignore[misc]
    """Django's Redis backend, with it."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = FrontClient


@pytest.mark.parametrize(
    ("serializer", "values"),
    [
        (RedisSerializer, PLAIN | BINARY | OBJECTS),
        (lambda: RedisSerializer(0), PLAIN),
        (JsonSerializer, PLAIN),
    ],
    ids=["pickle", "pickle 0", "compressed JSON"],
)
def test_djangos_own_redis_backend_reads_by_the_front(
    valkey: ValkeyServer, daemon: Daemon, unique_name: str, serializer: Any, values: dict[str, Any]
) -> None:
    if not settings.configured:
        settings.configure()
    options = {"serializer": serializer, "shared_cache": unique_name, "runtime_dir": str(daemon.runtime_dir)}
    django = FrontCache(f"redis://{HOST}:{valkey.port}/0", {"OPTIONS": options, "KEY_PREFIX": "site"})
    django.set_many(values)
    for _ in range(3):
        assert {key: django.get(key) for key in values} == values
        assert django.get_many(values) == values
    assert len(values) <= valkey.calls("get") + valkey.calls("mget") < 2 * len(values)
    django.set("count", 7)
    assert django.incr("count") == 8
    assert django.get("count") == 8
    assert django.get_or_set("absent", lambda: "made") == "made"
    django.close()
