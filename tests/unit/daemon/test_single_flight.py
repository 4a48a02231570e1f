"""Single flight and its order (contract C22, C7a, C17)."""

from __future__ import annotations

import gc
import time
import zlib
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import (
    ERROR_CONNECTION,
    ERROR_REQUEST,
    ERROR_TIMEOUT,
    HASH,
    SET,
    STRING,
    ReplyError,
)
from glidecached.command_order import CommandOrder
from glidecached.pools.entries import PoolEntries
from glidecached.pools.metadata import PoolKey, PoolSettings
from glidecached.sequence import Sequence
from glidecached.single_flight import Flights

if TYPE_CHECKING:
    from collections.abc import Callable


class Shelf(PoolEntries):
    """A pool's entries that only remember what they were given: `(key, kind, value, flight)`, and until when."""

    def __init__(self) -> None:
        super().__init__("shelf", None, lambda _error: None)
        self.stored: list[tuple[bytes, int, Any, int]] = []
        self.ends: list[int] = []

    def put(
        self, key: bytes, key_hash: int, generation: int, kind: int, value: Any, flight: int, expires_ns: int
    ) -> None:
        assert (key_hash, generation) == (hash_of(key), 0)
        self.stored.append((key, kind, value, flight))
        self.ends.append(expires_ns)


def hash_of(key: bytes) -> int:
    """Few hashes for short keys, so that keys share them."""
    return sum(key) % 2 if len(key) == 1 else zlib.crc32(key)


def read(flights: Flights, request: Any, upstream: Any, min_flight: int, kind: int, key: bytes) -> None:
    flights.read(request, upstream, min_flight, kind, key, hash_of(key))


def read_many(
    flights: Flights, request: Any, upstream: Any, min_flight: int, keys: list[bytes], known: dict[bytes, Any]
) -> None:
    hashes = array("I", map(hash_of, keys)).tobytes()
    flights.many.read(request, upstream, min_flight, keys, hashes, [known.get(key) for key in keys])


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def numbers() -> Sequence:
    """The count of what is sent."""
    return Sequence()


@pytest.fixture
def flights(shelf: Shelf, numbers: Sequence) -> Flights:
    return Flights(shelf, numbers)


def test_c22_concurrent_misses_make_one_request(
    flights: Flights, upstream: Any, requests: Any, shelf: Shelf
) -> None:
    waiting = [requests() for _ in range(5)]
    for request in waiting:
        read(flights, request, upstream, 0, STRING, b"k")
    assert upstream.sent == [(b"GET", b"k")]
    upstream.calls[0].succeed(b"v")
    assert [requests.value(request) for request in waiting] == [b"v"] * 5
    assert shelf.stored == [(b"k", STRING, b"v", 1)]
    assert len(flights) == 0


def test_c22_keys_and_commands_do_not_share(flights: Flights, upstream: Any, requests: Any) -> None:
    for kind, key in ((STRING, b"k"), (STRING, b"l"), (HASH, b"k"), (SET, b"k")):
        read(flights, requests(), upstream, 0, kind, key)
    assert upstream.sent == [(b"GET", b"k"), (b"GET", b"l"), (b"HGETALL", b"k"), (b"SMEMBERS", b"k")]


def test_c22_a_client_that_wrote_does_not_join_an_older_flight(
    flights: Flights, upstream: Any, requests: Any, numbers: Sequence, shelf: Shelf
) -> None:
    before = requests()
    read(flights, before, upstream, 0, STRING, b"k")
    floor = numbers()  # the client's write is sent
    writer, other, joiner = requests(), requests(), requests()
    read(flights, writer, upstream, floor, STRING, b"k")
    assert len(upstream.calls) == 2
    read(flights, other, upstream, 0, STRING, b"k")
    read(flights, joiner, upstream, floor, STRING, b"k")
    assert len(upstream.calls) == 2  # others join the younger flight, the writer's later reads too
    upstream.calls[0].succeed(b"old")
    assert requests.value(before) == b"old"
    assert requests.open(writer)
    upstream.calls[1].succeed(b"new")
    assert [requests.value(each) for each in (writer, other, joiner)] == [b"new"] * 3
    assert [stored[2:] for stored in shelf.stored] == [(b"old", 1), (b"new", 3)]


def test_c22_an_older_flight_that_lands_last_leaves_the_younger_one_joinable(
    flights: Flights, upstream: Any, requests: Any, numbers: Sequence
) -> None:
    read(flights, requests(), upstream, 0, STRING, b"k")
    read(flights, requests(), upstream, numbers(), STRING, b"k")
    upstream.calls[0].succeed(b"old")
    read(flights, requests(), upstream, 0, STRING, b"k")
    assert len(upstream.calls) == 2


