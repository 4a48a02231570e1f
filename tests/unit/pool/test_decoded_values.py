"""Values that a reader keeps decoded: each read returns an object of its own, and never more than the pool has."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecache_shared.pool.store import PoolStore
    from unit.pool.conftest import Clock, MakeStore

VALUES: dict[int, Any] = {HASH: {b"f": b"v", b"g": b""}, SET: {b"m", b"", b"n" * 70}}
READS = 4
"""The first read decodes, the second decodes and keeps, later ones copy."""


@pytest.fixture
def store(make_store: MakeStore) -> PoolStore:
    return make_store()


@pytest.fixture
def reader(store: PoolStore) -> PoolReader:
    return PoolReader(store.pool_path, store.board_path)


@pytest.mark.parametrize("kind", VALUES)
def test_c5_each_read_returns_an_object_that_the_caller_may_change(
    store: PoolStore, reader: PoolReader, clock: Clock, kind: int
) -> None:
    store.insert(b"k", kind, VALUES[kind], 1, clock.tick())
    for _ in range(READS):
        found: Any = reader.lookup(b"k", kind, clock.tick())
        assert found == VALUES[kind]
        assert type(found) is type(VALUES[kind])
        found.clear()
    assert reader.metrics().hits == READS


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("reads", range(READS))
def test_what_replaces_an_entry_is_read_at_once(
    store: PoolStore, reader: PoolReader, clock: Clock, kind: int, reads: int
) -> None:
    other: Any = {HASH: {b"f": b"w"}, SET: {b"o"}}[kind]
    for round_number in range(3):
        for value in (VALUES[kind], other):
            store.insert(b"k", kind, value, 1 + round_number, clock.tick())
            for _ in range(reads):
                assert reader.lookup(b"k", kind, clock.tick()) == value
            assert reader.lookup(b"k", STRING, clock.tick()) is None
    store.insert(b"k", STRING, b"text", 9, clock.tick())
    assert reader.lookup(b"k", kind, clock.tick()) is None
    assert reader.lookup(b"k", STRING, clock.tick()) == b"text"
    store.flush()
    assert reader.lookup(b"k", STRING, clock.tick()) is None


@pytest.mark.parametrize("kind", VALUES)
def test_c6_a_kept_value_expires(make_store: MakeStore, clock: Clock, kind: int) -> None:
    store = make_store(entry_ttl_ms=1)
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"k", kind, VALUES[kind], 1, clock.now_ns)
    for _ in range(READS):
        assert reader.lookup(b"k", kind, clock.now_ns + 999_999) == VALUES[kind]
    assert reader.lookup(b"k", kind, clock.now_ns + 1_000_000) is None


def test_many_entries_read_in_turns(store: PoolStore, reader: PoolReader, clock: Clock) -> None:
    values: dict[bytes, Any] = {b"h%d" % n: {b"n": b"%d" % n} for n in range(100)}
    values |= {b"s%d" % n: {b"%d" % n} for n in range(100)}
    for round_number in range(4):
        for key, value in values.items():
            kind = HASH if key[:1] == b"h" else SET
            if round_number in {0, 2}:
                store.insert(key, kind, value, 1 + round_number, clock.tick())
            for other in (key, b"h7", b"s7"):
                kind_of_other = HASH if other[:1] == b"h" else SET
                if round_number or other == key:
                    assert reader.lookup(other, kind_of_other, clock.tick()) == values[other]


@pytest.fixture
def eager_collector() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


class Reading:
    """A cycle whose end reads another entry twice, in the middle of whatever allocates."""

    def __init__(self, reader: PoolReader, key: bytes, clock: Clock) -> None:
        self.reader, self.key, self.clock = reader, key, clock
        self.itself = self

    def __del__(self) -> None:
        for _ in range(2):
            assert self.reader.lookup(self.key, SET, self.clock.tick()) == {self.key}


@pytest.mark.usefixtures("eager_collector")
def test_a_finalizer_that_reads_in_the_middle_of_a_read_disturbs_nothing(
    store: PoolStore, reader: PoolReader, clock: Clock
) -> None:
    keys = [
        b"%d" % number for number in range(12)
    ]  # some of them share a place; and a set is always allocated again, unlike a dict
    for one, other in itertools.permutations(keys, 2):
        for key in (one, other):
            store.insert(key, SET, {key}, 1, clock.tick())
        now_ns = clock.tick()
        first = reader.lookup(one, SET, now_ns)
        Reading(reader, other, clock)
        second = reader.lookup(one, SET, now_ns)  # the first thing that allocates, which ends the cycle
        assert (first, second, reader.lookup(other, SET, now_ns)) == ({one}, {one}, {other})
        assert reader.lookup(one, SET, now_ns) == {one}


def test_large_values_are_not_kept_and_what_is_kept_is_given_back(store: PoolStore, clock: Clock) -> None:
    large = {b"f%d" % n: b"v" * 100 for n in range(30)}
    small = {b"f": b"v" * 900}
    store.insert(b"large", HASH, large, 1, clock.tick())
    store.insert(b"small", HASH, small, 2, clock.tick())
    for key, value, kept_bytes in ((b"large", large, 0), (b"small", small, 900)):
        reader = PoolReader(store.pool_path, store.board_path)
        assert reader.lookup(key, HASH, clock.tick()) == value  # names of fields are kept elsewhere
        tracemalloc.start()
        try:
            for _ in range(READS):
                assert reader.lookup(key, HASH, clock.tick()) == value
            kept = tracemalloc.get_traced_memory()[0]
            assert kept_bytes <= kept < kept_bytes + 700
            del reader
            assert tracemalloc.get_traced_memory()[0] < 500
        finally:
            tracemalloc.stop()
