"""Contract C25: `forget`, and what was forgotten does not come back."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import RequestError
from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from support.cacheable import CACHEABLE, GET, Cacheable
from support.caches import new_cache, sleep_past
from support.clients import at
from support.daemon import Daemon, to_toml
from support.fault_proxy import REPLIES, proxy_before
from support.valkey_server import HOST
from support.waiting import wait_until
from support.wire import WireClient, accepted, attach_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache import ClientSideCache
    from support.cluster import Cluster
    from support.connector import Connector
    from support.valkey_server import ValkeyServer


@pytest.mark.parametrize("command", CACHEABLE, ids=lambda command: command.method)
def test_c25_an_entry_of_any_kind_is_gone_for_every_process(
    connect: Connector, valkey: ValkeyServer | Cluster, cache: ClientSideCache, command: Cacheable
) -> None:
    client, other = connect(cache), connect.worker(cache)
    command.write(valkey, "k", 1)
    assert client.call(command.method, "k") == other.call(command.method, "k") == command.value(1)
    command.write(valkey, "k", 2)
    assert other.call(command.method, "k") == command.value(1)
    assert client.call("forget", ["k"]) == 1
    assert other.call(command.method, "k") == client.call(command.method, "k") == command.value(2)
    assert other.call("forget", [b"k", "absent"]) == 1
    command.write(valkey, "k", 3)
    assert client.call(command.method, "k") == command.value(3)


def test_c25_it_is_asked_for_never_implied_and_counts_as_neither_eviction_nor_expiration(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer | Cluster, unique_name: str
) -> None:
    client = connect(new_cache(name=unique_name))
    for key in ("a", "b", "c"):
        client.call("set", key, "1")
        client.get(key)
    client.call("set", "a", "2")
    client.call("delete", ["b"])
    assert (client.get("a"), client.get("b")) == (b"1", b"1")
    before = client.metrics()
    asked = valkey.calls("get")
    assert client.call("forget", ["a", "b"]) == 2
    after = client.metrics()
    assert after == before._replace(entry_count=1), "no lookup, no eviction, no expiration"
    assert valkey.calls("get") == asked
    (row,) = [one for one in daemon.stats()["caches"] if one["name"] == unique_name]
    assert row["metrics"]["forgotten"] == 2
    assert (client.get("a"), client.get("b"), client.get("c")) == (b"2", None, b"1")


@pytest.mark.parametrize(
    ("keys", "removed"),
    [
        ([], 0),
        (["k0", b"k1", bytearray(b"k2"), memoryview(b"k3"), "k0"], 4),
        ({"k1": 1, "k2": 2}, 2),
        ({"k0", b"k9"}, 1),
        ([f"k{number}" for number in range(1_700)], 5),
        (["x" * 300_000, "k0", "y" * 300_000, "k1"], 2),
        (["ключ", "k4"], 2),
    ],
    ids=["none", "kinds", "mapping", "set", "many", "long", "text"],
)
def test_c25_keys_are_any_iterable_of_any_number(
    connect: Connector, valkey: ValkeyServer | Cluster, cache: ClientSideCache, keys: Any, removed: int
) -> None:
    client = connect(cache)
    for key in ("k0", "k1", "k2", "k3", "k4", "ключ"):
        GET.write(valkey, key, 1)
        client.get(key)
    assert client.call("forget", keys) == removed
    assert client.metrics().entry_count == 6 - removed
    assert client.call("forget", (key for key in ("k0", "k1", "k2", "k3", "k4", "ключ"))) == 6 - removed


@pytest.mark.parametrize("keys", ["k", b"k", bytearray(b"k"), None, 5, [None], ["k", True], [["k"]]])
def test_c25_what_is_no_list_of_keys_is_a_type_error_and_nothing_is_forgotten(
    connect: Connector, valkey: ValkeyServer | Cluster, cache: ClientSideCache, keys: object
) -> None:
    client = connect(cache)
    GET.write(valkey, "k", 1)
    client.get("k")
    with pytest.raises(TypeError, match="keys"):
        client.call("forget", keys)
    assert client.metrics().entry_count == 1


def test_c25_without_a_cache_it_says_so(connect: Connector) -> None:
    with pytest.raises(RequestError, match="Client-side caching is not enabled"):
        connect().call("forget", ["k"])


def test_c25_an_expired_entry_is_an_expiration_and_not_in_the_answer(
    connect: Connector, valkey: ValkeyServer | Cluster
) -> None:
    client = connect(new_cache(entry_ttl_ms=30))
    GET.write(valkey, "k", 1)
    client.get("k")
    sleep_past(30)
    assert client.metrics().entry_count == 1
    assert client.call("forget", ["k"]) == 0
    assert client.metrics().entry_count == 0
    assert client.metrics().expirations == 1


def test_c25_other_pools_keep_their_entries(connect: Connector, valkey: ValkeyServer | Cluster) -> None:
    mine, others = connect(new_cache()), connect(new_cache())
    GET.write(valkey, "k", 1)
    assert mine.get("k") == others.get("k") == b"v1"
    GET.write(valkey, "k", 2)
    assert mine.call("forget", ["k"]) == 1
    assert (mine.get("k"), others.get("k")) == (b"v2", b"v1")


def test_c25_by_prefix(connect: Connector, valkey: ValkeyServer | Cluster, cache: ClientSideCache) -> None:
    """The operator's command and Django's `clear` use it."""
    client = connect(cache)
    for key in ("page:1", "page:2", "pag", "other"):
        GET.write(valkey, key, 1)
        client.get(key)
    assert client.call("_forget_prefix", b"page:") == 2
    assert client.metrics().entry_count == 2


# ---- flights


def test_c25_no_flight_that_was_sent_before_stores_and_no_later_lookup_joins_it(
    own_valkey: ValkeyServer, wires: list[WireClient], cache: ClientSideCache
) -> None:
    """The server takes its time; a third party changes the key between the two flights."""
    GET.write(own_valkey, "k", 1)
    early, forgetter, late = wires
    sessions = attach_all(wires, cache)
    own_valkey.pause()
    old = early.send(protocol.READ, sessions[0], STRING, b"k")
    accepted(early)
    assert forgetter.request(protocol.FORGET, sessions[1], [b"k"]) == 0
    new = late.send(protocol.READ, sessions[2], STRING, b"k")
    accepted(late)
    own_valkey.resume()
    assert (early.result(old), late.result(new)) == (b"v1", b"v1")
    assert own_valkey.calls("get") == 2, "the later lookup had a flight of its own"
    # The one that was sent last is the entry: a flight below it would have been refused, were it stored.
    assert forgetter.request(protocol.FORGET, sessions[1], [b"k"]) == 1


def test_c25_an_older_answer_does_not_come_back(
    own_valkey: ValkeyServer, wires: list[WireClient], cache: ClientSideCache
) -> None:
    GET.write(own_valkey, "k", 1)
    early, forgetter, _ = wires
    sessions = attach_all(wires, cache)
    own_valkey.pause()
    old = early.send(protocol.READ, sessions[0], STRING, b"k")
    accepted(early)
    forgetter.request(protocol.FORGET, sessions[1], [b"k"])
    own_valkey.resume()
    assert early.result(old) == b"v1"
    GET.write(own_valkey, "k", 2)
    assert early.request(protocol.READ, sessions[0], STRING, b"k") == b"v2"


def test_c25_one_key_of_a_get_many_does_not_spoil_the_others(
    own_valkey: ValkeyServer, wires: list[WireClient], cache: ClientSideCache
) -> None:
    for key in ("a", "b", "c"):
        GET.write(own_valkey, key, 1)
    early, forgetter, late = wires
    sessions = attach_all(wires, cache)
    own_valkey.pause()
    old = early.send(protocol.GET_MANY, sessions[0], [b"a", b"b", b"c"])
    accepted(early)
    forgetter.request(protocol.FORGET, sessions[1], [b"b"])
    both = late.send(protocol.GET_MANY, sessions[2], [b"a", b"b"])
    accepted(late)
    own_valkey.resume()
    assert early.result(old) == [b"v1"] * 3
    assert late.result(both) == [b"v1"] * 2
    assert own_valkey.calls("mget") == 2, "`a` joined, `b` was asked for again"
    for key in ("a", "b", "c"):
        GET.write(own_valkey, key, 2)
    got = late.request(protocol.GET_MANY, sessions[2], [b"a", b"b", b"c"])
    assert got == [b"v1"] * 3, "`a` and `c` by the first flight, `b` by the second"


@pytest.mark.parametrize("seed", range(4))
def test_c25_whatever_the_order_of_flights_writes_and_forgets(
    start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer, cache: ClientSideCache, seed: int
) -> None:
    """Replies are kept back on their way, so they are of before a third party's write, and come after the FORGET.

    What was looked up after a FORGET, and what is in the pool in the end, is from after the write before it.
    """
    chance = random.Random(seed)
    keys = [b"a", b"b", b"c", b"d"]
    with proxy_before(own_valkey.port) as proxy, contextlib.ExitStack() as ended:
        daemon = start_daemon(upstreams={"default": {"addresses": [f"{HOST}:{proxy.port}"]}})
        wires = [ended.enter_context(WireClient(daemon.runtime_dir)) for _ in range(3)]
        sessions = attach_all(wires, cache)
        versions, floors = dict.fromkeys(keys, 0), dict.fromkeys(keys, 0)
        own_valkey.admin.mset(dict.fromkeys(keys, 0))
        for _ in range(10):
            proxy.hold(REPLIES)
            sent: list[tuple[WireClient, int, list[bytes], dict[bytes, int]]] = []
            for _ in range(chance.randint(3, 15)):
                which = chance.randrange(3)
                wire, session = wires[which], sessions[which]
                what = chance.choice(["read", "read many", "write", "forget", "forget", "forget prefix"])
                key = chance.choice(keys)
                if what == "read":
                    number = wire.send(protocol.READ, session, STRING, key)
                    sent.append((wire, number, [key], dict(floors)))
                elif what == "read many":
                    wanted = chance.choices(keys, k=3)
                    number = wire.send(protocol.GET_MANY, session, wanted)
                    sent.append((wire, number, wanted, dict(floors)))
                elif what == "write":
                    versions[key] += 1
                    own_valkey.admin.set(key, versions[key])
                else:
                    wire.request(protocol.FORGET, session, key if what == "forget prefix" else [key])
                    floors[key] = versions[key]
                accepted(wire)
            proxy.release(REPLIES)
            for wire, number, wanted, at_least in sent:
                got = wire.result(number)
                for key, value in zip(wanted, got if type(got) is list else [got], strict=True):
                    assert int(value) >= at_least[key], f"{key!r} is older than its last FORGET"
            for key in keys:
                value = wires[0].request(protocol.READ, sessions[0], STRING, key)
                assert int(value) >= floors[key], f"the pool has {key!r} from before its last FORGET"


# ---- generations, kills, outages


def catalog(server: ValkeyServer, max_cache_kb: int) -> dict[str, Any]:
    return {
        "upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}},
        "caches": {"catalog": {"max_cache_kb": max_cache_kb, "entry_ttl_ms": 0, "enable_metrics": True}},
    }


def test_c25_it_holds_through_a_running_resize_and_in_both_generations(
    connect: Connector, start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer
) -> None:
    """Keys are changed and forgotten while generations follow each other; no process sees one of before."""
    from glidecache import ClientSideCache

    daemon = start_daemon(**catalog(own_valkey, 8_192))
    cache = ClientSideCache.named("catalog")
    # A worker stays in its generation until a miss: it only hits.
    writer, idle = connect(cache, **at(daemon)), connect.worker(cache, **at(daemon))
    keys = [f"key-{number}" for number in range(20_000)]
    own_valkey.admin.mset(dict.fromkeys(keys, "0"))
    for begin in range(0, len(keys), 2_000):
        writer.call("get_many", keys[begin : begin + 2_000])
    over = threading.Event()

    def resized(times: int) -> bool:
        return over.is_set() or daemon.log_text().count("pool resized") >= times

    def resize() -> None:
        for round_, size in enumerate(itertools.cycle([16_384, 8_192])):
            if over.is_set():
                return
            tables = catalog(own_valkey, size)
            tables["daemon"] = {"pool_dir": str(daemon.pool_dir), "log_level": "debug"}
            daemon.configuration.write_text(to_toml(tables))
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(functools.partial(resized, round_ + 1), "resized", 60)

    resizing = threading.Thread(target=resize)
    resizing.start()
    chance = random.Random(25)
    try:
        until_ns = time.monotonic_ns() + 60_000_000_000
        for version in itertools.count(1):
            if (version > 200 and resized(4)) or time.monotonic_ns() > until_ns:
                break
            key = chance.choice(keys)
            writer.call("set", key, str(version))
            writer.call("forget", [key])
            assert idle.call("get", key) == writer.get(key) == b"%d" % version
    finally:
        over.set()
        resizing.join(60)
    assert daemon.log_text().count("pool resized") >= 4
    assert "Traceback" not in daemon.log_text()


def test_c25_who_joins_lazily_may_forget_first(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, unique_name: str
) -> None:
    cache = new_cache(name=unique_name)
    first = connect(cache, **at(own_daemon, own_valkey))
    GET.write(own_valkey, "k", 1)
    first.get("k")
    lazy = connect(cache, **at(own_daemon, own_valkey), lazy_connect=True)
    assert lazy.call("forget", ["k"]) == 1


def test_c25_an_earlier_daemon_is_named(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, cache: ClientSideCache, monkeypatch: Any
) -> None:
    """It does not know the operation."""
    client = connect(cache, **at(own_daemon, own_valkey))
    monkeypatch.setattr(protocol, "FORGET", 31)
    # The fast path has the number compiled in, and no other text of its own.
    with pytest.raises(RequestError, match="earlier version"):
        client.call("_forget_prefix", b"k")


def test_c25_threads_and_tasks_forget_together(
    connect: Connector, valkey: ValkeyServer | Cluster, cache: ClientSideCache
) -> None:
    client = connect(cache)
    keys = [f"k{number}" for number in range(200)]
    for key in keys:
        GET.write(valkey, key, 1)
        client.get(key)
    answers = client.call_together([("forget", keys[part::8]) for part in range(8)])
    assert sum(answers) == 200, json.dumps(answers)
    assert client.metrics().entry_count == 0