def test_c23_flights_of_other_connections_are_not_joined(
    flights: Flights, make_upstream: Callable[[], Any], requests: Any
) -> None:
    one, other = make_upstream(), make_upstream()
    read(flights, requests(), one, 0, STRING, b"k")
    read(flights, requests(), other, 0, STRING, b"k")
    assert len(one.calls) == len(other.calls) == 1


def test_c4_nil_and_errors_are_answered_and_not_stored(
    flights: Flights, upstream: Any, requests: Any, shelf: Shelf
) -> None:
    nothing, wrong = requests(), requests()
    read(flights, nothing, upstream, 0, STRING, b"k")
    upstream.calls[0].succeed(None)
    read(flights, wrong, upstream, 0, STRING, b"k")
    upstream.calls[1].succeed(ReplyError("WRONGTYPE no"))
    assert requests.value(nothing) is None
    assert requests.error(wrong) == (ERROR_REQUEST, "WRONGTYPE no")
    assert shelf.stored == []


def test_c4_empty_values_are_stored(flights: Flights, upstream: Any, requests: Any, shelf: Shelf) -> None:
    for kind, value in ((STRING, b""), (HASH, {}), (SET, set())):
        read(flights, requests(), upstream, 0, kind, b"k")
        upstream.calls[-1].succeed(value)
    assert [stored[2] for stored in shelf.stored] == [b"", {}, set()]


def test_a_lost_flight_fails_everybody_who_waits(flights: Flights, upstream: Any, requests: Any) -> None:
    waiting = [requests(), requests()]
    for request in waiting:
        read(flights, request, upstream, 0, STRING, b"k")
    upstream.calls[0].fail(ERROR_CONNECTION, "gone")
    assert [requests.error(request) for request in waiting] == [(ERROR_CONNECTION, "gone")] * 2
    read(flights, requests(), upstream, 0, STRING, b"k")
    assert len(upstream.calls) == 2


def test_each_request_expires_for_itself_and_the_flight_goes_on(
    flights: Flights, upstream: Any, requests: Any, shelf: Shelf
) -> None:
    hasty, patient = requests(), requests()
    read(flights, hasty, upstream, 0, STRING, b"k")
    hasty.expire()
    read(flights, patient, upstream, 0, STRING, b"k")
    upstream.calls[0].succeed(b"v")
    assert requests.error(hasty)[0] == ERROR_TIMEOUT
    assert requests.value(patient) == b"v"
    assert len(shelf.stored) == 1


def test_a_flight_is_wanted_as_long_as_its_most_patient_request(
    flights: Flights, upstream: Any, requests: Any
) -> None:
    read(flights, requests(timeout_ms=10), upstream, 0, STRING, b"k")
    read(flights, requests(timeout_ms=500), upstream, 0, STRING, b"k")
    (flight,) = upstream.calls
    now_ns = time.monotonic_ns()
    assert flight.is_wanted(now_ns + 100_000_000)
    assert not flight.is_wanted(now_ns + 600_000_000)


def test_c17_missing_keys_are_asked_in_one_round_trip(
    flights: Flights, upstream: Any, requests: Any, shelf: Shelf
) -> None:
    request = requests()
    read_many(flights, request, upstream, 0, [b"a", b"b", b"c", b"b"], {b"a": b"1"})
    assert upstream.sent == [(b"MGET", b"b", b"c")]
    upstream.calls[0].succeed([b"2", None])
    assert requests.value(request) == [b"1", b"2", None, b"2"]
    assert shelf.stored == [(b"b", STRING, b"2", 1)]


def test_c17_gatherings_share_what_is_in_the_air(flights: Flights, upstream: Any, requests: Any) -> None:
    first, second, third = requests(), requests(), requests()
    read_many(flights, first, upstream, 0, [b"a", b"b"], {})
    read_many(flights, second, upstream, 0, [b"b", b"c"], {})
    read_many(flights, third, upstream, 0, [b"c", b"a"], {})
    assert upstream.sent == [(b"MGET", b"a", b"b"), (b"MGET", b"c")]
    upstream.calls[1].succeed([b"3"])
    assert requests.open(second)
    assert requests.open(third)
    upstream.calls[0].succeed([b"1", b"2"])
    assert [requests.value(each) for each in (first, second, third)] == [
        [b"1", b"2"],
        [b"2", b"3"],
        [b"3", b"1"],
    ]
    assert len(flights) == 0


def test_c17_an_mget_is_no_flight_for_a_get(flights: Flights, upstream: Any, requests: Any) -> None:
    read_many(flights, requests(), upstream, 0, [b"k"], {})
    read(flights, requests(), upstream, 0, STRING, b"k")
    assert upstream.sent == [(b"MGET", b"k"), (b"GET", b"k")]


