"""Django's cache API on the shared pool: results, versions, keys, time-outs, serializers, kinds of `LOCATION`."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from support.django_caches import DjangoCaches, url_of
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


def check_api(caches: DjangoCaches) -> None:
    """Call every method of the API once, and look at the result as a reader would."""
    cache = caches.made()

    def call(name: str, *arguments: Any, **options: Any) -> Any:
        return caches.call(cache, name, *arguments, **options)

    assert call("get", "k") is None
    assert call("get", "k", "default") == "default"
    assert call("set", "k", {"a": [1, None]}) is None
    assert call("get", "k") == {"a": [1, None]}
    assert call("set", "nothing", None) is None
    assert call("get", "nothing", "default") is None
    assert call("add", "k", "other") is False
    assert call("add", "l", "first") is True
    assert call("get_many", iter(["k", "l", "m"])) == {"k": {"a": [1, None]}, "l": "first"}
    assert call("has_key", "k") is True
    assert call("has_key", "m") is False
    assert call("set_many", {"x": 1, "y": "two", 3: b"\xff"}) == []
    assert call("get_many", ["x", "y", 3]) == {"x": 1, "y": "two", 3: b"\xff"}
    assert call("set_many", {}) == []
    assert call("get_many", []) == {}
    assert call("incr", "x") == 2
    assert call("incr", "x", 10) == call("get", "x") == 12
    assert call("decr", "x", 20) == call("get", "x") == -8
    for name in ("incr", "decr"):
        with pytest.raises(ValueError, match="'m' not found"):
            call(name, "m")
        with pytest.raises(TypeError, match="not a whole number"):
            call(name, "y")
    assert call("touch", "x", 100) is call("touch", "x", None) is call("touch", "x", None) is True
    assert call("touch", "m") is call("touch", "m", None) is call("touch", "m", 0) is False
    assert call("get_or_set", "o", lambda: "made") == call("get_or_set", "o", "unused") == "made"
    assert call("incr_version", "o") == 2
    assert (call("get", "o"), call("get", "o", version=2)) == (None, "made")
    assert call("decr_version", "o", version=2) == 1
    assert call("get", "o") == "made"
    assert call("delete", "o") is True
    assert call("delete", "o") is False
    assert call("delete_many", ["k", "l"]) is call("delete_many", []) is None
    assert call("get_many", ["k", "l", "y"]) == {"y": "two"}
    call("clear")
    assert call("get_many", ["x", "y", 3, "nothing"]) == {}
    call("close")


def test_the_whole_api(caches: DjangoCaches) -> None:
    check_api(caches)


@pytest.mark.parametrize("location", ["list", "redis", "unix", "upstream", "upstream_option"])
def test_the_api_with_each_kind_of_location(
    face: str,
    location: str,
    start_valkey: Callable[..., ValkeyServer],
    start_daemon: Callable[..., Daemon],
    tmp_path: Path,
) -> None:
    socket = tmp_path / "s"
    server = start_valkey(f"unixsocket {socket}")
    daemon = start_daemon(upstreams={"mine": {"addresses": [f"{HOST}:{server.port}"]}})
    by_name = {"upstream": "mine"}
    locations: dict[str, tuple[Any, dict[str, str]]] = {
        "list": ([url_of(server.port), url_of(server.port + 1)], {}),
        "redis": (url_of(server.port).replace("valkey:", "redis:"), {}),
        "unix": (f"unix://{socket}", by_name),
        "upstream": ("upstream:mine", {}),
        "upstream_option": (url_of(server.port), by_name),
    }
    where, options = locations[location]
    with DjangoCaches(face, where, daemon, "site", **options) as caches:
        check_api(caches)
        cache = caches.made()
        caches.call(cache, "set", "k", "v")
        before = server.reads()
        assert [caches.call(cache, "get", "k") for _ in range(3)] == ["v"] * 3
        assert server.reads() == before + 1


def test_reads_are_hits(caches: DjangoCaches, valkey: ValkeyServer) -> None:
    cache = caches.made()
    caches.call(cache, "set_many", {"a": 1, "b": "2"})
    for _ in range(3):
        assert [caches.call(cache, "get", key) for key in "ab"] == [1, "2"]
        assert caches.call(cache, "has_key", "a")
        assert caches.call(cache, "get_many", ["a", "b"]) == {"a": 1, "b": "2"}
    assert (valkey.calls("get"), valkey.calls("mget"), valkey.calls("exists")) == (2, 0, 0)


def test_only_keys_with_a_prefix_are_cached(caches: DjangoCaches, valkey: ValkeyServer) -> None:
    cache = caches.made(options={"prefixes": ["a:"]})
    caches.call(cache, "set_many", {"a:k": 1, "b:k": 1})
    assert caches.call(cache, "get_many", ["a:k", "b:k"]) == {"a:k": 1, "b:k": 1}
    for key in ("a:k", "b:k"):
        valkey.admin.set(f":1:{key}", 2)
    assert caches.call(cache, "get", "a:k") == 1
    assert caches.call(cache, "get", "b:k") == 2
    assert caches.call(cache, "get_many", ["a:k", "b:k"]) == {"a:k": 1, "b:k": 2}


def test_no_value_is_served_beyond_its_time_out(caches: DjangoCaches, valkey: ValkeyServer) -> None:
    """The pool's own TTL is a minute."""
    cache = caches.made()
    caches.call(cache, "set", "set", 1, 0.6)
    caches.call(cache, "add", "add", 1, 0.6)
    caches.call(cache, "set_many", {"many": 1}, 0.6)
    caches.call(cache, "set", "touch", 1)
    caches.call(cache, "touch", "touch", 0.6)
    end = time.monotonic() + 0.6
    keys = ["set", "add", "many", "touch"]
    assert caches.call(cache, "get_many", keys) == dict.fromkeys(keys, 1)
    before = valkey.reads()
    assert [caches.call(cache, "get", key) for key in keys] == [1] * 4
    assert valkey.reads() == before, "they were hits"
    time.sleep(end - time.monotonic() + 0.01)
    assert [caches.call(cache, "get", key) for key in keys] == [None] * 4


