"""Contract C29: with `server_ttl` an entry ends no later than the server's key."""

from __future__ import annotations

import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientSideCache, ConfigurationError, ReadFrom
from support.cacheable import CACHEABLE, GET, HGETALL
from support.caches import end_of_life, is_cached, new_cache, sleep_past
from support.clients import at
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

LONG_MS = 3_600_000
MANY = 2_500
"""More keys than the daemon asks for at once."""


def ttl_cache(entry_ttl_ms: int = 0, **settings: Any) -> ClientSideCache:
    """A cache with `server_ttl`, whose entries otherwise live for ever."""
    return ClientSideCache.create(8192, entry_ttl_ms, enable_metrics=True, server_ttl=True, **settings)


def read_until_new(read: Callable[[], Any], old: Any, new: Any, end: float) -> None:
    """Read until `new` comes. Until then it must be `old`, and no call that begins after `end` may get that."""

    def is_new() -> bool:
        begun = time.monotonic()
        value = read()
        assert value in (old, new)
        assert value == new or begun < end, f"served {begun - end:.3f} s beyond the key's own life"
        return bool(value == new)

    wait_until(is_new, "the server's new value", 20)


@pytest.mark.parametrize("cacheable", CACHEABLE, ids=lambda each: each.method)
def test_c29_an_entry_ends_with_the_servers_key(
    connect: Connector, valkey: ValkeyServer, cacheable: Any
) -> None:
    ttl_ms = 400
    client = connect(ttl_cache(LONG_MS))
    cacheable.write(valkey, "k", 1)
    valkey.admin.pexpire("k", ttl_ms)
    end = end_of_life(ttl_ms)
    assert client.call(cacheable.method, "k") == cacheable.value(1)
    again = client.call(cacheable.method, "k")
    if time.monotonic() < end:
        assert again == cacheable.value(1)
        assert valkey.reads() == valkey.calls("pttl") == 1, "the second read was a hit"
    cacheable.write(valkey, "k", 2)
    valkey.admin.persist("k")
    read_until_new(lambda: client.call(cacheable.method, "k"), cacheable.value(1), cacheable.value(2), end)
    assert client.metrics().expirations == 1
    assert client.call(cacheable.method, "k") == cacheable.value(2)
    assert valkey.reads() == valkey.calls("pttl") == 2


def test_c29_without_the_setting_the_servers_time_is_not_asked(
    connect: Connector, valkey: ValkeyServer
) -> None:
    client = connect(new_cache())
    valkey.admin.set("k", "v", px=100)
    client.get("k")
    client.call("get_many", ["a", "b"])
    assert valkey.calls("pttl") == 0
    sleep_past(100)
    assert client.get("k") == b"v"


def test_c29_the_smaller_of_both_counts(connect: Connector, valkey: ValkeyServer) -> None:
    ttl_ms = 300
    client = connect(ttl_cache(ttl_ms))
    for key, options in (("none", {}), ("longer", {"px": LONG_MS})):
        valkey.admin.set(key, "v1", **options)
        before = time.monotonic()
        assert client.get(key) == b"v1"
        end = end_of_life(ttl_ms)
        valkey.admin.set(key, "v2", **options)
        read_until_new(lambda key=key: client.get(key), b"v1", b"v2", end)  # type: ignore[misc]
        assert time.monotonic() - before >= ttl_ms / 1000


def test_c29_a_key_without_a_ttl_lives_by_the_caches_own(connect: Connector, valkey: ValkeyServer) -> None:
    client = connect(ttl_cache(0))
    for cacheable in CACHEABLE:
        cacheable.write(valkey, cacheable.method, 1)
        client.call(cacheable.method, cacheable.method)
        valkey.admin.delete(cacheable.method)
        assert client.call(cacheable.method, cacheable.method) == cacheable.value(1)
    assert valkey.calls("pttl") == len(CACHEABLE)


