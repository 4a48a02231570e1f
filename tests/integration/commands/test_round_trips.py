"""Commands that belong together, by what they do: scripts, functions, dumps, migration, groups of streams, delays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    Batch,
    BatchOptions,
    ExecAbortError,
    FlushMode,
    FunctionRestorePolicy,
    MigrateOptions,
    RequestError,
    Script,
    StreamGroupOptions,
    StreamReadGroupOptions,
    StreamReadOptions,
    TimeoutError,
)
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient
    from support.connector import Connector
    from support.valkey_server import ValkeyServer

LIBRARY = "#!lua name=kept\nredis.register_function('kept', function(keys, args) return #keys end)"


@pytest.fixture
def client(connect: Connector) -> AnyClient:
    return connect()


def test_a_script_is_known_after_its_first_run_and_shown_until_it_is_flushed(
    client: AnyClient, valkey: ValkeyServer
) -> None:
    script = Script("return {KEYS[1], ARGV[1]}")
    valkey.admin.script_flush()
    for _ in range(3):
        assert client.call("invoke_script", script, ["k"], ["a"]) == [b"k", b"a"]
    assert valkey.calls("eval") == 1
    assert client.call("script_exists", [script.get_hash(), "0" * 40]) == [True, False]
    assert client.call("script_show", script.get_hash()) == script.code
    assert client.call("script_flush", FlushMode.SYNC) == "OK"
    assert client.call("script_exists", [script.get_hash()]) == [False]
    assert client.call("invoke_script", script, ["k"], ["b"]) == [b"k", b"b"]


def test_a_scripts_own_error_is_the_callers(client: AnyClient) -> None:
    with pytest.raises(RequestError, match="my own words"):
        client.call("invoke_script", Script("return redis.error_reply('my own words')"))


def test_functions_outlive_a_flush_in_their_dump(client: AnyClient) -> None:
    client.call("function_load", LIBRARY, True)
    dump = client.call("function_dump")
    client.call("function_flush")
    with pytest.raises(RequestError, match="Function not found"):
        client.call("fcall", "kept", ["a"])
    client.call("function_restore", dump, FunctionRestorePolicy.REPLACE)
    assert client.call("fcall", "kept", ["a", "b"]) == 2
    (library,) = client.call("function_list", "kept", True)
    assert library[b"library_code"] == LIBRARY.encode()
    (stats,) = client.call("function_stats").values()
    assert stats[b"engines"][b"LUA"] == {b"libraries_count": 1, b"functions_count": 1}
    assert client.call("function_delete", "kept") == "OK"


def test_a_dump_is_restored_with_its_expiry(client: AnyClient) -> None:
    client.call("rpush", "list", ["a", "b"])
    dump = client.call("dump", "list")
    assert client.call("restore", "again", 100_000, dump) == "OK"
    with pytest.raises(RequestError, match="BUSYKEY"):
        client.call("restore", "again", 0, dump)
    assert client.call("restore", "again", 0, dump, True) == "OK"
    with pytest.raises(RequestError, match="syntax error"):
        client.call("restore", "again", 0, dump, True, False, 5, 6)
    assert client.call("lrange", "again", 0, -1) == [b"a", b"b"]


def test_keys_migrate_to_another_server(client: AnyClient, start_valkey: Callable[..., ValkeyServer]) -> None:
    other = start_valkey("requirepass secret")
    client.call("mset", {"a": "1", "b": "2"})
    options = MigrateOptions(copy=True, replace=True, password="secret")
    for _ in range(2):
        assert client.call("migrate", HOST, other.port, ["a", "b"], 0, 1_000, options) == "OK"
    assert [other.admin.get(key) for key in ("a", "b")] == [b"1", b"2"]
    assert client.call("migrate", HOST, other.port, "missing", 0, 1_000) == b"NOKEY"


def test_a_read_of_a_stream_waits_longer_than_other_calls(connect: Connector, valkey: ValkeyServer) -> None:
    client = connect(request_timeout=300)
    client.call("xgroup_create", "s", "group", "$", StreamGroupOptions(make_stream=True))
    assert client.call("xread", {"s": "$"}, StreamReadOptions(block_ms=600)) is None
    assert client.call("get", "k") is None
    options = StreamReadGroupOptions(block_ms=600)
    assert client.call("xreadgroup", {"s": ">"}, "group", "reader", options) is None
    valkey.admin.xadd("s", {"f": "v"}, "1-0")
    assert client.call("xreadgroup", {"s": ">"}, "group", "reader", options) == {
        b"s": {b"1-0": [[b"f", b"v"]]}
    }


def test_delays_and_memory_are_told_with_their_figures(client: AnyClient, valkey: ValkeyServer) -> None:
    client.call("config_set", {"latency-monitor-threshold": 1})
    try:
        valkey.admin.eval("local n = 0 for i = 1, 5e6 do n = n + i end return n", 0)
        (event,) = client.call("latency_latest")
        assert event.event_name == "command"
        assert event.max_duration >= event.latest_duration > 0
        history = client.call("latency_history", "command")
        assert [(each.time, each.latency) for each in history] == [(event.latest_time, event.latest_duration)]
        assert client.call("latency_reset", "command", "nothing") == 1
        assert client.call("latency_latest") == []
    finally:
        client.call("config_set", {"latency-monitor-threshold": 0})
    client.call("set", "k", "v")
    stats = client.call("memory_stats")
    assert stats.keys_count == 1
    assert stats.peak_allocated > 0
    assert stats.peak_percentage > 0
    assert stats.db[0].overhead_hashtable_main >= 0


def test_a_transaction_with_a_wrong_command_is_not_run(client: AnyClient) -> None:
    batch = Batch(is_atomic=True).set("k", "v").custom_command(["SET"])
    with pytest.raises(ExecAbortError, match="wrong number of arguments"):
        client.call("exec", batch, True)
    assert client.call("get", "k") is None


def test_errors_of_single_commands_stand_among_the_results_or_are_raised(client: AnyClient) -> None:
    batch = Batch(is_atomic=False).set("k", "v").incr("k").xlen("k").get("k")
    results: list[Any] = client.call("exec", batch, False)
    assert results[0::3] == ["OK", b"v"]
    assert [type(result) for result in results[1:3]] == [RequestError, RequestError]
    with pytest.raises(RequestError, match="not an integer"):
        client.call("exec", batch, True)


def test_a_batchs_own_time_out_ends_it(client: AnyClient, valkey: ValkeyServer) -> None:
    valkey.admin.execute_command("CLIENT", "PAUSE", "400")
    with pytest.raises(TimeoutError):
        client.call("exec", Batch(is_atomic=False).incr("n"), True, BatchOptions(timeout=50))
    assert client.call("client_unpause") == "OK"
