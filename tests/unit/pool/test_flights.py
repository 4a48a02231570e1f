"""C4, C7a and C22: which reply stands, and whom it may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from unit.pool.conftest import Clock, MakeStore


def test_c22_a_reply_never_replaces_an_entry_whose_flight_was_sent_later(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store()
    reader = PoolReader(store.pool_path, store.board_path)
    assert store.insert(b"k", STRING, b"sent second", 2, clock.tick()) is True
    assert store.insert(b"k", STRING, b"sent first", 1, clock.tick()) is False
    assert store.insert(b"k", HASH, {b"sent": b"first"}, 1, clock.tick()) is False
    assert reader.lookup(b"k", STRING, clock.tick()) == b"sent second"
    assert store.insert(b"k", STRING, b"sent third", 3, clock.tick()) is True
    assert reader.lookup(b"k", STRING, clock.tick()) == b"sent third"


def test_c22_the_rule_is_about_the_same_key_only(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"v", 9, clock.tick())
    assert store.insert(b"other", STRING, b"v", 1, clock.tick()) is True


@pytest.mark.parametrize("how", ["flush", "eviction"])
def test_c22_the_rule_ends_with_the_entry(make_store: MakeStore, clock: Clock, how: str) -> None:
    store = make_store(max_cache_kb=1)
    store.insert(b"k", STRING, b"v", 9, clock.tick())
    if how == "flush":
        store.flush()
    else:
        store.insert(b"large", STRING, b"v" * 800, 10, clock.tick())
    assert store.insert(b"k", STRING, b"w", 1, clock.tick()) is True


def test_c22_a_refused_reply_leaves_the_entry_as_it_was(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=1, eviction_policy="LFU")
    reader = PoolReader(store.pool_path, store.board_path)
    for flight, key in enumerate([b"a", b"b", b"c"], 11):
        store.insert(key, STRING, b"v" * 250, flight, clock.tick())
    assert store.insert(b"a", STRING, b"w" * 900, 1, clock.tick()) is False
    assert store.metrics().entry_count == 3
    assert reader.lookup(b"a", STRING, clock.tick()) == b"v" * 250
    store.insert(b"d", STRING, b"v" * 250, 14, clock.tick())
    assert {key for key, _ in store.entries()} == {b"a", b"c", b"d"}


def test_c7a_an_entry_answers_only_requests_whose_client_wrote_before_its_flight(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"v", 5, clock.tick())
    assert store.lookup(b"k", STRING, 4, clock.tick()) == b"v"
    assert store.lookup(b"k", STRING, 5, clock.tick()) is None
    assert store.lookup(b"k", STRING, 6, clock.tick()) is None
    assert tuple(store.metrics()) == (1, 2, 1, 0, 0)


def test_flights_need_not_be_numbered_where_order_does_not_matter(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store()
    assert store.insert(b"k", STRING, b"v", now_ns=clock.tick()) is True
    assert store.insert(b"k", STRING, b"w", now_ns=clock.tick()) is True
    assert store.lookup(b"k", STRING, now_ns=clock.tick()) == b"w"


def test_c2_an_entry_carries_one_kind_and_a_value_of_another_kind_replaces_it(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store()
    reader = PoolReader(store.pool_path, store.board_path)
    values: dict[int, Any] = {STRING: b"text", HASH: {b"f": b"v"}, SET: {b"m"}}
    for flight, (kind, value) in enumerate(values.items(), 1):
        store.insert(b"k", kind, value, flight, clock.tick())
        assert store.entries() == [(b"k", kind)]
        for asked in values:
            expected = value if asked == kind else None
            assert reader.lookup(b"k", asked, clock.tick()) == expected
            assert store.lookup(b"k", asked, 0, clock.tick()) == expected


def test_c3_a_lookup_with_another_kind_leaves_the_entry(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    assert store.lookup(b"k", HASH, 0, clock.tick()) is None
    assert store.entries() == [(b"k", STRING)]
    assert tuple(store.metrics()) == (0, 1, 1, 0, 0)
