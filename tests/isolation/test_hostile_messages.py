"""Messages at and beyond every bound of the protocol: the daemon answers or drops, and serves others (I8, I10)."""

from __future__ import annotations

import os
import random
import struct
import time
from typing import TYPE_CHECKING

import pytest

from glidecache_shared import protocol
from support.hostile_values import pack, values
from support.raw_peer import CANCEL, FAR_S, OPENING, PeerDroppedError, RawPeer, raw_request
from support.sentinel import Sentinel, Watchman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.clients import AnyClient
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

    Connect = Callable[..., AnyClient]

LONG = os.environ.get("GLIDECACHE_STRESS") == "long"
SEED = 8
SMALL_LIMIT_BYTES = 1 << 20
VALUES = dict(values())
STALL_S = 2.0
"""Far above the turns of 10 ms that the rule allows: a loaded machine must not fail a test."""

OPERATIONS = {
    "HELLO": 0, "ATTACH": 1, "DETACH": 2, "COMMAND": 3, "READ": 4, "GET_MANY": 5, "BATCH": 6, "PING": 7, "STATS": 8,
    "FLUSH": 9, "DROP": 10, "WATCH": 11, "UNWATCH": 12, "EXEC": 13, "HOTTEST": 14, "CANCEL": CANCEL,
    "FORGET": 16, "ADVISE": 17, "unknown": 99,
}  # fmt: skip
SPEC_KEYS = (
    "mode", "upstream", "addresses", "use_tls", "tls", "username", "password", "database_id", "client_name",
    "read_from", "request_timeout_ms", "lazy_connect", "follows", "cache", "colour",
)  # fmt: skip
CACHE_KEYS = ("id", "name", "settings", "colour")
UNITS = {
    "empty lists": b"\x90",
    "nils": b"\xc0",
    "keys": b"\xc4\x01k",
    "maps": b"\x80",
    "lists of lists": b"\x91\x90",
    "sets": b"\xd4\x01\x90",
    "big integers": b"\xd4\x03\x31",
}
PLACES = ("the message", "arguments", "commands", "keys", "a spec")
SMALL_OBJECTS = [
    pytest.param(unit, where, id=f"{name} in {where}")
    for number, (name, unit) in enumerate(UNITS.items())
    for where in (PLACES if LONG else [PLACES[number % len(PLACES)]])
]
"""Values that a message may have in millions, with their places: all in a long run, else one for each."""

SETTINGS_KEYS = ("max_cache_kb", "entry_ttl_ms", "eviction_policy", "enable_metrics", "server_ttl", "colour")


@pytest.fixture
def daemon(server: ValkeyServer, start_daemon: Callable[..., Daemon]) -> Daemon:
    return start_daemon(
        daemon={"log_level": "info", "max_message_bytes": SMALL_LIMIT_BYTES},
        upstreams={"default": {"addresses": [f"127.0.0.1:{server.port}"]}},
    )


def body_of(operation: str, session: int) -> list[object]:
    """Return a valid body, of which the tests then replace parts."""
    bodies: dict[str, list[object]] = {
        "HELLO": [protocol.PROTOCOL_VERSION, "test"],
        "ATTACH": [{"mode": "standalone"}],
        "DETACH": [10**9],
        "COMMAND": [session, [b"GET", b"k"]],
        "READ": [session, 1, b"k"],
        "GET_MANY": [session, [b"k"]],
        "BATCH": [session, False, [[b"GET", b"k"]]],
        "FLUSH": ["none"],
        "DROP": ["none"],
        "WATCH": [session, 1, True, [b"k"]],
        "UNWATCH": [session, 1],
        "EXEC": [session, 1, [[b"GET", b"k"]]],
        "HOTTEST": ["none", 1],
        "CANCEL": [1],
        "FORGET": [session, [b"k"]],
        "ADVISE": [None, [1], [1]],
    }
    return bodies.get(operation, [])


