"""Flights that ask what their keys have left on the server, and until when their values stay (contract C29)."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import HASH, SET, STRING, ReplyError
from glidecached.pools.entries import PoolEntries
from glidecached.sequence import Sequence
from glidecached.single_flight import Flights
from support.wired_connection import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TTL_MS = 60_000
NEVER_NS = 2**64 - 1
_numbers = itertools.count(1)


class RecordingEntries(PoolEntries):
    """A pool's entries that remember the end of each value that they were given."""

    def __init__(self, store: PoolStore) -> None:
        super().__init__("shelf", store, lambda _error: None)
        self.ends: dict[bytes, int] = {}

    def put(
        self, key: bytes, key_hash: int, generation: int, kind: int, value: Any, flight: int, expires_ns: int
    ) -> None:
        self.ends[key] = expires_ns
        # The hash of these tests is not the pool's: with a generation of its own the pool hashes again.
        super().put(key, key_hash, -1 if expires_ns else generation, kind, value, flight, expires_ns)


class Stored:
    """A pool with `server_ttl` and the flights that fill it."""

    def __init__(self, directory: Path, entry_ttl_ms: int) -> None:
        self.directory = directory
        self.entry_ttl_ms = entry_ttl_ms
        self.stores: list[PoolStore] = []
        self.entries = RecordingEntries(self.new_store())
        self.entries.server_ttl = True
        self.flights = Flights(self.entries, Sequence())

    def new_store(self) -> PoolStore:
        number = next(_numbers)
        store = PoolStore.create(
            str(self.directory),
            f"ttl-{number}",
            number,
            max_cache_kb=1024,
            entry_ttl_ms=self.entry_ttl_ms,
            eviction_policy="LRU",
            enable_metrics=True,
            instance_id=1,
            grace_ms=1000,
        )
        self.stores.append(store)
        return store

    def read(self, request: Any, upstream: Any, kind: int, key: bytes) -> None:
        self.flights.read(request, upstream, 0, kind, key, 7)

    @property
    def count(self) -> int:
        """The number of entries in the store in use."""
        return self.stores[-1].metrics().entry_count

    def has(self, key: bytes, kind: int = STRING) -> Any:
        """The value in the pool now."""
        return self.entries.lookup(key, kind, 0)


@pytest.fixture
def make_stored(tmp_path: Path) -> Iterator[Callable[[int], Stored]]:
    made: list[Stored] = []

    def make(entry_ttl_ms: int) -> Stored:
        made.append(Stored(tmp_path, entry_ttl_ms))
        return made[-1]

    yield make
    for each in made:
        for store in each.stores:
            store.unlink()
            store.close()


@pytest.fixture
def stored(make_stored: Callable[[int], Stored]) -> Stored:
    return make_stored(TTL_MS)


def answer(call: Any, *replies: Any) -> None:
    """Answer as a connection does: one reply after another."""
    for place, reply in enumerate(replies, 1):
        assert call.replies_left() == len(replies) - place + 1
        assert call.receive(reply) is (place == len(replies))


def test_c29_both_commands_are_one_write(stored: Stored, upstream: Any, requests: Any) -> None:
    stored.read(requests(), upstream, HASH, b"k")
    call = upstream.calls[0]
    expected = b"*2\r\n$7\r\nHGETALL\r\n$1\r\nk\r\n*2\r\n$4\r\nPTTL\r\n$1\r\nk\r\n"
    assert call.pack() == b"".join(call.pack_pieces()) == expected
    assert call.asks_ttl


@pytest.mark.parametrize(
    ("left_ms", "entry_ttl_ms", "life_ms"),
    [
        (1_000, TTL_MS, 1_000),
        (1_000, 0, 1_000),
        (-1, TTL_MS, TTL_MS),
        (10 * TTL_MS, TTL_MS, TTL_MS),
        (2**63 - 1, TTL_MS, TTL_MS),
        (-1, 0, None),
        (2**63 - 1, 0, None),
    ],
)
def test_c29_the_smaller_of_both_from_when_it_was_sent(
    make_stored: Callable[[int], Stored],
    upstream: Any,
    requests: Any,
    left_ms: int,
    entry_ttl_ms: int,
    life_ms: int | None,
) -> None:
    stored = make_stored(entry_ttl_ms)
    begun_ns = time.monotonic_ns()
    stored.read(requests(), upstream, STRING, b"k")
    sent_ns = time.monotonic_ns()
    time.sleep(0.01)  # the way of the replies is taken from its life
    upstream.calls[0].pack()
    answer(upstream.calls[0], b"v", left_ms)
    assert stored.has(b"k") == b"v"
    if life_ms is None:
        assert stored.entries.ends[b"k"] == NEVER_NS
    else:
        assert begun_ns <= stored.entries.ends[b"k"] - life_ms * 1_000_000 <= sent_ns


@pytest.mark.parametrize("left", [-2, 0, ReplyError("NOPERM no permission"), None, b"5", -3, True, 1.5])
@pytest.mark.parametrize(("kind", "value"), [(STRING, b"v"), (HASH, {b"f": b"v"}), (SET, {b"m"})])
def test_c29_without_a_life_the_value_is_answered_and_not_stored(
    stored: Stored, upstream: Any, requests: Any, left: Any, kind: int, value: Any
) -> None:
    request = requests()
    stored.read(request, upstream, kind, b"k")
    upstream.calls[0].pack()
    answer(upstream.calls[0], value, left)
    assert requests.value(request) in (value, list(value))
    assert stored.count == 0
    assert stored.entries.ttl_failures == (left not in (-2, 0) or left is False)