def test_time_outs_without_end_and_in_the_past(caches: DjangoCaches, valkey: ValkeyServer) -> None:
    cache = caches.made(TIMEOUT=100)
    for name, timeout in (("set", None), ("add", None), ("touch", None)):
        caches.call(cache, "set", "k", 1) if name == "touch" else valkey.admin.delete(":1:k")
        caches.call(cache, name, "k", *([] if name == "touch" else [1]), timeout)
        assert valkey.admin.pttl(":1:k") == -1
    caches.call(cache, "set", "k", 1)
    assert 99_000 < valkey.admin.pttl(":1:k") <= 100_000
    assert caches.call(cache, "incr", "k") == 2
    assert valkey.admin.pttl(":1:k") > 99_000, "counting keeps the time-out"
    for timeout in (0, -1, -0.5):
        for name in ("set", "set_many", "touch"):
            caches.call(cache, "set", "k", 1)
            assert caches.call(cache, "get", "k") == 1
            arguments: dict[str, list[Any]] = {"set": ["k", 2], "set_many": [{"k": 2}], "touch": ["k"]}
            caches.call(cache, name, *arguments[name], timeout)
            assert caches.call(cache, "get", "k") is None
        assert caches.call(cache, "add", "k", 1, timeout) is True
        assert caches.call(cache, "get", "k") is None


def test_versions_and_key_prefixes_are_different_keys(caches: DjangoCaches) -> None:
    first, second, third = caches.made(), caches.made(VERSION=2), caches.made(KEY_PREFIX="p")
    for number, cache in enumerate((first, second, third)):
        caches.call(cache, "set", "k", number)
    assert [caches.call(cache, "get", "k") for cache in (first, second, third)] == [0, 1, 2]
    assert caches.call(first, "get", "k", version=2) == 1


def with_version_last(key: str, prefix: str, version: int) -> str:
    return f"{prefix}/{key}/{version}"