def test_c29_what_has_no_key_is_answered_and_not_stored(connect: Connector, valkey: ValkeyServer) -> None:
    """The server's -2: here an empty hash, which it answers for a key that is missing."""
    client = connect(ttl_cache(LONG_MS))
    assert client.call("hgetall", "missing") == client.call("hgetall", "missing") == {}
    assert client.get("missing") is None
    assert valkey.calls("hgetall") == 2
    assert client.metrics().entry_count == 0


def test_c29_an_error_of_the_read_itself_is_raised_and_leaves_the_entry(
    connect: Connector, valkey: ValkeyServer
) -> None:
    from glidecache import RequestError

    HGETALL.write(valkey, "k", 1)
    client = connect(ttl_cache(LONG_MS))
    client.call("hgetall", "k")
    with pytest.raises(RequestError, match="WRONGTYPE"):
        client.get("k")
    assert client.call("hgetall", "k") == HGETALL.value(1)
    assert valkey.calls("hgetall") == 1


def test_c29_many_keys_each_have_their_own_time(connect: Connector, valkey: ValkeyServer) -> None:
    client = connect(ttl_cache(LONG_MS))
    ttl_ms = 400
    valkey.admin.set("lasting", "1")
    valkey.admin.set("later", "1", px=LONG_MS)
    HGETALL.write(valkey, "hash", 1)
    valkey.admin.set("soon", "1", px=ttl_ms)
    end = end_of_life(ttl_ms)
    keys = ["soon", "lasting", "missing", "soon", "later", "hash"]
    assert client.call("get_many", keys) == [b"1", b"1", None, b"1", b"1", None]
    assert valkey.calls("pttl") == 5, "one for each key"
    for key in ("lasting", "later", "soon"):
        valkey.admin.set(key, "2")
    read_until_new(lambda: client.call("get_many", ["soon"]), [b"1"], [b"2"], end)
    assert client.call("get_many", ["lasting", "later"]) == [b"1", b"1"]


def test_c29_very_many_and_very_long_keys(connect: Connector, valkey: ValkeyServer) -> None:
    """In slices; and over the lane of long requests, whose long arguments are written in pieces."""
    client = connect(ttl_cache(LONG_MS))
    keys = [f"k{number}" for number in range(MANY)]
    valkey.admin.mset(dict.fromkeys(keys, "v"))
    assert client.call("get_many", keys) == [b"v"] * MANY
    assert valkey.calls("pttl") == MANY
    long = [f"{number}" * 70_000 for number in range(1, 8)]
    for key in long[1:]:
        valkey.admin.set(key, key[0], px=LONG_MS)
    expected = [None, *(key[0].encode() for key in long[1:])]
    assert client.call("get_many", long) == expected
    assert client.call("get_many", long[1:]) == expected[1:]
    assert valkey.calls("pttl") == MANY + len(long)


def test_c29_a_long_reply_has_its_own_lane_and_time(connect: Connector, valkey: ValkeyServer) -> None:
    client = connect(ttl_cache(LONG_MS))
    ttl_ms = 300
    # The first reply shows that it is long: the daemon asks for the second one in another lane.
    for value in (b"1" * 1_200_000, b"2" * 1_200_000):
        valkey.admin.set("long", value, px=ttl_ms)
        end = end_of_life(ttl_ms)
        assert client.get("long") == value
        read_until_new(lambda: client.get("long"), value, None, end)
    assert client.metrics().expirations == 2


def test_c29_the_primary_is_asked_whatever_reads_prefer(connect: Connector, valkey: ValkeyServer) -> None:
    client = connect(ttl_cache(LONG_MS), read_from=ReadFrom.PREFER_REPLICA)
    valkey.admin.set("k", "v1", px=LONG_MS)
    assert client.get("k") == b"v1"
    valkey.admin.set("k", "v2")
    assert client.get("k") == b"v1"
    assert client.call("get_many", ["k", "l"]) == [b"v1", None]