def test_c22_a_client_that_wrote_does_not_join_an_older_mget(
    flights: Flights, upstream: Any, requests: Any, numbers: Sequence
) -> None:
    read_many(flights, requests(), upstream, 0, [b"a"], {})
    read_many(flights, requests(), upstream, numbers(), [b"a"], {})
    assert len(upstream.calls) == 2


def test_a_call_that_fails_at_once_fails_its_gathering(
    flights: Flights, make_upstream: Callable[[], Any], requests: Any
) -> None:
    upstream = make_upstream()
    upstream.sender.submit = lambda call: call.fail(ERROR_CONNECTION, "down")
    request = requests()
    read_many(flights, request, upstream, 0, [b"a", b"b"], {})
    assert requests.error(request) == (ERROR_CONNECTION, "down")
    assert len(flights) == 0


def test_an_mget_that_is_refused_is_an_error(flights: Flights, upstream: Any, requests: Any) -> None:
    request = requests()
    read_many(flights, request, upstream, 0, [b"a"], {})
    upstream.calls[0].succeed(ReplyError("NOPERM mget"))
    assert requests.error(request) == (ERROR_REQUEST, "NOPERM mget")


def test_c23_a_flight_knows_the_clients_that_wait_for_it(
    flights: Flights, upstream: Any, requests: Any
) -> None:
    first, second, free = CommandOrder(None), CommandOrder(None), requests()  # type: ignore[arg-type]
    for order in (first, second):
        request = requests()
        request.take_place(order)
        read(flights, request, upstream, 0, STRING, b"k")
        request = requests()
        request.take_place(order)
        read_many(flights, request, upstream, 0, [b"l", b"m"], {})
    read(flights, free, upstream, 0, STRING, b"k")
    one, many = upstream.calls
    assert one.clients() == many.clients() == [first, second]
    rest = one.divide({first})
    assert one.clients() == [first]
    assert rest.clients() == [second]
    rest.succeed(b"v")
    assert requests.value(free) == b"v"
    assert many.divide({first}) is None


def test_c22_thousands_of_flights_are_each_found_again(
    flights: Flights, upstream: Any, requests: Any
) -> None:
    keys = [b"%d" % number for number in range(10_000)]
    for key in keys:
        read(flights, requests(), upstream, 0, STRING, key)
    again = [requests() for _ in keys]
    for request, key in zip(again, keys, strict=True):
        read(flights, request, upstream, 0, STRING, key)
    assert len(upstream.calls) == len(flights) == len(keys)
    for call in reversed(upstream.calls):
        call.succeed(call.arguments[1])
    assert [requests.value(request) for request in again] == keys
    assert len(flights) == 0


def test_c22_a_flight_that_was_overtaken_ends_without_its_successor(
    flights: Flights, upstream: Any, requests: Any, numbers: Sequence
) -> None:
    read(flights, requests(), upstream, 0, STRING, b"k")
    read(flights, requests(), upstream, numbers(), STRING, b"k")
    upstream.calls[0].succeed(b"old")
    assert len(flights) == 1
    joined = requests()
    read(flights, joined, upstream, 0, STRING, b"k")
    assert len(upstream.calls) == 2
    upstream.calls[1].succeed(b"new")
    assert requests.value(joined) == b"new"


def test_a_new_generation_hashes_the_key_again(
    upstream: Any, requests: Any, make_registry: Callable[[], Any]
) -> None:
    """The hash that the request brought is the old generation's: with it no lookup would find the entry."""
    settings = PoolSettings(max_cache_kb=64, entry_ttl_ms=0, enable_metrics=True)
    pool = make_registry().join(PoolKey("n", None), upstream.target.identity, settings)
    pool.flights.read(requests(), upstream, 0, STRING, b"k", 12345)
    pool.entries.serve(pool.entries.store)
    upstream.calls[0].succeed(b"v")
    assert pool.entries.lookup(b"k", STRING, 0) == b"v"


def test_no_reads_refer_to_one_another_once_they_are_answered(
    flights: Flights, upstream: Any, requests: Any
) -> None:
    gc.collect()
    gc.disable()
    try:
        for outcome in ("succeed", "fail", "abandon"):
            read_many(flights, requests(), upstream, 0, [b"a", b"b", b"a"], {})
            call = upstream.calls.pop()
            call.succeed([b"1", None]) if outcome == "succeed" else (
                call.fail(ERROR_CONNECTION, "gone") if outcome == "fail" else call.abandon()
            )
            del call
        assert gc.collect() == 0
    finally:
        gc.enable()