def test_c29_one_warning_however_often_it_is_refused(
    stored: Stored, upstream: Any, requests: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        stored.read(requests(), upstream, STRING, b"%d" % number)
        upstream.calls[-1].pack()
        answer(upstream.calls[-1], b"v", ReplyError("NOPERM User default has no permissions to run 'pttl'"))
    (record,) = [each for each in caplog.records if "TTL" in each.getMessage()]
    assert record.levelname == "WARNING"
    assert record.cache == "shelf"  # type: ignore[attr-defined]
    assert "NOPERM" in record.reason  # type: ignore[attr-defined]
    assert stored.entries.ttl_failures == 3


@pytest.mark.parametrize("error", [ReplyError("WRONGTYPE no"), None])
def test_c29_an_error_or_nil_is_answered_whatever_pttl_says(
    stored: Stored, upstream: Any, requests: Any, error: Any
) -> None:
    request = requests()
    stored.read(request, upstream, STRING, b"k")
    upstream.calls[0].pack()
    answer(upstream.calls[0], error, ReplyError("NOPERM no"))
    assert stored.count == 0
    assert stored.entries.ttl_failures == 0


def test_c29_what_was_taken_of_a_lost_connection_is_forgotten(
    stored: Stored, upstream: Any, requests: Any
) -> None:
    stored.read(requests(), upstream, STRING, b"k")
    call = upstream.calls[0]
    call.pack()
    assert call.receive(b"old") is False
    call.restart()
    assert call.replies_left() == 2
    call.pack()
    answer(call, b"new", 5_000)
    assert stored.has(b"k") == b"new"


def test_c29_what_ends_before_it_arrives_leaves_the_entry_that_is_there(
    stored: Stored, upstream: Any, requests: Any
) -> None:
    stored.read(requests(), upstream, STRING, b"k")
    upstream.calls[0].pack()
    answer(upstream.calls[0], b"1", -1)
    stored.flights.read(requests(), upstream, 1, STRING, b"k", 7)
    upstream.calls[1].pack()
    time.sleep(0.01)
    answer(upstream.calls[1], b"2", 5)
    assert stored.has(b"k") == b"1"


def test_c29_many_keys_have_each_their_own_life(stored: Stored, upstream: Any, requests: Any) -> None:
    keys = [b"a", b"b", b"c", b"d"]
    request = requests()
    stored.flights.many.read(request, upstream, 0, keys, bytes(16), [None] * 4)
    call = upstream.calls[0]
    written = call.pack()
    assert b"".join(call.pack_pieces()) == written
    assert written.count(b"PTTL") == 4
    answer(call, [b"1", b"2", None, b"4"], 1_000, -1, -2, -2)
    assert requests.value(request) == [b"1", b"2", None, b"4"]
    assert [stored.has(key) for key in keys] == [b"1", b"2", None, None]
    lives_ms = [(stored.entries.ends[key] - stored.entries.ends[b"b"]) / 1e6 for key in (b"a", b"b")]
    assert lives_ms == [1_000 - TTL_MS, 0]


@pytest.mark.parametrize("replies", [[ReplyError("CROSSSLOT no"), -1, -1], [[b"1"], -1, -1], [b"x", -1, -1]])
def test_c29_an_odd_reply_to_many_keys_fails_and_stores_nothing(
    stored: Stored, upstream: Any, requests: Any, replies: list[Any]
) -> None:
    request = requests()
    stored.flights.many.read(request, upstream, 0, [b"a", b"b"], bytes(8), [None, None])
    call = upstream.calls[0]
    call.pack()
    answer(call, *replies)
    assert requests.error(request)
    assert stored.count == 0


def test_c29_a_flight_from_before_it_was_turned_on_is_not_stored(
    stored: Stored, upstream: Any, requests: Any
) -> None:
    """A pool that is turned on has a new generation: its flights know which one they were sent for."""
    stored.entries.server_ttl = False
    single, many = requests(), requests()
    stored.read(single, upstream, STRING, b"k")
    stored.flights.many.read(many, upstream, 0, [b"a"], bytes(4), [None])
    stored.entries.serve(stored.new_store())
    stored.entries.server_ttl = True
    upstream.calls[0].succeed(b"v")
    upstream.calls[1].succeed([b"v"])
    assert requests.value(single) == b"v"
    assert requests.value(many) == [b"v"]
    assert stored.count == 0


def test_c29_a_pair_that_comes_late_keeps_its_place_among_the_replies(
    stored: Stored, upstream: Any, requests: Any
) -> None:
    """Its caller's time is up, so the order is proved by a marker; others get their own replies."""
    late, other = requests(timeout_ms=20), requests()
    stored.read(late, upstream, STRING, b"late")
    stored.read(other, upstream, STRING, b"other")
    wire = Wire()
    try:
        wire.send(*upstream.calls)
        assert [command[0] for command in wire.requests()] == [b"GET", b"PTTL", b"GET", b"PTTL"]
        time.sleep(0.05)
        wire.reply(b"$1\r\n1\r\n:1000\r\n", lambda: wire.connection.in_doubt)
        ((_, text),) = wire.requests()
        wire.reply(
            b"$1\r\n2\r\n:2000\r\n" + b"$%d\r\n%s\r\n" % (len(text), text), lambda: not requests.open(other)
        )
        assert requests.value(other) == b"2"
        assert stored.has(b"late") == b"1"
        assert stored.has(b"other") == b"2"
        assert not wire.lost
    finally:
        wire.close()
