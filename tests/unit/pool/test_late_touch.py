"""C11: a reader that was stopped between copy and touch leaves the record's next owner alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache_shared.protocol import STRING
from support.core_headers import CoreHeaders, Mapped, StoppingReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecache_shared.pool.store import PoolStore
    from unit.pool.conftest import Clock, MakeStore

VALUE = b"v" * 250


@pytest.fixture(scope="module")
def core_headers(tmp_path_factory: pytest.TempPathFactory) -> CoreHeaders:
    return CoreHeaders(tmp_path_factory.mktemp("core-headers"))


@pytest.fixture
def store(make_store: MakeStore, clock: Clock) -> PoolStore:
    """An LFU pool of 1 KB that three entries fill: a, b, c, of one access each."""
    store = make_store(max_cache_kb=1, eviction_policy="LFU")
    for flight, key in enumerate([b"a", b"b", b"c"], 1):
        store.insert(key, STRING, VALUE, flight, clock.tick())
    return store


@pytest.fixture
def reader(store: PoolStore, core_headers: CoreHeaders) -> Iterator[StoppingReader]:
    with Mapped(store.pool_path) as pool, Mapped(store.board_path) as board:
        yield StoppingReader(core_headers, pool, board, is_lfu=True)


def test_c11_a_touch_in_time_counts(store: PoolStore, reader: StoppingReader, clock: Clock) -> None:
    """Also that the steps are the reader's: what is taken apart here is what `PoolReader` does."""
    stopped = reader.stop_at(b"a")
    reader.go_on(stopped, clock.tick())
    assert reader.count(stopped.record) == 2
    assert reader.last_access_ns(stopped.record) == clock.now_ns
    store.insert(b"d", STRING, VALUE, 4, clock.tick())
    assert {key for key, _ in store.entries()} == {b"a", b"c", b"d"}


@pytest.mark.parametrize("late_touches", [1, 500])
def test_c11_a_late_touch_leaves_the_count_and_time_of_the_entry_that_took_the_record(
    store: PoolStore, reader: StoppingReader, clock: Clock, late_touches: int
) -> None:
    looked_at_ns = clock.tick()
    stopped = reader.stop_at(b"a")
    store.insert(b"d", STRING, VALUE, 4, clock.tick())  # a leaves
    stored_ns = clock.now_ns
    taken_over = reader.stop_at(b"d")
    assert taken_over.record == stopped.record, "the case under test: the number was taken over"
    assert taken_over.tag != stopped.tag

    for _ in range(late_touches):
        reader.go_on(stopped, looked_at_ns)

    assert reader.count(taken_over.record) == 1
    assert reader.last_access_ns(taken_over.record) == stored_ns
    for key in (b"b", b"c"):
        assert store.lookup(key, STRING, 0, clock.tick()) is not None
    store.insert(b"e", STRING, VALUE, 5, clock.tick())
    assert {key for key, _ in store.entries()} == {b"b", b"c", b"e"}


def test_c11_a_late_touch_leaves_the_new_value_of_the_same_key(
    store: PoolStore, reader: StoppingReader, clock: Clock
) -> None:
    looked_at_ns = clock.tick()
    stopped = reader.stop_at(b"a")
    store.insert(b"a", STRING, VALUE, 4, clock.tick())
    taken_over = reader.stop_at(b"a")
    assert taken_over.record == stopped.record
    reader.go_on(stopped, looked_at_ns)
    assert reader.count(taken_over.record) == 1


def test_c11_a_late_touch_is_refused_after_any_number_of_owners(
    store: PoolStore, reader: StoppingReader, clock: Clock
) -> None:
    stopped = reader.stop_at(b"a")
    seen = {stopped.tag}
    for flight in range(4, 2_004):
        store.insert(b"a", STRING, VALUE, flight, clock.tick())
        owner = reader.stop_at(b"a")
        assert owner.record == stopped.record
        assert owner.tag not in seen
        seen.add(owner.tag)
        reader.go_on(stopped, clock.now_ns - 1)
        assert reader.count(owner.record) == 1


def test_c11_a_late_touch_of_a_record_that_nobody_has_does_not_reach_its_next_owner(
    store: PoolStore, reader: StoppingReader, clock: Clock
) -> None:
    looked_at_ns = clock.tick()
    stopped = reader.stop_at(b"a")
    store.flush()
    reader.go_on(stopped, looked_at_ns)
    for flight, key in enumerate([b"d", b"e", b"f"], 4):
        store.insert(key, STRING, VALUE, flight, clock.tick())
        owner = reader.stop_at(key)
        assert reader.count(owner.record) == 1
        assert reader.last_access_ns(owner.record) == clock.now_ns