class Attacker:
    """Peers that are replaced when the daemon drops them. Record messages that were neither answered nor dropped."""

    def __init__(self, runtime_dir: Path) -> None:
        self._runtime_dir = runtime_dir
        self._peer: RawPeer | None = None
        self.tried = 0
        self.dropped = 0
        self.unanswered: list[str] = []

    @property
    def peer(self) -> RawPeer:
        if self._peer is None:
            self._peer = RawPeer(self._runtime_dir)
            self._peer.attach(cache={"id": "hostile", "settings": _settings()})
        return self._peer

    def try_body(self, name: str, body: bytes) -> None:
        """Send a body, and check that the connection works, or is closed."""
        self.tried += 1
        try:
            self.peer.send_body(body)
            lives = self.peer.lives()
        except PeerDroppedError:
            lives = False
        except TimeoutError:
            self.unanswered.append(name)
            lives = False
        if not lives:
            self.dropped += 1
            self.close()

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None


@pytest.fixture
def attacker(daemon: Daemon) -> Iterator[Attacker]:
    made = Attacker(daemon.runtime_dir)
    yield made
    made.close()


def _settings() -> dict[str, object]:
    return {"max_cache_kb": 64, "entry_ttl_ms": 0, "eviction_policy": "LRU", "enable_metrics": True}


def parts_of(attacker: Attacker, operation: str) -> list[bytes]:
    """Return the packed parts of a valid request."""
    peer = attacker.peer
    head = [OPERATIONS[operation], peer.new_id(), peer.instance_id, time.monotonic_ns() + int(FAR_S * 1e9)]
    return [pack(part) for part in (*head, *body_of(operation, peer.session_id))]


def judged(attacker: Attacker, watchman: Watchman, daemon: Daemon) -> None:
    """Check what must hold after every attack."""
    assert attacker.unanswered == []
    assert watchman.problems == []
    assert watchman.sentinel.rounds > 1
    assert watchman.sentinel.slowest_s < STALL_S
    assert daemon.running


@pytest.mark.timeout(300)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_i8_every_part_of_every_operation_may_be_anything(
    operation: str, attacker: Attacker, connect: Connect, daemon: Daemon
) -> None:
    chance = random.Random(SEED + OPERATIONS[operation])
    names = list(VALUES)
    with Watchman(Sentinel(connect("blocking")), reads_only=True) as watchman:
        count = len(parts_of(attacker, operation))
        for place in range(count + 1):  # also one more than the last
            chosen = names if LONG else chance.sample(names, 60 if place >= 4 else 8)
            for name in chosen:
                parts = parts_of(attacker, operation)
                parts[place : place + 1] = [VALUES[name]]
                attacker.try_body(f"{operation}, part {place}: {name}", raw_request(parts))
    assert attacker.tried > 50
    judged(attacker, watchman, daemon)


@pytest.mark.timeout(300)
def test_i8_every_key_of_attach_may_be_anything(attacker: Attacker, connect: Connect, daemon: Daemon) -> None:
    chance = random.Random(SEED)
    names = list(VALUES)
    with Watchman(Sentinel(connect("blocking")), reads_only=True) as watchman:
        for place, keys in (("spec", SPEC_KEYS), ("cache", CACHE_KEYS), ("settings", SETTINGS_KEYS)):
            for key in keys:
                for name in names if LONG else chance.sample(names, 15):
                    attacker.try_body(f"{place}.{key}: {name}", _attach(attacker, place, key, VALUES[name]))
    judged(attacker, watchman, daemon)


def _attach(attacker: Attacker, place: str, key: str, value: bytes) -> bytes:
    """Return an ATTACH with one key's value replaced."""
    parts = parts_of(attacker, "ATTACH")[:4]
    settings = {name: pack(item) for name, item in _settings().items()}
    cache = {"id": pack("hostile")}
    spec = {"mode": pack("standalone")}
    {"spec": spec, "cache": cache, "settings": settings}[place][key] = value
    cache.setdefault("settings", _map(settings))
    spec.setdefault("cache", _map(cache))
    return raw_request([*parts, _map(spec)])


