"""Every text and container of the protocol at its bound and one over it; bytes that mean nothing are refused (I8)."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from support.abusers import RawClient
from support.wire import ReplyRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from support.wire import WireClient

MOST_OBJECTS = 1_048_704
MOST_ATTACH_BYTES = 4_194_304
PATIENCE_S = 1.0
"""The daemon answers others within this time, whatever it is decoding."""

TEXTS = {
    "upstream": 1_024,
    "username": 1_024,
    "password": 65_536,
    "client_name": 1_024,
    "ca": 1_048_576,
    "cert": 1_048_576,
    "key": 1_048_576,
    "host": 255,
    "cache id": 200,
    "cache name": 200,
    "addresses": 256,
}


@pytest.fixture
def raw(daemon: Daemon) -> Iterator[RawClient]:
    client = RawClient(daemon.runtime_dir, timeout_s=20)
    with client.socket:
        yield client


def spec_with(field: str, length: int, port: int) -> dict[str, Any]:
    """Return an ATTACH in which one text, or the list of addresses, has that length."""
    own: dict[str, Any] = {"addresses": [["127.0.0.1", port]], "lazy_connect": True}
    settings = {"max_cache_kb": 64, "entry_ttl_ms": 0}
    match field:
        case "upstream":
            return {"upstream": "u" * length}
        case "ca" | "cert" | "key":
            return {**own, "use_tls": True, "tls": {field: b"p" * length}}
        case "host":
            return {**own, "addresses": [["h" * length, port]]}
        case "cache id":
            return {**own, "cache": {"id": "c" * length, "settings": settings}}
        case "cache name":
            return {**own, "cache": {"name": "c" * length, "settings": settings}}
        case "addresses":
            return {**own, "addresses": [["127.0.0.1", 1 + number] for number in range(length)]}
    return {**own, "username": "u", "password": "p", field: "x" * length}


def refusal(wire: WireClient, spec: dict[str, Any]) -> str:
    """Return the reason why such an ATTACH is refused, or nothing where it is not."""
    try:
        wire.attach(**spec)
    except ReplyRefused as refused:
        return refused.message
    return ""


@pytest.mark.parametrize("field", TEXTS)
def test_i8_texts_of_attach_are_bounded(
    daemon: Daemon, valkey: ValkeyServer, wire: WireClient, field: str
) -> None:
    bound = TEXTS[field]
    # Up to its bound a text may be refused for another reason.
    for length in (1, bound):
        assert "allowed" not in refusal(wire, spec_with(field, length, valkey.port))
    with pytest.raises(ReplyRefused) as raised:
        wire.attach(**spec_with(field, bound + 1, valkey.port))
    assert str(bound + 1) in raised.value.message
    assert str(bound) in raised.value.message
    assert len(raised.value.message) < 500
    assert daemon.running


def test_i8_an_attach_is_bounded_as_a_whole(raw: RawClient, daemon: Daemon) -> None:
    spec = {"mode": "standalone", "colour": b"x" * MOST_ATTACH_BYTES}
    code, text = raw.request(protocol.ATTACH, spec)
    assert (code, "at most 4194304" in text) == (protocol.ERROR_PROTOCOL, True)
    # Numbers with one hash would make a map slow.
    numbers = {number * (2**61 - 1): None for number in range(5)}
    assert raw.request(protocol.ATTACH, numbers)[0] == protocol.ERROR_PROTOCOL
    many = {number * (2**61 - 1) % 2**63: None for number in range(65)}
    assert raw.request(protocol.ATTACH, many)[0] == protocol.ERROR_PROTOCOL
    assert daemon.running


@pytest.mark.parametrize(
    "operation",
    [
        protocol.HELLO,
        protocol.PING,
        protocol.DETACH,
        protocol.STATS,
        protocol.FLUSH,
        protocol.DROP,
        protocol.UNWATCH,
        protocol.HOTTEST,
    ],
)
def test_i8_operations_without_data_have_short_messages(raw: RawClient, operation: int) -> None:
    code, text = raw.request(operation, b"x" * 40_000)
    assert (code, "short" in text) == (protocol.ERROR_PROTOCOL, True)
    code, _ = raw.request(operation, b"x" * 30_000)
    assert code in {protocol.ERROR_PROTOCOL, protocol.ERROR_FORBIDDEN}


@pytest.mark.parametrize("operation", [protocol.FLUSH, protocol.DROP])
def test_i8_names_of_caches_are_bounded(wire: WireClient, operation: int) -> None:
    wire.hello()
    for length, code in ((200, protocol.ERROR_CONFIGURATION), (201, protocol.ERROR_PROTOCOL)):
        with pytest.raises(ReplyRefused) as raised:
            wire.request(operation, "n" * length)
        assert raised.value.code == code


JUNK = {
    "float": b"\xcb" + bytes(8),
    "short float": b"\xca" + bytes(4),
    "never used": b"\xc1",
    "extension": b"\xd4\x01x",
    "long extension": b"\xc9" + struct.pack(">Ib", 5, 2) + b"error",
    "map": b"\x81\xa1a\xa1b",
    "cut short": b"\xc6" + struct.pack(">I", 2**31),
    "long array": b"\xdd" + struct.pack(">I", 2**31),
    "deep": b"\x91" * 40 + b"\xc0",
    "text": b"\xa2\xff\xfe",
    "too much": b"\xc0\xc0",
}


@pytest.mark.parametrize("size", [0, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("junk", JUNK)
def test_i8_what_no_request_has_is_refused_with_a_reason(
    raw: RawClient, valkey: ValkeyServer, junk: str, size: int
) -> None:
    """Small messages are read in one go, large ones in slices."""
    session = raw.attach(valkey.port)
    body = raw.message(protocol.COMMAND, session, [b"ECHO", b"x" * size, None])[:-1] + JUNK[junk]
    raw.socket.sendall(b"\x02" + struct.pack(">Q", len(body)) + body)
    _, status, (code, text) = raw.answer()
    assert (status, code) == (protocol.STATUS_ERROR, protocol.ERROR_PROTOCOL)
    assert text
    # None of it is left over for the next message of the connection.
    assert raw.request(protocol.COMMAND, session, [b"ECHO", b"next"]) == b"next"


@pytest.mark.parametrize("over", [0, 1], ids=["at the bound", "over it"])
def test_i8_the_number_of_values_is_bounded(
    daemon: Daemon, wire: WireClient, raw: RawClient, valkey: ValkeyServer, over: int
) -> None:
    session = raw.attach(valkey.port)
    # The body and its list count as well, and so does the session's number.
    arguments = [b"EXISTS"] + [b"k"] * (MOST_OBJECTS - 4 + over)
    wire.hello()
    raw.send(protocol.COMMAND, session, arguments)
    began = time.monotonic()
    wire.request(protocol.PING)
    assert time.monotonic() - began < PATIENCE_S
    _, status, body = raw.answer()
    if over:
        assert (status, body[0]) == (protocol.STATUS_ERROR, protocol.ERROR_PROTOCOL)
        assert "send it in several parts" in body[1]
    else:
        assert body == 0 or body[0] == protocol.ERROR_REQUEST, body  # the server's own bound may be lower
    assert daemon.running


def test_c5_a_long_argument_passes(raw: RawClient, valkey: ValkeyServer) -> None:
    """An argument that is longer than a process's share of the memory takes the large lane."""
    session = raw.attach(valkey.port)
    value = b"x" * 90_000_000
    assert raw.request(protocol.COMMAND, session, [b"STRLEN", b"nothing"]) == 0
    assert raw.request(protocol.COMMAND, session, [b"SET", b"long", value]) in {b"OK", "OK"}
    assert raw.request(protocol.COMMAND, session, [b"STRLEN", b"long"]) == len(value)
    assert raw.request(protocol.COMMAND, session, [b"GET", b"long"]) == value
    raw.request(protocol.COMMAND, session, [b"DEL", b"long"])