def test_c29_a_refused_pttl_is_told_once_and_nothing_is_stored(
    connect: Connector,
    start_valkey: Callable[..., ValkeyServer],
    start_daemon: Callable[..., Daemon],
    unique_name: str,
) -> None:
    server = start_valkey("user default on nopass ~* &* +@all -pttl")
    daemon = start_daemon()
    client = connect(ttl_cache(LONG_MS, name=unique_name), **at(daemon, server))
    for cacheable in CACHEABLE:
        cacheable.write(server, cacheable.method, 1)
        for _ in range(2):
            assert client.call(cacheable.method, cacheable.method) == cacheable.value(1)
        assert server.calls(cacheable.method) == 2
    assert client.call("get_many", ["get", "x"]) == [b"v1", None]
    assert client.metrics().entry_count == 0
    warnings = [line for line in daemon.log_text().splitlines() if "server does not tell keys' TTLs" in line]
    assert len(warnings) == 1
    assert unique_name in warnings[0]
    assert "NOPERM" in warnings[0]
    assert "+pttl" in warnings[0]
    cache = next(each for each in daemon.stats()["caches"] if each["name"] == unique_name)
    assert cache["settings"]["server_ttl"] is True
    assert cache["ttl_failures"] == 7
    server.admin.acl_setuser("default", commands=["+pttl"])
    client.get("get")
    assert is_cached(client, server, "get")


