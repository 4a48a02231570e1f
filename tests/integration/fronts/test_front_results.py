"""A front's reads return, or raise, what its library's own do: the same table for both, hits and misses."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from support.front_clients import FRONT_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache import ClientSideCache
    from support.cluster import Cluster
    from support.front_clients import FrontCalls
    from support.valkey_server import ValkeyServer

KEYS: dict[str, tuple[str, Any]] = {
    "text": ("set", "value"),
    "empty": ("set", b""),
    "latin": ("set", "é".encode("latin-1")),
    "bytes": ("set", bytes(range(256))),
    "long": ("set", b"x" * 20_000),
    "num": ("set", b"12"),
    "7": ("set", b"seven"),
    "ключ": ("set", "значение"),
    "hash": ("hset", {"field": "1", "other": "é", "": ""}),
    "hash-bytes": ("hset", {b"\xff": b"\xfe"}),
    "set": ("sadd", ["one", "two", "é"]),
    "list": ("rpush", ["item"]),
}
NAMES = (*KEYS, "missing")
READS: list[tuple[str, tuple[Any, ...]]] = [
    *[(command, (name,)) for command in ("get", "hgetall", "smembers") for name in NAMES],
    ("get", (b"text",)),
    ("get", (memoryview(b"text"),)),
    ("get", (7,)),
    ("get", (7.0,)),
    ("get", (True,)),
    ("get", (None,)),
    ("get", ([b"text"],)),
    ("get", ("\ud800",)),
    ("get", ("ключ".encode(),)),
    ("mget", (["text", "missing", "text"],)),
    ("mget", ("text", "hash", "empty")),
    ("mget", ("text",)),
    ("mget", ([],)),
    ("mget", ("text", "latin")),
    ("execute_command", ("GET", "text")),
    ("execute_command", ("get", "text")),
    ("execute_command", ("gEt", "text")),
    ("execute_command", (b"GET", "text")),
    ("execute_command", ("HGETALL", "hash")),
    ("execute_command", ("HGETALL",)),
    ("execute_command", ("GET", "text", "more")),
    ("execute_command", ("MGET",)),
    ("getrange", ("text", 0, 2)),
    ("hget", ("hash", "field")),
    ("strlen", ("text",)),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "bytes": {},
    "text": {"decode_responses": True},
    "latin-1": {"decode_responses": True, "encoding": "latin-1"},
    "lenient": {"decode_responses": True, "encoding_errors": "replace"},
    "encoded": {"encoding": "utf-16"},
    "resp3": {"protocol": 3},
    "resp3-text": {"protocol": 3, "decode_responses": True},
}


def fill(server: ValkeyServer | Cluster) -> None:
    for key, (command, value) in KEYS.items():
        if command == "set":
            server.admin.set(key, value)
        elif command == "hset":
            server.admin.hset(key, mapping=value)
        else:
            getattr(server.admin, command)(key, *value)


def in_order(name: str, outcome: tuple[Any, ...]) -> tuple[Any, ...]:
    """The members of a set come in no order, also where the library returns a list."""
    return (outcome[0], sorted(outcome[1])) if name == "smembers" and outcome[0] in {list, set} else outcome


def shown(name: str, arguments: tuple[Any, ...]) -> str:
    return f"{name}{arguments!r}"


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_results_and_errors_are_the_librarys_own(
    calls: FrontCalls, valkey: ValkeyServer | Cluster, options: dict[str, Any], cache: ClientSideCache
) -> None:
    fill(valkey)
    plain, front = calls.plain(**options), calls.front(cache, **options)
    differing = {}
    for name, arguments in READS:
        expected = in_order(name, calls.outcome(plain, name, *arguments))
        for lookup in ("miss", "hit"):
            found = in_order(name, calls.outcome(front, name, *arguments))
            if found != expected:
                differing[f"{shown(name, arguments)}, {lookup}"] = (found, expected)
    assert differing == {}


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_hits_do_not_reach_the_server(
    calls: FrontCalls, valkey: ValkeyServer | Cluster, cache: ClientSideCache
) -> None:
    fill(valkey)
    front = calls.front(cache)
    for _ in range(5):
        assert calls.call(front, "get", "text") == b"value"
        assert calls.call(front, "hgetall", "hash")[b"field"] == b"1"
        assert {b"one", b"two"} <= set(calls.call(front, "smembers", "set"))
        assert calls.call(front, "mget", "text", "text") == [b"value"] * 2
    counts = {command: valkey.calls(command) for command in ("get", "hgetall", "smembers", "mget")}
    assert counts == {"get": 1, "hgetall": 1, "smembers": 1, "mget": 0}
    # C15: an own write does not change what is cached.
    calls.call(front, "set", "text", "other")
    assert calls.call(front, "get", "text") == b"value"


def mark(reply: Any, **options: Any) -> Any:
    return ("marked", reply, options)


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_callbacks_of_the_application_get_what_the_library_gives_them(
    calls: FrontCalls, valkey: ValkeyServer | Cluster, protocol: int, cache: ClientSideCache
) -> None:
    fill(valkey)
    plain = calls.plain(protocol=protocol)
    front = calls.front(cache, protocol=protocol)
    reads = [("get", "text"), ("get", "missing"), ("hgetall", "hash"), ("smembers", "set"), ("mget", "text")]
    for name, key in reads:
        calls.call(front, name, key)
    for client in (plain, front):
        for command in ("GET", "hgetall", "SMEMBERS", "MGET"):
            client.set_response_callback(command, mark)
    for name, key in reads:
        expected, found = (calls.outcome(client, name, key) for client in (plain, front))
        if name == "smembers":  # a set has no order
            expected, found = ((kind, (a, set(b), c)) for kind, (a, b, c) in (expected, found))
        assert found == expected, name


@pytest.mark.parametrize("front_kind", [kind for kind in FRONT_KINDS if kind.is_async], ids=str)
def test_callbacks_that_are_coroutine_functions_are_awaited(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    async def later(reply: Any, **options: Any) -> Any:
        del options
        return [reply]

    valkey.admin.set("k", "v")
    front = calls.front(cache)
    front.set_response_callback("GET", later)
    assert [calls.call(front, "get", "k") for _ in range(2)] == [[b"v"]] * 2


def test_only_keys_with_a_prefix_are_cached(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    keys = ("a:1", "b:1", "c:1")
    valkey.admin.mset(dict.fromkeys(keys, "v"))
    front = calls.front(cache, cache_prefixes=["a:", b"b:"])
    for _ in range(3):
        for key in keys:
            assert calls.call(front, "get", key) == b"v"
        assert calls.call(front, "mget", "a:1", "c:1") == [b"v", b"v"]
    assert valkey.calls("get") == 1 + 1 + 3
    assert valkey.calls("mget") == 3
    nothing = calls.front(cache, cache_prefixes=[])
    assert calls.call(nothing, "get", "a:1") == b"v"
    assert valkey.calls("get") == 6


@pytest.mark.parametrize(
    ("encoding", "key", "prefix"),
    [
        ("utf-8", "ключ", "кл"),
        ("utf-8", "ключ", "кл".encode()[:3]),
        ("latin-1", "key", "k"),
        ("utf-8", b"\xff\xfe", b"\xff"),
    ],
)
def test_prefixes_are_compared_with_the_encoded_key(
    calls: FrontCalls,
    valkey: ValkeyServer,
    cache: ClientSideCache,
    encoding: str,
    key: str | bytes,
    prefix: str | bytes,
) -> None:
    valkey.admin.set(key, "v")
    front = calls.front(cache, cache_prefixes=[prefix], encoding=encoding)
    assert [calls.call(front, "get", key) for _ in range(3)] == [b"v"] * 3
    assert valkey.calls("get") == 1


class FrameworksKey(str):
    """A key as Django's backends make them: its text is not what it shows."""

    __slots__ = ()

    def __str__(self) -> str:
        return "shown"


