"""C8: what an entry is charged, and what that promises about memory."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.store import charge_bytes, payload_bytes
from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from glidecache_shared.pool.store import PoolStore
    from unit.pool.conftest import Clock, MakeStore

KB = 1024
MB = 1024 * KB


def test_c8_three_short_entries_fit_in_one_kilobyte_and_a_fourth_does_not(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store(max_cache_kb=1)
    for number in range(4):
        assert store.insert(b"%08d" % number, STRING, b"v" * 250, number + 1, clock.tick())
    assert store.metrics().entry_count == 3
    assert store.metrics().evictions == 1
    assert {key for key, _ in store.entries()} == {b"00000001", b"00000002", b"00000003"}


def test_c8_the_bound_is_max_cache_kb_times_1024(make_store: MakeStore) -> None:
    assert make_store(max_cache_kb=3).max_bytes == 3 * 1024


@pytest.mark.parametrize("key_bytes", [0, 1, 8, 63, 64, 300, 70_000])
def test_c8_the_charge_never_falls_as_the_payload_grows(key_bytes: int) -> None:
    charges = [charge_bytes(key_bytes, length) for length in [*range(2_000), 10**5, 10**6, 512 * MB]]
    assert all(shorter <= longer for shorter, longer in pairwise(charges))
    assert charges[0] < charges[-1]


@pytest.mark.parametrize("payload", [0, 1, 8, 63, 64, 300, 70_000])
def test_c8_the_charge_never_falls_as_the_key_grows(payload: int) -> None:
    charges = [charge_bytes(length, payload) for length in [*range(2_000), 10**5, 10**6]]
    assert all(shorter <= longer for shorter, longer in pairwise(charges))


@pytest.mark.parametrize(
    ("key_bytes", "payload"), [(0, 0), (8, 1), (8, 250), (40, 4_000), (8, MB), (5_000, 64 * MB)]
)
def test_c8_the_charge_covers_the_bytes_themselves_and_is_not_absurd(key_bytes: int, payload: int) -> None:
    content = key_bytes + payload
    assert content < charge_bytes(key_bytes, payload) <= content * 1.1 + 160


@pytest.mark.parametrize("length", [-1, -(2**40)])
def test_c8_negative_lengths_have_no_charge(length: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        charge_bytes(length, 1)
    with pytest.raises((ValueError, OverflowError)):
        charge_bytes(1, length)


@pytest.mark.parametrize("key", [b"", b"k", b"k" * 72, b"k" * 1_000])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (STRING, b""),
        (STRING, b"v" * 5_000),
        (HASH, {}),
        (HASH, {b"field": b"value", b"": b""}),
        (SET, set()),
        (SET, {b"", b"member", b"m" * 700}),
    ],
)
def test_c8_an_entry_is_charged_by_the_lengths_of_key_and_payload_alone(
    make_store: MakeStore, clock: Clock, key: bytes, kind: int, value: Any
) -> None:
    store = make_store()
    store.insert(b"neighbour", STRING, b"x", 1, clock.tick())
    before = store.charged_bytes
    store.insert(key, kind, value, 2, clock.tick())
    assert store.charged_bytes - before == charge_bytes(len(key), payload_bytes(kind, value))
    store.insert(key, STRING, b"", 3, clock.tick())
    assert store.charged_bytes - before == charge_bytes(len(key), 0)


def test_c8_a_mapping_and_its_flat_reply_are_the_same_payload() -> None:
    assert payload_bytes(HASH, {b"a": b"1", b"bb": b"22"}) == payload_bytes(HASH, [b"a", b"1", b"bb", b"22"])


def test_c8_the_payload_of_a_string_is_the_string() -> None:
    assert [payload_bytes(STRING, b"v" * length) for length in (0, 1, 999)] == [0, 1, 999]


# What two files may take beyond the bound: two headers, and the step in which each of the four regions grows. Of a pool
# of 64 MB the arena alone is large, and grows by huge pages.
FIXED_BYTES = 2 * 4 * KB + 3 * 256 * KB + 2 * MB


@pytest.mark.parametrize("value_bytes", [1, 250, MB], ids=["1B", "250B", "1MB"])
def test_c8_a_full_pool_takes_no_more_memory_than_its_bound(
    make_store: MakeStore, clock: Clock, value_bytes: int
) -> None:
    store = make_store(max_cache_kb=64 * KB)
    fill(store, clock, value_bytes)
    assert store.charged_bytes > 0.97 * store.max_bytes
    assert store.resident_bytes <= store.max_bytes + FIXED_BYTES
    assert on_disk(store.pool_path) + on_disk(store.board_path) <= store.max_bytes + FIXED_BYTES


def test_c8_a_pool_that_was_full_of_small_entries_and_then_of_large_ones_stays_near_its_bound(
    make_store: MakeStore, clock: Clock
) -> None:
    """Memory goes to a region for good: records and index keep what they had beside an arena of large entries."""
    store = make_store(max_cache_kb=16 * KB)
    fixed_share = 1 - payload_share_of_a_small_entry()
    for value_bytes in (1, MB, 250, 1, MB):
        fill(store, clock, value_bytes)
        assert store.resident_bytes <= store.max_bytes * (1 + fixed_share) + FIXED_BYTES


def test_c8_resident_bytes_is_what_the_file_system_says(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=8 * KB)
    fill(store, clock, 3_000)
    assert store.resident_bytes == pytest.approx(
        on_disk(store.pool_path) + on_disk(store.board_path), rel=0.01
    )


def test_c8_an_almost_empty_pool_is_small_whatever_its_bound(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=MB)
    for number in range(10):
        store.insert(b"%d" % number, STRING, b"v" * 100, number + 1, clock.tick())
    assert store.max_bytes == KB * MB
    assert store.resident_bytes <= 2 * MB
    assert on_disk(store.pool_path) + on_disk(store.board_path) <= 2 * MB


def payload_share_of_a_small_entry() -> float:
    """How much of the smallest charge is for the granule and not for index and access record."""
    granule_bytes = charge_bytes(0, 1_000) - charge_bytes(0, 1_000 - 72)
    return granule_bytes / charge_bytes(0, 0)


def fill(store: PoolStore, clock: Clock, value_bytes: int) -> None:
    """Insert 8-byte keys of this fill alone until the store is full of them."""
    turnover = store.max_bytes // charge_bytes(8, value_bytes) + 1
    for number in range(turnover):
        store.insert(b"%07d%c" % (number, 65 + value_bytes % 26), STRING, b"v" * value_bytes, 0, clock.tick())


def on_disk(path: str) -> int:
    """Bytes that a file really occupies."""
    return Path(path).stat().st_blocks * 512
