"""Bad input to the daemon: malformed messages, overdue and misdirected requests, wrong configuration files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from support.valkey_server import HOST
from support.waiting import wait_until
from support.wire import ReplyRefused, WireClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

FAR = 2**62
"""A deadline that never comes."""

FLOOD = 20_000
"""More requests than any client may have open."""


def refused(code: int, wire: WireClient, *request: Any, **options: Any) -> str:
    """Send a request that has to be refused with `code`; the message that came with it."""
    with pytest.raises(ReplyRefused) as raised:
        wire.request(*request, **options)
    assert raised.value.code == code, raised.value
    return raised.value.message


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"\xc1"],
        [b"\x93\x01\x02"],
        [b"GET / HTTP/1.1\r\n\r\n"],
        [protocol.pack([])],
        [protocol.pack(["op", "id"])],
        [protocol.pack([protocol.PING])],
        [protocol.pack([protocol.PING, -1, 0, FAR])],
        [protocol.pack([protocol.PING, "one", 0, FAR])],
        [protocol.pack([protocol.PING, 1, 0, FAR])[:-2]],
        [protocol.pack([protocol.PING, 1, 0, FAR]) + b"\x00"],
        [protocol.pack([protocol.PING, 1, 0, FAR]), b"a second frame"],
        [b"\xdc\xff\xff" * 10],
        [b"\xdd\x7f\xff\xff\xff"],
        [b"\x91" * 2000],
    ],
    ids=lambda frames: frames[0][:12].hex() or "empty",
)
def test_malformed_messages_get_no_answer_and_do_no_harm(
    daemon: Daemon, wire: WireClient, frames: list[bytes]
) -> None:
    wire.send_frames(*frames)
    # What follows from the same client is served: nothing of the malformed message is left over.
    replies = []
    request = wire.send(protocol.PING)
    while not replies or replies[-1][0] != request or replies[-1][1] != protocol.STATUS_OK:
        replies.append(wire.receive())
    assert all(status == protocol.STATUS_ERROR for _, status, _ in replies[:-1])
    assert daemon.running


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (99, []),
        (-1, []),
        (protocol.HELLO, []),
        (protocol.HELLO, ["one", "0.1"]),
        (protocol.ATTACH, []),
        (protocol.ATTACH, ["standalone"]),
        (protocol.ATTACH, [{"mode": "sideways"}]),
        (protocol.ATTACH, [{"mode": "standalone", "colour": "red"}]),
        (protocol.ATTACH, [{"mode": "standalone", "upstream": 7}]),
        (protocol.ATTACH, [{"mode": "standalone", "addresses": ["localhost:6379"]}]),
        (protocol.ATTACH, [{"mode": "standalone", "cache": {"colour": "red"}}]),
        (protocol.COMMAND, []),
        (protocol.COMMAND, ["session", [b"PING"]]),
        (protocol.READ, [1, STRING]),
        (protocol.FORGET, []),
        (protocol.FORGET, ["cache", "key"]),
        (protocol.FORGET, ["cache", [1]]),
        (protocol.FORGET, [1, b""]),
        (protocol.FORGET, [b"cache", [b"key"]]),
        (protocol.ADVISE, []),
        (protocol.ADVISE, [b"configured", None, None]),
        (protocol.ADVISE, [None, [0], None]),
        (protocol.ADVISE, [None, None, [-1]]),
        (protocol.ADVISE, [None, [], None]),
        (protocol.ADVISE, [None, [1] * 65, None]),
        (protocol.ADVISE, [None, [[1]], None]),
        (protocol.FLUSH, []),
        (protocol.FLUSH, [b"bytes"]),
    ],
    ids=str,
)
def test_requests_that_are_not_of_the_protocol(wire: WireClient, operation: int, body: list[Any]) -> None:
    wire.hello()
    message = refused(protocol.ERROR_PROTOCOL, wire, operation, *body)
    assert message
    assert wire.request(protocol.PING)["instance_id"] == wire.instance_id


@pytest.mark.parametrize(
    "body",
    [["GET", "k"], [[]], [[b"GET", "text"]], [[b"GET", 7]], [{b"GET": b"k"}], [[[b"GET"]]]],
    ids=str,
)
def test_commands_that_are_not_of_the_protocol(wire: WireClient, body: list[Any]) -> None:
    session = wire.attach()["session_id"]
    refused(protocol.ERROR_PROTOCOL, wire, protocol.COMMAND, session, *body)
    assert wire.request(protocol.COMMAND, session, [b"PING"]) == "PONG"


@pytest.mark.parametrize(
    "read",
    [[9, b"k"], [0, b"k"], [STRING, "text"], [STRING, 7], [STRING], [STRING, b"k", b"k"]],
    ids=str,
)
def test_reads_that_are_not_of_the_protocol(wire: WireClient, read: list[Any]) -> None:
    settings = {"max_cache_kb": 64, "entry_ttl_ms": 0, "eviction_policy": "LRU", "enable_metrics": True}
    session = wire.attach(cache={"id": f"bad-read-{time.monotonic_ns()}", "settings": settings})["session_id"]
    refused(protocol.ERROR_PROTOCOL, wire, protocol.READ, session, *read)
    assert wire.request(protocol.READ, session, STRING, b"nothing") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_cache_kb", 0), ("max_cache_kb", "64"), ("entry_ttl_ms", -1), ("eviction_policy", "FIFO")],
)
def test_cache_settings_out_of_range(wire: WireClient, field: str, value: object) -> None:
    settings = {"max_cache_kb": 64, "entry_ttl_ms": 0, "eviction_policy": "LRU", "enable_metrics": True}
    attach_refused(wire, field, cache={"id": "bad-settings", "settings": {**settings, field: value}})


@pytest.mark.parametrize("port", [0, -1, 70_000])
def test_ports_out_of_range(wire: WireClient, port: int) -> None:
    attach_refused(wire, str(port), addresses=[["localhost", port]])


def attach_refused(wire: WireClient, named: str, **spec: object) -> None:
    """Attach with a well-formed value out of range: whichever of two codes, the message names it."""
    with pytest.raises(ReplyRefused) as raised:
        wire.attach(**spec)
    assert raised.value.code in {protocol.ERROR_PROTOCOL, protocol.ERROR_CONFIGURATION}
    assert named in raised.value.message


def test_another_protocol_version(wire: WireClient) -> None:
    message = refused(protocol.ERROR_PROTOCOL, wire, protocol.HELLO, 99, "9.9", instance_id=0)
    assert "99" in message
    assert str(protocol.PROTOCOL_VERSION) in message


def test_an_unknown_session(wire: WireClient, valkey: ValkeyServer) -> None:
    wire.hello()
    refused(protocol.ERROR_UNKNOWN_SESSION, wire, protocol.COMMAND, 2**40, [b"SET", b"k", b"v"])
    assert valkey.calls("set") == 0


def test_an_overdue_request_is_not_run(wire: WireClient, valkey: ValkeyServer) -> None:
    session = wire.attach()["session_id"]
    set_k = [b"SET", b"k", b"v"]
    refused(protocol.ERROR_OVERDUE, wire, protocol.COMMAND, session, set_k, timeout_ms=-1)
    wire.request(protocol.COMMAND, session, [b"PING"])
    assert valkey.calls("set") == 0


def test_a_request_meant_for_an_earlier_daemon_is_not_run(wire: WireClient, valkey: ValkeyServer) -> None:
    session = wire.attach()["session_id"]
    earlier = wire.instance_id - 1
    set_k = [b"SET", b"k", b"v"]
    refused(protocol.ERROR_STALE_INSTANCE, wire, protocol.COMMAND, session, set_k, instance_id=earlier)
    wire.request(protocol.COMMAND, session, [b"PING"])
    assert valkey.calls("set") == 0


def test_a_message_over_the_limit_disconnects_its_sender_only(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(daemon={"max_message_bytes": 100_000})
    with WireClient(daemon.runtime_dir) as sender, WireClient(daemon.runtime_dir) as other:
        sender.hello()
        other.hello()
        sender.send_frames(b"x" * 200_000)
        with pytest.raises(TimeoutError):
            sender.receive(300)
        assert other.request(protocol.PING)["max_message_bytes"] == 100_000
        assert other.request(protocol.STATS)["daemon"]["refused"] == {"too_long": 1}


def test_a_client_that_floods_is_refused_and_others_are_served(
    start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer
) -> None:
    open_at_once = 500
    daemon = start_daemon(
        daemon={"max_requests_per_client": open_at_once},
        upstreams={"default": {"addresses": [f"{HOST}:{own_valkey.port}"]}},
    )
    with WireClient(daemon.runtime_dir) as flooder, WireClient(daemon.runtime_dir) as other:
        flooding = flooder.attach()["session_id"]
        session = other.attach()["session_id"]
        own_valkey.pause()
        sent, refusals = [], []
        for _ in range(FLOOD):
            sent.append(flooder.send(protocol.COMMAND, flooding, [b"INCR", b"n"], timeout_ms=60_000))
            refusals += flooder.drain()
        assert other.request(protocol.PING)
        own_valkey.resume()
        assert other.request(protocol.COMMAND, session, [b"PING"]) == "PONG"
        assert flooder.result(sent[0]) == 1
        wait_until(lambda: int(own_valkey.admin.get("n") or 0) >= open_at_once, "what was accepted has run")
        assert int(other.request(protocol.COMMAND, session, [b"GET", b"n"])) < FLOOD
    # Replies that wait for a reader are bounded too: not each of them must have come.
    assert {(status, body[0]) for _, status, body in refusals} == {
        (protocol.STATUS_ERROR, protocol.ERROR_BUSY)
    }


WRONG_CONFIGURATIONS = [
    ({"daemon": {"grace_msec": 1}}, ["grace_msec"]),
    ({"demon": {"grace_ms": 1}}, ["demon"]),
    ({"daemon": {"grace_ms": "soon"}}, ["grace_ms", "soon"]),
    ({"daemon": {"grace_ms": -5}}, ["grace_ms", "-5"]),
    ({"daemon": {"log_level": "loud"}}, ["log_level", "loud", "info"]),
    ({"upstreams": {"default": {"addresses": "127.0.0.1:6379"}}}, ["upstreams", "default", "addresses"]),
    ({"upstreams": {"default": {"addresses": ["127.0.0.1:99999"]}}}, ["addresses", "99999"]),
    ({"upstreams": {"default": {"addresses": []}}}, ["addresses"]),
    ({"upstreams": {"default": {"mode": "both", "addresses": ["h:1"]}}}, ["mode", "both", "standalone"]),
    (
        {"upstreams": {"default": {"addresses": ["h:1"], "password_file": "/no/such/file"}}},
        ["password_file", "/no/such/file"],
    ),
    (
        {"caches": {"c": {"upstream": "elsewhere", "max_cache_kb": 1, "entry_ttl_ms": 0}}},
        ["caches", "elsewhere"],
    ),
    ({"caches": {"c": {"upstream": "default", "max_cache_kb": 0, "entry_ttl_ms": 0}}}, ["max_cache_kb", "0"]),
    (
        {
            "caches": {
                "c": {
                    "upstream": "default",
                    "max_cache_kb": 1,
                    "entry_ttl_ms": 0,
                    "eviction_policy": "FIFO",
                }
            }
        },
        ["eviction_policy", "FIFO", "LRU", "LFU"],
    ),
]


@pytest.mark.parametrize(("tables", "named"), WRONG_CONFIGURATIONS, ids=lambda part: str(part)[:60])
@pytest.mark.parametrize("check_only", [False, True], ids=["start", "check-config"])
def test_a_wrong_configuration_is_refused_at_start(
    start_daemon: Callable[..., Daemon], tables: dict[str, Any], named: list[str], *, check_only: bool
) -> None:
    daemon = start_daemon(*(["--check-config"] if check_only else []), launch_only=True, **tables)
    assert daemon.process.wait(10) != 0
    message = daemon.log_text()
    for part in [str(daemon.configuration), *named]:
        assert part in message
    assert "Traceback" not in message


def test_a_configuration_file_that_is_not_toml(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon("--check-config", launch_only=True)
    daemon.process.wait(10)
    assert daemon.process.returncode == 0, daemon.log_text()
    daemon.configuration.write_text("[daemon\n")
    daemon.launch("--check-config")
    assert daemon.process.wait(10) != 0
    assert str(daemon.configuration) in daemon.log_text()
    daemon.configuration.unlink()
    daemon.launch("--check-config")
    assert daemon.process.wait(10) != 0
    assert "Traceback" not in daemon.log_text()
