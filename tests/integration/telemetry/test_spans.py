"""Spans: one for each miss, command, batch and script, none for a hit; what is in them, and what never is."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from glidecache import (
    ClusterScanCursor,
    OpenTelemetry,
    OpenTelemetryConfig,
    OpenTelemetryMetricsConfig,
    OpenTelemetryTracesConfig,
    RequestError,
    Script,
    TimeoutError,
)
from support.caches import new_cache
from support.clients import at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from opentelemetry.sdk.trace import ReadableSpan

    from glidecache import ClientSideCache
    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.telemetry import Telemetry
    from support.valkey_server import ValkeyServer

SECRET = "5ecret"

both_modes = pytest.mark.parametrize("upstream_kind", ["standalone", "cluster"])

pytestmark = pytest.mark.usefixtures("telemetry")


@pytest.fixture
def traced(telemetry: Telemetry) -> Telemetry:
    """All is switched on before the clients are made."""
    telemetry.init()
    return telemetry


def common(span: ReadableSpan, valkey: ValkeyServer) -> dict[str, Any]:
    """The attributes that every span has, checked and left out."""
    attributes = dict(span.attributes or {})
    assert span.kind is SpanKind.CLIENT
    assert span.name == attributes.pop("db.operation.name")
    assert attributes.pop("db.system.name") == "redis"
    assert attributes.pop("server.address") == "127.0.0.1"
    assert attributes.pop("server.port") == valkey.port
    assert attributes.pop("db.namespace") == "0"
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "glidecache"
    assert span.end_time is not None
    assert not span.events
    return attributes


def is_of_no_error(span: ReadableSpan) -> bool:
    return span.status.status_code is StatusCode.UNSET and "error.type" not in (span.attributes or {})


@both_modes
def test_a_miss_has_a_span_and_a_hit_has_none(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, traced: Telemetry
) -> None:
    client = connect(cache)
    valkey.admin.set("string", "1")
    client.call("hset", "hash", {"f": "v"})
    client.call("sadd", "set", ["m"])
    traced.spans()
    for method, key in (("get", "string"), ("hgetall", "hash"), ("smembers", "set")):
        caller = traced.call_within(client, method, key)
        span, _ = traced.spans()
        assert span.name == method.upper()
        assert common(span, valkey) == {"glidecache.key_count": 1, "glidecache.cache.name": cache.cache_id}
        assert is_of_no_error(span)
        assert span.parent == caller.get_span_context()
        for _ in range(5):
            client.call(method, key)
        client.call("custom_command", [method.upper(), key])
        assert traced.spans() == []
    assert client.metrics().total_lookups == 21


@both_modes
def test_get_many_has_one_span_for_the_keys_that_do_not_hit(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, traced: Telemetry
) -> None:
    client = connect(cache)
    valkey.admin.mset({"a": "1", "b": "2"})
    assert client.call("get_many", ["a", "none", "b", "none"]) == [b"1", None, b"2", None]
    span = traced.span()
    assert span.name == "MGET"
    assert common(span, valkey) == {"glidecache.key_count": 4, "glidecache.cache.name": cache.cache_id}
    assert client.call("get_many", ["a", "b"]) == [b"1", b"2"]
    assert client.call("get_many", []) == []
    assert traced.spans() == []
    assert client.call("get_many", ["a", "none"]) == [b"1", None]
    assert common(traced.span(), valkey)["glidecache.key_count"] == 1


@both_modes
def test_commands_have_their_names_and_the_number_of_their_keys(
    connect: Connector, valkey: ValkeyServer, traced: Telemetry
) -> None:
    client = connect(None)
    calls: list[tuple[str, tuple[Any, ...], str, int | None]] = [
        ("set", ("{k}1", "v"), "SET", 1),
        ("get", ("{k}1",), "GET", 1),
        ("mget", (["{k}1", "{k}2"],), "MGET", 2),
        ("exists", (["{k}1", "{k}2", "{k}3"],), "EXISTS", 3),
        ("config_get", (["maxmemory"],), "CONFIG GET", 0),
        ("ping", (), "PING", 0),
        ("custom_command", (["strlen", "{k}1"],), "STRLEN", 1),
        ("custom_command", (["GET", "{k}1"],), "GET", 1),
    ]
    for method, arguments, name, keys in calls:
        client.call(method, *arguments)
        span = traced.span()
        assert (span.name, common(span, valkey)) == (name, {"glidecache.key_count": keys})
        assert is_of_no_error(span)


@both_modes
def test_a_batch_is_one_span(connect: Connector, valkey: ValkeyServer, traced: Telemetry) -> None:
    client = connect(None)
    valkey.admin.set("{k}text", "t")
    for atomic, name in ((True, "MULTI"), (False, "PIPELINE")):
        batch = client.batch(atomic=atomic)
        client.call("exec", batch.set("{k}1", "v").set("{k}2", "v"), raise_on_error=True)
        span = traced.span()
        assert (span.name, common(span, valkey)) == (f"{name} SET", {"db.operation.batch.size": 2})
        batch.get("{k}1")
        client.call("exec", batch, raise_on_error=True)
        span = traced.span()
        assert (span.name, common(span, valkey)) == (name, {"db.operation.batch.size": 3})
        client.call("exec", client.batch(atomic=atomic).get("{k}1"), raise_on_error=True)
        assert traced.span().name == "GET"
        client.call("exec", client.batch(atomic=atomic), raise_on_error=True)
        assert traced.spans() == []
        failing = client.batch(atomic=atomic).set("{k}1", "v").incr("{k}text")
        client.call("exec", failing, raise_on_error=False)
        assert is_of_no_error(traced.span())
        with pytest.raises(RequestError):
            client.call("exec", failing, raise_on_error=True)
        assert (traced.span().attributes or {})["db.response.status_code"] == "ERR"
    with pytest.raises(TypeError):
        client.call("exec", "no batch", raise_on_error=True)
    assert traced.spans() == []


@both_modes
def test_a_script_is_one_span_whether_the_server_knows_it_or_not(
    connect: Connector, valkey: ValkeyServer, traced: Telemetry, kind: str, mode: str
) -> None:
    client = connect(None)
    script = Script(f"return 'of {kind} {mode}'")
    for keys in (["k"], ["k"], None):
        client.call("invoke_script", script, keys)
        span = traced.span()
        assert span.name == "EVALSHA"
        assert common(span, valkey) == {
            "db.stored_procedure.name": script.get_hash(),
            "glidecache.key_count": len(keys or ()),
        }
        assert is_of_no_error(span)


@both_modes
def test_watching_has_spans_where_something_is_asked(
    connect: Connector, valkey: ValkeyServer, traced: Telemetry
) -> None:
    client = connect(None)
    client.call("unwatch")
    assert traced.spans() == []
    client.call("watch", ["{k}1", "{k}2"])
    span = traced.span()
    assert (span.name, common(span, valkey)) == ("WATCH", {"glidecache.key_count": 2})
    client.call("unwatch")
    assert traced.span().name == "UNWATCH"
    client.call("watch", ["k"])
    client.call("exec", client.batch(atomic=True).set("k", "1").get("k"), raise_on_error=True)
    assert [span.name for span in traced.spans()] == ["WATCH", "MULTI"]


@pytest.mark.parametrize("upstream_kind", ["cluster"])
def test_a_step_of_a_scan_has_a_span_for_each_command(connect: Connector, traced: Telemetry) -> None:
    client = connect(None)
    client.call("scan", ClusterScanCursor())
    names = {span.name for span in traced.spans()}
    assert "SCAN" in names
    assert names <= {"SCAN", "CLUSTER SHARDS", "CLUSTER SLOTS", "CLUSTER NODES"}


@both_modes
def test_a_servers_error_gives_its_code(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, traced: Telemetry
) -> None:
    client = connect(cache)
    valkey.admin.set("text", "t")
    for method, arguments, code in (
        ("hgetall", ("text",), "WRONGTYPE"),
        ("incr", ("text",), "ERR"),
        ("invoke_script", (Script("return redis.error_reply('MYCODE it failed')"),), "MYCODE"),
    ):
        with pytest.raises(RequestError):
            client.call(method, *arguments)
        span = traced.span()
        attributes = span.attributes or {}
        assert (attributes["db.response.status_code"], attributes["error.type"]) == (code, code)
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert not span.events


def test_another_error_gives_its_class(connect: Connector, valkey: ValkeyServer, traced: Telemetry) -> None:
    client = connect(None, request_timeout=100, fallback="error")
    valkey.pause()
    try:
        with pytest.raises(TimeoutError):
            client.get("k")
    finally:
        valkey.resume()
    with pytest.raises(RequestError, match="is bound to one connection"):
        client.call("custom_command", ["SELECT", "1"])
    client.close()
    with pytest.raises(Exception, match="closed"):
        client.get("k")
    found = [
        ((span.attributes or {})["error.type"], (span.attributes or {}).get("db.response.status_code"))
        for span in traced.spans()
    ]
    assert found == [
        ("glidecache.errors.TimeoutError", None),
        ("glidecache.errors.RequestError", None),
        ("glidecache.errors.ClosingError", None),
    ]


def test_a_call_that_is_ended_from_outside_ends_its_span(connect: Connector, traced: Telemetry) -> None:
    client = connect(None)
    error: type[BaseException]
    if client.kind == "asyncio":
        error, name = asyncio.CancelledError, "asyncio.exceptions.CancelledError"

        async def cancel() -> None:
            task = asyncio.ensure_future(client.client.blpop(["none"], 0))
            done, _ = await asyncio.wait([task], timeout=0.05)
            assert not done
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        client.run(cancel())  # type: ignore[attr-defined]
    else:
        error, name = InterruptedError, "InterruptedError"

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            raise error

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            with pytest.raises(error):
                client.call("blpop", ["none"], 0)
        finally:
            signal.signal(signal.SIGALRM, before)
    span = traced.span()
    assert span.name == "BLPOP"
    assert (span.attributes or {})["error.type"] == name
    assert span.status.status_code is StatusCode.ERROR
    assert client.call("ping") == b"PONG"


def every_kind_of_call(client: AnyClient) -> list[Callable[[], Any]]:
    """Calls with the secret in all places that a key, a value, an argument or a script can have."""
    batch = client.batch(atomic=False).set(SECRET, SECRET).incr(SECRET)
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("get", (SECRET,)),
        ("set", (SECRET, SECRET)),
        ("hgetall", (SECRET,)),
        ("get_many", ([SECRET, f"{SECRET}2"],)),
        ("incr", (SECRET,)),
        ("watch", ([SECRET],)),
        ("unwatch", ()),
        ("exec", (batch, False)),
        ("exec", (batch, True)),
        ("invoke_script", (Script("return ARGV[1]"), [SECRET], [SECRET])),
        ("invoke_script", (Script("return redis.error_reply(ARGV[1])"), [SECRET], [f"ERR {SECRET}"])),
        ("custom_command", (["NOSUCHCOMMAND", SECRET, SECRET],)),
        ("custom_command", ([f"{SECRET} {SECRET}", SECRET],)),
        ("custom_command", (["x" * 40 + SECRET],)),
        ("custom_command", (["CONFIG", SECRET, SECRET],)),
        ("custom_command", (["EVAL", f"return '{SECRET}'", "0"],)),
        ("lpush", (f"{SECRET}-list", [SECRET])),
    ]
    return [lambda call=call: client.call(call[0], *call[1]) for call in calls]


@both_modes
def test_no_key_no_value_and_no_text_of_an_error_is_in_a_span(
    connect: Connector, cache: ClientSideCache, traced: Telemetry
) -> None:
    client = connect(cache)
    errors = 0
    for call in every_kind_of_call(client):
        try:
            call()
        except Exception:  # noqa: BLE001 - of any kind: most texts have the secret
            errors += 1
    spans = traced.spans()
    assert errors >= 7
    assert len(spans) >= 15
    assert sum(span.status.status_code is StatusCode.ERROR for span in spans) == errors
    for span in spans:
        assert SECRET not in span.to_json().lower(), span.name
    assert {"NOSUCHCOMMAND", "_OTHER", "CONFIG"} <= {span.name for span in spans}


def test_without_a_daemon_direct_calls_have_spans(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer, traced: Telemetry, tmp_path: Path
) -> None:
    client = connect(cache, **at_no_daemon(tmp_path, valkey))
    client.call("set", "k", "v")
    assert client.get("k") == client.get("k") == b"v"
    assert [span.name for span in traced.spans()] == ["SET", "GET", "GET"]


def at_no_daemon(directory: Path, valkey: ValkeyServer) -> dict[str, Any]:
    from glidecache import NodeAddress

    return {
        "runtime_dir": str(directory),
        "addresses": [NodeAddress("127.0.0.1", valkey.port)],
        "fallback": "direct",
        "request_timeout": 300,
    }


def test_servers_that_only_the_daemon_knows_are_an_upstream(
    connect: Connector, daemon: Daemon, traced: Telemetry
) -> None:
    client = connect(None, **at(daemon, upstream="default"))
    client.get("k")
    attributes = traced.span().attributes or {}
    assert attributes["glidecache.upstream"] == "default"
    assert not {"server.address", "server.port", "db.namespace"} & set(attributes)


def test_a_client_that_is_there_already_is_traced_from_now_on(
    connect: Connector, cache: ClientSideCache, telemetry: Telemetry
) -> None:
    client = connect(cache)
    client.get("a")
    telemetry.init()
    client.get("b")
    client.call("set", "c", "v")
    assert [span.name for span in telemetry.spans()] == ["GET", "SET"]


def test_the_percentage_of_calls_with_a_span_can_change(
    connect: Connector,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telemetry.init(OpenTelemetryConfig(traces=OpenTelemetryTracesConfig()))
    assert OpenTelemetry.get_sample_percentage() == 1
    client = connect(None)
    monkeypatch.setattr("random.random", lambda: 0.4)
    for percentage, spans in ((0, 0), (40, 0), (40.1, 5), (100, 5), (0, 0)):
        OpenTelemetry.set_sample_percentage(percentage)
        client.get("k")
        client.call("set", "k", "v")
        client.call("get_many", ["k"])
        client.call("exec", client.batch(atomic=False).get("k").get("k"), raise_on_error=True)
        client.call("invoke_script", Script("return 1"))
        assert len(telemetry.spans()) == spans


def test_metrics_alone_make_no_spans(connect: Connector, telemetry: Telemetry) -> None:
    telemetry.init(OpenTelemetryConfig(metrics=OpenTelemetryMetricsConfig()))
    client = connect(new_cache())
    client.get("k")
    assert telemetry.spans() == []
    assert OpenTelemetry.get_sample_percentage() is None