class Keys(StrEnum):
    """Keys of an application."""

    ONE = "a:1"


class OwnEncoding(str):
    """A key that is sent as something else."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:  # type: ignore[override]
        return b"a:2"


@pytest.mark.parametrize(
    ("key", "asked"),
    [(FrameworksKey("a:1"), 1), (Keys.ONE, 1), (OwnEncoding("a:1"), 3)],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("prefixes", [None, ["a:"]], ids=["all", "a prefix"])
def test_keys_of_subclasses_of_str_are_what_the_library_sends(
    calls: FrontCalls,
    valkey: ValkeyServer,
    cache: ClientSideCache,
    key: str,
    asked: int,
    prefixes: list[str] | None,
) -> None:
    valkey.admin.mset({"a:1": "one", "a:2": "two", "shown": "wrong"})
    front = calls.front(cache, cache_prefixes=prefixes)
    expected = calls.call(calls.plain(), "get", key)
    assert [calls.call(front, "get", key) for _ in range(3)] == [expected] * 3
    assert valkey.calls("get") == 1 + asked


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_without_a_cache_everything_is_the_librarys_own(calls: FrontCalls, valkey: ValkeyServer) -> None:
    valkey.admin.set("k", "v")
    kind = calls.kind.client_class(front=True, cluster=calls.cluster)
    front = calls.made(lambda: kind(host="127.0.0.1", port=calls.port))
    assert [calls.call(front, "get", "k") for _ in range(3)] == [b"v"] * 3
    assert valkey.calls("get") == 3
    assert front._glidecache is None


def test_a_subclass_that_changes_commands_gets_its_own_entries(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    """All commands come through `execute_command`, as in the library."""
    base: Any = calls.kind.client_class(front=True)

    class Prefixed(base):
        def execute_command(self, *args: Any, **_: Any) -> Any:
            return super().execute_command(args[0], f"app:{args[1]}", *args[2:])

    valkey.admin.mset({"k": "bare", "app:k": "prefixed"})
    make: Callable[..., Any] = Prefixed
    front = calls.made(
        lambda: make(host="127.0.0.1", port=calls.port, shared_cache=cache, runtime_dir=calls.runtime_dir)
    )
    assert [calls.call(front, "get", "k") for _ in range(3)] == [b"prefixed"] * 3
    assert valkey.calls("get") == 1