def hashed(key: str, prefix: str, version: int) -> str:
    return f"{hash((key, prefix, version)):x}"


@pytest.mark.parametrize("function", [None, with_version_last])
@pytest.mark.parametrize("prefix", ["mine", "glob[a-c]*?^\\x"])
def test_clear_deletes_what_begins_with_the_prefix_alone(
    caches: DjangoCaches, valkey: ValkeyServer, prefix: str, function: Callable[..., str] | None
) -> None:
    cache = caches.made(KEY_PREFIX=prefix, KEY_FUNCTION=function)
    others = {"plain": caches.made(), "longer": caches.made(KEY_PREFIX=prefix + "x", KEY_FUNCTION=function)}
    others["globbed"] = caches.made(KEY_PREFIX="globaXX", KEY_FUNCTION=function)
    for each in (cache, *others.values()):
        caches.call(each, "set_many", {f"k{number}": number for number in range(2_500)})
        assert caches.call(each, "get", "k1") == 1
    caches.call(cache, "set", "k1", 1, version=2)
    assert caches.call(cache, "get", "k1", version=2) == 1
    valkey.admin.set("foreign", "v")
    caches.call(cache, "clear")
    assert caches.call(cache, "get_many", [f"k{number}" for number in range(2_500)]) == {}
    assert caches.call(cache, "get", "k1", version=2) is None
    for name, each in others.items():
        before = valkey.reads()
        assert caches.call(each, "get", "k1") == 1, name
        assert valkey.reads() == before, f"{name}: its entries stay too"
    assert valkey.admin.dbsize() == 2_500 * len(others) + 1


def test_clear_says_why_it_cannot_with_a_hash_as_key(caches: DjangoCaches) -> None:
    cache = caches.made(KEY_FUNCTION=hashed)
    caches.call(cache, "set", "k", 1)
    with pytest.raises(ImproperlyConfigured, match="KEY_FUNCTION"):
        caches.call(cache, "clear")
    assert caches.call(cache, "get", "k") == 1


def test_pickles_are_new_objects_each_time(caches: DjangoCaches) -> None:
    cache = caches.made()
    value = [dt.date(2026, 1, 2), True, 1.5, 2**70, {("a",): {1}}]
    for each in ([value], *value):
        caches.call(cache, "set", "k", each)
        assert caches.call(cache, "get", "k") == each
        assert type(caches.call(cache, "get", "k")) is type(each)
    caches.call(cache, "set", "k", value)
    caches.call(cache, "get", "k").clear()
    assert caches.call(cache, "get", "k") == value


class Reversing:
    """A serializer of an application."""

    def dumps(self, value: str) -> str:
        return value[::-1]

    def loads(self, data: bytes) -> str:
        return data.decode()[::-1]


def test_json_and_an_applications_own_serializer(caches: DjangoCaches, valkey: ValkeyServer) -> None:
    cache = caches.made(options={"serializer": "json"})
    for value in ({"a": [1, 2.5, None, True]}, "ä", 7, None):
        caches.call(cache, "set", "k", value)
        assert caches.call(cache, "get", "k") == value
    caches.call(cache, "set", "k", {"a": 1})
    assert valkey.admin.get(":1:k") == b'{"a":1}'
    caches.call(cache, "set", "n", 1)
    assert caches.call(cache, "incr", "n") == 2
    with pytest.raises(TypeError):
        caches.call(cache, "set", "k", dt.date(2026, 1, 2))
    own = caches.made(options={"serializer": Reversing})
    caches.call(own, "set", "k", "abc")
    assert valkey.admin.get(":1:k") == b"cba"
    assert caches.call(own, "get", "k") == "abc"
    djangos = caches.made(options={"serializer": "django.core.cache.backends.redis.RedisSerializer"})
    caches.call(djangos, "set_many", {"n": 1, "l": [1]})
    assert caches.call(djangos, "incr", "n") == 2
    assert caches.call(djangos, "get_many", ["n", "l"]) == {"n": 2, "l": [1]}