def test_i8_a_header_is_judged_before_the_body(raw: RawClient, daemon: Daemon) -> None:
    """The daemon refuses the header although the body has a fault of its own."""
    junk = b"\xc1" * 1_000_000
    unknown_session = raw.message(protocol.COMMAND, 2**40, [])[:-1] + junk
    stale = raw.message(protocol.COMMAND, 1, [], instance_id=1)[:-1] + junk
    unknown_operation = raw.message(99)[:-1] + junk
    for body, code in (
        (unknown_session, protocol.ERROR_UNKNOWN_SESSION),
        (stale, protocol.ERROR_STALE_INSTANCE),
        (unknown_operation, protocol.ERROR_PROTOCOL),
    ):
        raw.socket.sendall(b"\x02" + struct.pack(">Q", len(body)) + body)
        assert raw.answer()[2][0] == code
    assert daemon.running


def test_c23_messages_keep_their_order_beside_a_large_one(raw: RawClient, valkey: ValkeyServer) -> None:
    session = raw.attach(valkey.port)
    for number in range(50):
        value = b"%d" % number + b"x" * (300_000 if number % 3 == 0 else 10)
        raw.send(protocol.COMMAND, session, [b"RPUSH", b"order", value[:300_010]])
    raw.send(protocol.BATCH, session, False, [[b"RPUSH", b"order", b"50x"]] * 5_000)
    raw.send(protocol.COMMAND, session, [b"RPUSH", b"order", b"51x"])
    for _ in range(52):
        assert raw.answer()[1] == protocol.STATUS_OK
    found = raw.request(protocol.COMMAND, session, [b"LRANGE", b"order", b"0", b"-1"])
    numbers = [int(value.partition(b"x")[0]) for value in found]
    assert numbers == sorted(numbers)
    assert len(numbers) == 5_051


@pytest.mark.parametrize("count", [1_000, 300_000])
def test_i10_large_replies_of_all_kinds_are_whole(
    raw: RawClient, wire: WireClient, valkey: ValkeyServer, count: int
) -> None:
    session = raw.attach(valkey.port)
    wire.hello()
    for begin in range(0, count, 50_000):
        part = range(begin, min(begin + 50_000, count))
        valkey.admin.rpush("list", *part)
        valkey.admin.sadd("set", *part)
        valkey.admin.hset("hash", mapping={number: number for number in part})
    commands = [[b"LRANGE", b"list", b"0", b"-1"], [b"SMEMBERS", b"set"], [b"HGETALL", b"hash"], [b"NOSUCH"]]
    raw.send(protocol.BATCH, session, False, commands)
    began = time.monotonic()
    wire.request(protocol.PING)
    assert time.monotonic() - began < PATIENCE_S
    listed, members, pairs, error = raw.answer()[2]
    expected = [b"%d" % number for number in range(count)]
    assert listed == expected
    assert set(members) == set(expected)
    assert pairs == dict(zip(expected, expected, strict=True))
    assert isinstance(error, protocol.ReplyError)