def _map(items: dict[str, bytes]) -> bytes:
    return struct.pack(">BI", 0xDF, len(items)) + b"".join(pack(key) + value for key, value in items.items())


def test_i8_what_is_cut_short_anywhere_is_refused(
    attacker: Attacker, connect: Connect, daemon: Daemon
) -> None:
    """Each valid request is cut at every byte (of each operation a sample), and has every byte replaced."""
    chance = random.Random(SEED)
    with Watchman(Sentinel(connect("blocking")), reads_only=True) as watchman:
        for operation in OPERATIONS:
            whole = raw_request(parts_of(attacker, operation))
            for end in range(len(whole)) if LONG else chance.sample(range(len(whole)), min(12, len(whole))):
                attacker.try_body(f"{operation} cut at {end}", whole[:end])
            for at in chance.sample(range(len(whole)), min(12, len(whole))):
                changed = whole[:at] + bytes([chance.randrange(256)]) + whole[at + 1 :]
                attacker.try_body(f"{operation} changed at {at}", changed)
    judged(attacker, watchman, daemon)


def test_i8_a_connection_may_end_anywhere_in_a_message(connect: Connect, daemon: Daemon) -> None:
    chance = random.Random(SEED)
    body = pack([protocol.PING, 1, 0, 2**62])
    whole = OPENING + b"\x00" + bytes([len(body)]) + body
    with Watchman(Sentinel(connect("blocking")), reads_only=True) as watchman:
        for end in range(len(whole)) if LONG else chance.sample(range(len(whole)), 40):
            with RawPeer(daemon.runtime_dir, opening=whole[:end], greets=False):
                pass
    assert watchman.problems == []
    assert daemon.running


def test_i8_messages_over_the_limit_end_their_connection(
    attacker: Attacker, connect: Connect, daemon: Daemon
) -> None:
    with Watchman(Sentinel(connect("blocking")), reads_only=True) as watchman:
        for bytes_over, lives in ((-1_000, True), (1_000, False)):
            peer = RawPeer(daemon.runtime_dir)
            peer.attach()
            value = bytes(SMALL_LIMIT_BYTES + bytes_over)
            try:
                number = peer.send(protocol.COMMAND, peer.session_id, [b"SET", b"k", value])
                answered = peer.answer(number)[1] == protocol.STATUS_OK
            except PeerDroppedError:
                answered = False
            assert answered == lives
            peer.close()
    judged(attacker, watchman, daemon)


@pytest.mark.parametrize(("unit", "where"), SMALL_OBJECTS)
def test_i8_megabytes_of_small_objects_stall_nobody(
    unit: bytes,
    where: str,
    connect: Connect,
    server: ValkeyServer,
    start_daemon: Callable[..., Daemon],
) -> None:
    """A long run sends 24 MB; the daemon refuses them, or decodes them in short turns."""
    daemon = start_daemon(upstreams={"default": {"addresses": [f"127.0.0.1:{server.port}"]}})
    many = (24 << 20) // len(unit) if LONG else (4 << 20) // len(unit)
    blob = struct.pack(">BI", 0xDD, many) + unit * many
    with (
        RawPeer(daemon.runtime_dir) as peer,
        Watchman(Sentinel(connect("blocking", daemon=daemon)), reads_only=True) as watchman,
    ):
        peer.attach()
        head = [
            pack(part) for part in (peer.new_id(), peer.instance_id, time.monotonic_ns() + int(FAR_S * 1e9))
        ]
        bodies = {
            "the message": blob,
            "arguments": raw_request([pack(3), *head, pack(peer.session_id), blob]),
            "commands": raw_request([pack(6), *head, pack(peer.session_id), pack(False), blob]),
            "keys": raw_request([pack(5), *head, pack(peer.session_id), blob]),
            "a spec": raw_request([pack(1), *head, _map({"mode": pack("standalone"), "cache": blob})]),
        }
        try:
            peer.send_body(bodies[where])
            peer.lives(60)
        except PeerDroppedError:
            pass
    assert watchman.problems == []
    assert watchman.sentinel.slowest_s < STALL_S
    assert daemon.running