def test_c29_both_are_asked_again_when_the_connection_is_lost_between_the_replies(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    from support.fault_proxy import REPLIES, FaultProxy

    own_valkey.admin.set("k", "v1", px=LONG_MS)
    proxy = FaultProxy(own_valkey.port)
    try:
        client = connect(ttl_cache(), **at(own_daemon, proxy))  # type: ignore[arg-type]
        client.get("other")
        proxy.cut_after(REPLIES, len(b"$2\r\nv1\r\n:"))
        own_valkey.reset()
        own_valkey.admin.set("k", "v1", px=LONG_MS)
        assert client.get("k") == b"v1"
        assert own_valkey.calls("get") == own_valkey.calls("pttl") == 2
        assert client.get("k") == b"v1"
        assert own_valkey.calls("get") == 2
    finally:
        proxy.close()


def test_c29_reads_pass_a_held_connection_with_their_times(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    import threading

    from glidecache import ClientPauseMode

    writer, reader = (connect(ttl_cache(LONG_MS), **at(own_daemon, own_valkey)) for _ in range(2))
    own_valkey.admin.mset({f"k{number}": "1" for number in range(40)})
    own_valkey.admin.pexpire("k0", LONG_MS)
    writer.call("client_pause", 1_500, ClientPauseMode.WRITE)
    thread = threading.Thread(target=lambda: writer.call("set", "w", "1"))
    thread.start()
    try:
        wait_until(lambda: int(own_valkey.admin.info("clients")["blocked_clients"]) >= 1, "the write is held")
        for number in range(40):
            assert reader.get(f"k{number}") == b"1"
        assert reader.call("get_many", [f"k{number}" for number in range(40)]) == [b"1"] * 40
    finally:
        thread.join()
    assert reader.metrics().entry_count == 40


def test_c29_c19_another_setting_is_refused_by_name(connect: Connector, unique_name: str) -> None:
    connect(ttl_cache(name=unique_name))
    worker = connect.bare_worker()
    other = ClientSideCache.create(8192, 0, enable_metrics=True, name=unique_name)
    with pytest.raises(ConfigurationError, match="server_ttl") as raised:
        connect(other)
    assert "max_cache_kb" not in str(raised.value)
    with pytest.raises(Exception, match="server_ttl"):
        worker.connect(connect.kind, **connect._complete(other, {}))
    assert connect.worker(ttl_cache(name=unique_name)).call("get", "x") is None


def test_c29_c19_a_pickle_of_before_reads_as_false(connect: Connector, valkey: ValkeyServer) -> None:
    cache = new_cache()
    state = dict(vars(cache))
    del state["server_ttl"]
    old = ClientSideCache.__new__(ClientSideCache)
    vars(old).update(state)
    revived = pickle.loads(pickle.dumps(old))
    assert revived == cache
    assert "server_ttl=False" in repr(revived)
    GET.write(valkey, "k", 1)
    connect(cache).get("k")
    connect(revived).get("k")
    assert valkey.calls("get") == 1
    assert valkey.calls("pttl") == 0


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_c29_a_warm_restart_keeps_the_setting_and_each_end(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, unique_name: str, ending: str
) -> None:
    client = connect(ttl_cache(LONG_MS, name=unique_name), **at(own_daemon, own_valkey))
    ttl_ms = 2_500
    own_valkey.admin.set("lasting", "1")
    own_valkey.admin.set("soon", "1", px=ttl_ms)
    end = end_of_life(ttl_ms)
    assert client.call("get_many", ["soon", "lasting"]) == [b"1", b"1"]
    own_valkey.admin.mset({"lasting": "2", "soon": "2"})
    getattr(own_daemon, ending)()
    own_daemon.start()
    read_until_new(lambda: client.get("soon"), b"1", b"2", end)
    assert client.get("lasting") == b"1"
    cache = next(each for each in own_daemon.stats()["caches"] if each["name"] == unique_name)
    assert cache["settings"]["server_ttl"] is True
    before = own_valkey.calls("pttl")
    client.get("more")
    assert own_valkey.calls("pttl") == before + 1


def of_configuration(server: ValkeyServer, *, server_ttl: bool) -> dict[str, Any]:
    cache = {"max_cache_kb": 1024, "entry_ttl_ms": 0, "enable_metrics": True, "server_ttl": server_ttl}
    return {
        "upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}},
        "caches": {"catalog": cache},
    }


class Switched:
    """A cache of the configuration, attached; `switch` changes its `server_ttl`, by a reload or by a restart."""

    def __init__(self, client: AnyClient, daemon: Daemon, server: ValkeyServer, *, restarts: bool) -> None:
        self.client = client
        self._daemon = daemon
        self._server = server
        self._restarts = restarts

    def switch(self, *, server_ttl: bool) -> None:
        import signal

        from support.daemon import to_toml

        tables = of_configuration(self._server, server_ttl=server_ttl)
        tables["daemon"] = {"pool_dir": str(self._daemon.pool_dir), "log_level": "debug"}
        self._daemon.configuration.write_text(to_toml(tables))
        if self._restarts:
            self._daemon.stop()
            self._daemon.start()
        else:
            seen = len(self._daemon.log_text())
            self._daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "reload finished" in self._daemon.log_text()[seen:], "the reload is over")
        assert self._daemon.stats()["caches"][0]["settings"]["server_ttl"] is server_ttl


@pytest.mark.parametrize("restarts", [False, True], ids=["reload", "restart"])
def test_c29_turned_on_a_cache_starts_empty_and_turned_off_it_keeps_its_entries(
    connect: Connector,
    own_valkey: ValkeyServer,
    start_daemon: Callable[..., Daemon],
    *,
    restarts: bool,
) -> None:
    daemon = start_daemon(**of_configuration(own_valkey, server_ttl=False))
    client = connect(ClientSideCache.named("catalog"), runtime_dir=str(daemon.runtime_dir))
    switched = Switched(client, daemon, own_valkey, restarts=restarts)
    own_valkey.admin.set("k", "1", px=LONG_MS)
    client.get("k")
    assert is_cached(client, own_valkey, "k")
    switched.switch(server_ttl=True)
    assert "server_ttl is on now" in daemon.log_text()
    assert not is_cached(client, own_valkey, "k"), "how long its key has left was never asked"
    assert own_valkey.calls("pttl") == 1
    assert is_cached(client, own_valkey, "k")
    switched.switch(server_ttl=False)
    assert is_cached(client, own_valkey, "k")
    client.get("other")
    assert own_valkey.calls("pttl") == 1
