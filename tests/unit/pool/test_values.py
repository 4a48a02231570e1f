"""C4, C5: any bytes in, the same bytes out, in a fresh object; everything else is refused in words."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecache_shared.pool.store import PoolStore
    from unit.pool.conftest import Clock, MakeStore

    StoreAndReader = tuple[PoolStore, PoolReader]

MB = 1024 * 1024
ALL_BYTES = bytes(range(256))

STRINGS = [b"", b"\x00", b"v", ALL_BYTES, b"\xff" * 71, b"\xff" * 72, b"\xff" * 73, ALL_BYTES * 400]
HASHES = [
    {},
    {b"": b""},
    {b"field": b""},
    {b"": b"value"},
    {ALL_BYTES: ALL_BYTES * 3, b"\x00": b"\x00\x00"},
    {b"%d" % number: b"x" * number for number in range(700)},
]
SETS = [
    set(),
    {b""},
    {b"", b"\x00", b"\x00\x00", ALL_BYTES},
    {b"%d" % number for number in range(3_000)},
    {b"m" * 100_000},
]
VALUES = (
    [(STRING, value) for value in STRINGS]
    + [(HASH, value) for value in HASHES]
    + [(SET, value) for value in SETS]
)


@pytest.fixture
def store_and_reader(make_store: MakeStore) -> StoreAndReader:
    """A pool with room for all that is tried here."""
    store = make_store(max_cache_kb=1024)
    return store, PoolReader(store.pool_path, store.board_path)


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_c5_values_come_back_as_they_went_in(
    store_and_reader: StoreAndReader, clock: Clock, kind: int, value: Any
) -> None:
    store, reader = store_and_reader
    assert store.insert(b"k", kind, value, 1, clock.tick()) is True
    for _ in range(2):
        found = reader.lookup(b"k", kind, clock.tick())
        assert found == value
        assert type(found) is type(value)
        assert store.lookup(b"k", kind, 0, clock.tick()) == value


@pytest.mark.parametrize("key", [b"", b"\x00", b"\x00\x00", ALL_BYTES, b"k" * 71, b"k" * 72, b"k" * 100_000])
def test_c5_keys_are_any_bytes_of_any_length(
    store_and_reader: StoreAndReader, clock: Clock, key: bytes
) -> None:
    store, reader = store_and_reader
    store.insert(key, STRING, b"its value", 1, clock.tick())
    assert reader.lookup(key, STRING, clock.tick()) == b"its value"
    assert reader.lookup(key + b"\x00", STRING, clock.tick()) is None
    assert reader.lookup(key[:-1] + b"?", STRING, clock.tick()) is None
    assert store.entries() == [(key, STRING)]


@pytest.mark.parametrize(
    ("argument", "key"),
    [
        ("key", b"key"),
        ("", b""),
        ("schlüssel \U0001f511", "schlüssel \U0001f511".encode()),
        ("nul\x00inside", b"nul\x00inside"),
        ("a" * 5_000, b"a" * 5_000),
        (0, b"0"),
        (-12, b"-12"),
        (2**200, str(2**200).encode()),
        (1.5, b"1.5"),
        (-0.0, b"-0.0"),
        (1e300, b"1e+300"),
        (float("inf"), b"inf"),
        (bytearray(b"key"), b"key"),
        (memoryview(b"key"), b"key"),
        (memoryview(b"k.e.y.")[::2], b"key"),
    ],
)
def test_c5_keys_may_be_given_as_any_argument_type(
    store_and_reader: StoreAndReader, clock: Clock, argument: Any, key: bytes
) -> None:
    store, reader = store_and_reader
    store.insert(key, STRING, b"string", 1, clock.tick())
    assert reader.lookup(argument, STRING, clock.tick()) == b"string"


@pytest.mark.parametrize("argument", [True, False, None, [b"k"], (b"k",), {b"k"}, object(), 1j, Ellipsis])
@pytest.mark.parametrize("method", ["get", "hgetall", "smembers", "lookup"])
def test_c5_other_types_of_key_are_refused_by_name(
    store_and_reader: StoreAndReader, method: str, argument: Any
) -> None:
    _, reader = store_and_reader
    arguments = (argument, STRING) if method == "lookup" else (argument,)
    with pytest.raises(TypeError, match=type(argument).__name__):
        getattr(reader, method)(*arguments)


def test_c5_text_that_is_not_unicode_is_refused(store_and_reader: StoreAndReader) -> None:
    _, reader = store_and_reader
    with pytest.raises(UnicodeEncodeError):
        reader.get("\ud800")


@pytest.mark.parametrize("kind", [0, 4, -1, 255, 2**31, 2**40])
@pytest.mark.parametrize("value", [b"v", {b"f": b"v"}, [b"m"]])
def test_c1_nothing_is_stored_under_a_kind_that_does_not_exist(
    store_and_reader: StoreAndReader, clock: Clock, kind: int, value: Any
) -> None:
    store, _ = store_and_reader
    with pytest.raises((ValueError, OverflowError)):
        store.insert(b"k", kind, value, 1, clock.tick())
    assert store.entries() == []


@pytest.mark.parametrize("kind", [0, 4, 255, 256 + STRING, 2**31])
def test_c2_a_lookup_of_a_kind_that_does_not_exist_finds_nothing(
    store_and_reader: StoreAndReader, clock: Clock, kind: int
) -> None:
    store, reader = store_and_reader
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    assert reader.lookup(b"k", kind, clock.tick()) is None
    assert store.lookup(b"k", kind, 0, clock.tick()) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (STRING, None),
        (STRING, "text"),
        (STRING, 1),
        (STRING, {b"f": b"v"}),
        (HASH, b"bytes"),
        (HASH, b""),
        (HASH, None),
        (HASH, {b"f": "text"}),
        (HASH, {"text": b"v"}),
        (HASH, {b"f": None}),
        (HASH, [b"f", b"v", b"odd one out"]),
        (SET, None),
        (SET, 5),
        (SET, b"bytes"),
        (SET, b""),
        (SET, "text"),
        (SET, {b"f": b"v"}),
        (SET, [b"m", "text"]),
        (SET, [b"m", None]),
    ],
)
def test_values_of_the_wrong_type_are_refused_and_leave_the_pool_alone(
    store_and_reader: StoreAndReader, clock: Clock, kind: int, value: Any
) -> None:
    store, reader = store_and_reader
    store.insert(b"k", STRING, b"before", 1, clock.tick())
    with pytest.raises((TypeError, ValueError)):
        store.insert(b"k", kind, value, 2, clock.tick())
    assert store.entries() == [(b"k", STRING)]
    assert reader.lookup(b"k", STRING, clock.tick()) == b"before"
    store.check_integrity()


def test_a_value_that_fails_half_way_leaves_the_pool_alone(
    store_and_reader: StoreAndReader, clock: Clock
) -> None:
    store, _ = store_and_reader

    def members() -> Iterator[bytes]:
        yield b"one"
        message = "the source broke"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="the source broke"):
        store.insert(b"k", SET, members(), 1, clock.tick())
    assert store.entries() == []
    assert store.charged_bytes == 0


def test_c4_a_hash_may_come_as_the_flat_reply_of_the_server(
    store_and_reader: StoreAndReader, clock: Clock
) -> None:
    store, reader = store_and_reader
    for flat in ([b"a", b"1", b"b", b""], (b"a", b"1", b"b", b"")):
        store.insert(b"k", HASH, flat, 1, clock.tick())
        assert reader.lookup(b"k", HASH, clock.tick()) == {b"a": b"1", b"b": b""}


@pytest.mark.parametrize("members", [[b"a", b"b"], (b"a", b"b"), frozenset({b"a", b"b"}), iter([b"a", b"b"])])
def test_c4_a_set_may_come_as_any_iterable(
    store_and_reader: StoreAndReader, clock: Clock, members: Any
) -> None:
    store, reader = store_and_reader
    store.insert(b"k", SET, members, 1, clock.tick())
    assert reader.lookup(b"k", SET, clock.tick()) == {b"a", b"b"}


def test_c5_every_call_returns_a_fresh_object_that_the_caller_may_change(
    store_and_reader: StoreAndReader, clock: Clock
) -> None:
    store, reader = store_and_reader
    store.insert(b"h", HASH, {b"f": b"v"}, 1, clock.tick())
    store.insert(b"s", SET, {b"m"}, 2, clock.tick())
    lookups: list[Any] = [reader.lookup, lambda key, kind, now: store.lookup(key, kind, 0, now)]
    for lookup in lookups:
        fields = lookup(b"h", HASH, clock.tick())
        fields.clear()
        fields[b"mine"] = b"alone"
        members = lookup(b"s", SET, clock.tick())
        members.clear()
        assert lookup(b"h", HASH, clock.tick()) == {b"f": b"v"}
        assert lookup(b"s", SET, clock.tick()) == {b"m"}


def test_c5_a_stored_value_does_not_follow_later_changes_of_its_source(
    store_and_reader: StoreAndReader, clock: Clock
) -> None:
    store, reader = store_and_reader
    source = {b"f": b"v"}
    store.insert(b"h", HASH, source, 1, clock.tick())
    source[b"f"] = b"changed"
    assert reader.lookup(b"h", HASH, clock.tick()) == {b"f": b"v"}


def test_c5_the_three_methods_are_lookups_of_their_kinds(make_store: MakeStore) -> None:
    """They read the real clock, so this pool lives on it."""
    store = make_store(now_ns=time.monotonic_ns())
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"g", STRING, b"v", 1)
    store.insert(b"h", HASH, {b"f": b"v"}, 2)
    store.insert(b"s", SET, {b"m"}, 3)
    assert (reader.get("g"), reader.hgetall("h"), reader.smembers("s")) == (b"v", {b"f": b"v"}, {b"m"})
    assert (reader.get("h"), reader.hgetall("s"), reader.smembers("g"), reader.get("absent")) == (None,) * 4
    assert tuple(store.metrics()) == (3, 0, 3, 0, 0)


def test_c5_a_value_of_64_mb_makes_the_round_trip(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=80 * 1024)
    reader = PoolReader(store.pool_path, store.board_path)
    value = random.Random(1).randbytes(64 * MB)
    assert store.insert(b"k", STRING, value, 1, clock.tick()) is True
    assert reader.lookup(b"k", STRING, clock.tick()) == value
    large = {b"first": value[: 20 * MB], b"second": value[20 * MB : 60 * MB]}
    assert store.insert(b"k", HASH, large, 2, clock.tick()) is True
    assert reader.lookup(b"k", HASH, clock.tick()) == large


def test_c5_a_value_scattered_over_free_pieces_comes_back_whole(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=64)
    reader = PoolReader(store.pool_path, store.board_path)
    for number in range(1_000):
        store.insert(b"%04d" % number, STRING, b"x" * (number % 5 * 60), number + 1, clock.tick())
    for key, _ in store.entries():
        if int(key) % 2:
            reader.lookup(key, STRING, clock.tick())
    value = random.Random(2).randbytes(20_000)
    assert store.insert(b"scattered", STRING, value, 2_000, clock.tick()) is True
    assert reader.lookup(b"scattered", STRING, clock.tick()) == value
    assert store.lookup(b"scattered", STRING, 0, clock.tick()) == value
    fields = {b"%d" % number: value[number : 2 * number] for number in range(100)}
    assert store.insert(b"scattered", HASH, fields, 2_001, clock.tick()) is True
    assert reader.lookup(b"scattered", HASH, clock.tick()) == fields


def test_c5_names_of_fields_that_share_a_place_stay_apart(
    store_and_reader: StoreAndReader, clock: Clock
) -> None:
    store, reader = store_and_reader
    # Far more names than places, of all lengths around those that are kept, and some that differ in one byte only.
    numbers = random.Random(5)
    names = [numbers.randbytes(length) for length in range(36) for _ in range(20)]
    names += [b"common-%d-suffix-of-all" % number for number in range(600)]
    names += [b"%c" % number for number in range(256)] + [b"a%cb" % number for number in range(256)]
    hashes = [dict.fromkeys(numbers.sample(names, 40), b"v%d" % number) for number in range(60)]
    for number, value in enumerate(hashes):
        store.insert(b"%d" % number, HASH, value, number + 1, clock.tick())
    for _ in range(3):
        for number, value in enumerate(hashes):
            assert reader.lookup(b"%d" % number, HASH, clock.tick()) == value
            assert store.lookup(b"%d" % number, HASH, 0, clock.tick()) == value
