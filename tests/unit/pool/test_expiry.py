"""C6, C7, C7a: when an entry is expired, who notices, and what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, SET, STRING
from support.pool_model import NS_PER_MS

if TYPE_CHECKING:
    from unit.pool.conftest import Clock, MakeStore


def test_c6_an_entry_is_expired_from_stored_at_plus_ttl_on(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(entry_ttl_ms=10)
    reader = PoolReader(store.pool_path, store.board_path)
    stored_at = clock.tick()
    store.insert(b"k", STRING, b"v", 1, stored_at)
    last_instant = stored_at + 10 * NS_PER_MS - 1
    assert reader.lookup(b"k", STRING, last_instant) == b"v"
    assert store.lookup(b"k", STRING, 0, last_instant) == b"v"
    assert reader.lookup(b"k", STRING, last_instant + 1) is None
    assert store.lookup(b"k", STRING, 0, last_instant + 1) is None


def test_c6_access_never_prolongs_the_ttl(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(entry_ttl_ms=10)
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"k", STRING, b"v", 1, clock.now_ns)
    for _ in range(9):
        clock.tick(NS_PER_MS)
        assert reader.lookup(b"k", STRING, clock.now_ns) == b"v"
        assert store.lookup(b"k", STRING, 0, clock.now_ns) == b"v"
    clock.tick(NS_PER_MS)
    assert reader.lookup(b"k", STRING, clock.now_ns) is None


def test_c4_storing_again_starts_the_ttl_anew(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(entry_ttl_ms=10)
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"k", STRING, b"v", 1, clock.now_ns)
    store.insert(b"k", STRING, b"w", 2, clock.tick(6 * NS_PER_MS))
    assert reader.lookup(b"k", STRING, clock.tick(6 * NS_PER_MS)) == b"w"
    assert reader.lookup(b"k", STRING, clock.tick(4 * NS_PER_MS)) is None


def test_c6_a_ttl_of_zero_never_expires(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(entry_ttl_ms=0)
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"k", STRING, b"v", 1, clock.now_ns)
    clock.tick(50 * 365 * 86_400 * 10**9)
    store.beat(clock.now_ns)
    assert reader.lookup(b"k", STRING, clock.now_ns) == b"v"
    assert store.lookup(b"k", STRING, 0, clock.now_ns) == b"v"


@pytest.mark.parametrize("entry_ttl_ms", [2**43, 9_223_372_036_854, 18_446_744_073_708, 18_446_744_073_709])
def test_c6_a_very_long_ttl_does_not_wrap_around(
    make_store: MakeStore, clock: Clock, entry_ttl_ms: int
) -> None:
    """Hundreds of years: as long as 64 bits of nanoseconds reach, from either side of the sign bit."""
    try:
        store = make_store(entry_ttl_ms=entry_ttl_ms)
    except (ValueError, OverflowError):
        return  # refusing is as good
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"k", STRING, b"v", 1, clock.now_ns)
    assert reader.lookup(b"k", STRING, clock.tick()) == b"v"


def test_c7_nobody_but_a_lookup_or_an_eviction_removes_what_has_expired(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store(entry_ttl_ms=10)
    reader = PoolReader(store.pool_path, store.board_path)
    for flight in range(1, 6):
        store.insert(b"%d" % flight, STRING, b"v", flight, clock.tick())
    clock.tick(11 * NS_PER_MS)
    store.beat(clock.now_ns)
    for flight in range(1, 6):
        assert reader.lookup(b"%d" % flight, STRING, clock.tick()) is None
    store.insert(b"other", STRING, b"v", 6, clock.tick())
    assert store.metrics().entry_count == 6
    assert store.metrics().expirations == 0
    assert store.metrics().hits == 0


@pytest.mark.parametrize("kind", [STRING, HASH, SET])
def test_c7a_one_expiration_however_many_workers_saw_it(
    make_store: MakeStore, clock: Clock, kind: int
) -> None:
    """The lookup may even ask for another kind: what it meets under its key has expired."""
    store = make_store(entry_ttl_ms=10)
    readers = [PoolReader(store.pool_path, store.board_path) for _ in range(3)]
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    clock.tick(10 * NS_PER_MS)
    for reader in readers:
        assert reader.lookup(b"k", kind, clock.tick()) is None
    for _ in readers:
        assert store.lookup(b"k", kind, 0, clock.tick()) is None
    assert tuple(store.metrics()) == (0, 3, 0, 0, 1)
    assert store.charged_bytes == 0


def test_c7a_what_another_miss_has_stored_meanwhile_is_a_hit(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    reader = PoolReader(store.pool_path, store.board_path)
    assert reader.lookup(b"k", STRING, clock.tick()) is None
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    assert store.lookup(b"k", STRING, 0, clock.tick()) == b"v"
    assert tuple(store.metrics()) == (1, 0, 1, 0, 0)


def test_c12_replacing_what_has_expired_is_neither_a_lookup_nor_an_eviction_of_it(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store(entry_ttl_ms=10)
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    clock.tick(11 * NS_PER_MS)
    store.insert(b"k", STRING, b"w", 2, clock.tick())
    assert tuple(store.metrics()) == (0, 0, 1, 0, 0)
