"""The life of a pool's files: made, grown, retired, unlinked, closed; architecture decisions 7 and 9."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import HASH, STRING

if TYPE_CHECKING:
    from unit.pool.conftest import Clock, MakeStore

KB = 1024

INDEX = slice(4096, 4096 + 40 * 64)
"""Where the first buckets stand in a pool file."""

GOOD_SETTINGS: dict[str, Any] = {
    "max_cache_kb": 64,
    "entry_ttl_ms": 0,
    "eviction_policy": "LRU",
    "enable_metrics": True,
    "instance_id": 1,
    "grace_ms": 5_000,
}


def test_a_pool_is_two_files_named_by_pool_and_generation(pool_directory: str) -> None:
    store = PoolStore.create(pool_directory, "catalog", 12, **GOOD_SETTINGS)
    try:
        assert (store.pool_path, store.board_path) == (
            f"{pool_directory}/catalog.12.pool",
            f"{pool_directory}/catalog.12.board",
        )
        assert {path.name for path in Path(pool_directory).iterdir()} == {
            "catalog.12.pool",
            "catalog.12.board",
        }
        assert store.generation == 12
        reader = PoolReader(store.pool_path, store.board_path)
        assert (reader.generation, reader.instance_id, reader.metrics_enabled) == (12, 1, True)
    finally:
        store.close()


@pytest.mark.parametrize(("pool_mode", "board_mode"), [(0o640, 0o660), (0o600, 0o600), (0o644, 0o666)])
def test_the_files_have_the_modes_that_were_asked_for(
    make_store: MakeStore, pool_mode: int, board_mode: int
) -> None:
    store = make_store(pool_mode=pool_mode, board_mode=board_mode)
    assert stat.S_IMODE(Path(store.pool_path).stat().st_mode) == pool_mode
    assert stat.S_IMODE(Path(store.board_path).stat().st_mode) == board_mode


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_cache_kb": 0},
        {"max_cache_kb": -1},
        {"entry_ttl_ms": -1},
        {"eviction_policy": "FIFO"},
        {"eviction_policy": "lru"},
        {"eviction_policy": ""},
        {"secret": b""},
        {"secret": b"15 bytes, not 16"[:15]},
        {"secret": b"seventeen bytes!!"},
    ],
    ids=str,
)
def test_wrong_settings_are_refused_and_leave_no_file(pool_directory: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PoolStore.create(pool_directory, "wrong", 1, **(GOOD_SETTINGS | wrong))
    assert list(Path(pool_directory).iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_cache_kb": "64"},
        {"max_cache_kb": None},
        {"max_cache_kb": 2**60},
        {"max_cache_kb": 2**70},
        {"entry_ttl_ms": "1"},
        {"entry_ttl_ms": 2**62},
        {"entry_ttl_ms": 2**70},
        {"eviction_policy": None},
        {"instance_id": -1},
        {"instance_id": 2**64},
        {"grace_ms": -1},
        {"grace_ms": 2**62},
        {"secret": "sixteen letters."},
    ],
    ids=str,
)
def test_settings_of_another_type_or_beyond_all_reason_are_refused_and_leave_no_file(
    pool_directory: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        PoolStore.create(pool_directory, "wrong", 1, **(GOOD_SETTINGS | wrong))
    assert list(Path(pool_directory).iterdir()) == []


def test_a_pool_that_is_there_already_is_not_overwritten(make_store: MakeStore, pool_directory: str) -> None:
    store = make_store(now_ns=time.monotonic_ns())
    store.insert(b"k", STRING, b"v", 1)
    with pytest.raises(FileExistsError, match=r"unit0\.1"):
        PoolStore.create(pool_directory, "unit0", 1, **GOOD_SETTINGS)
    assert PoolReader(store.pool_path, store.board_path).get(b"k") == b"v"


def test_a_directory_that_does_not_exist_is_an_os_error_that_names_it(pool_directory: str) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        PoolStore.create(f"{pool_directory}/absent", "p", 1, **GOOD_SETTINGS)


def test_c8_the_index_grows_to_200_000_entries_and_loses_none(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=64 * KB)
    reader = PoolReader(store.pool_path, store.board_path)
    for number in range(200_000):
        store.insert(b"%d" % number, STRING, b"v%d" % number, number + 1, clock.now_ns)
        if number in {6, 7, 40, 400, 4_000, 40_000}:
            assert all(reader.lookup(other, STRING, clock.now_ns) is not None for other in range(number + 1))
    assert store.metrics().entry_count == 200_000
    assert store.metrics().evictions == 0
    for number in range(200_000):
        assert reader.lookup(number, STRING, clock.now_ns) == b"v%d" % number
    assert reader.lookup(200_000, STRING, clock.now_ns) is None
    store.check_integrity()
    assert store.flush() == 200_000
    store.check_integrity()
    assert reader.lookup(5, STRING, clock.now_ns) is None


def test_the_same_keys_fall_differently_in_pools_with_different_secrets(
    make_store: MakeStore, clock: Clock
) -> None:
    """Architecture 10: which keys share a bucket cannot be prepared from outside; with one secret it repeats."""
    indexes = []
    for secret in (b"0" * 16, b"0" * 16, b"1" * 16, None, None):
        store = make_store(secret=secret)
        for number in range(200):
            store.insert(b"%d" % number, STRING, b"v", number + 1, clock.tick())
        indexes.append(Path(store.pool_path).read_bytes()[INDEX])
    assert indexes[0] == indexes[1] != bytes(len(indexes[0]))
    assert indexes[0] != indexes[2]
    assert indexes[3] != indexes[4]


def test_c13_a_flush_counts_as_neither_eviction_nor_expiration(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(entry_ttl_ms=1)
    reader = PoolReader(store.pool_path, store.board_path)
    for flight in range(1, 6):
        store.insert(b"%d" % flight, STRING, b"v", flight, clock.tick(300_000))
    assert store.flush() == 5
    assert tuple(store.metrics()) == (0, 0, 0, 0, 0)
    assert store.charged_bytes == 0
    assert store.flush() == 0
    assert reader.lookup(b"5", STRING, clock.tick()) is None
    assert store.insert(b"5", STRING, b"again", 1, clock.tick()) is True
    assert reader.lookup(b"5", STRING, clock.tick()) == b"again"


def test_a_readers_mapping_outlives_the_files_names(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    store.unlink()
    assert not Path(store.pool_path).exists()
    assert not Path(store.board_path).exists()
    store.insert(b"k2", STRING, b"v2", 2, clock.tick())
    assert reader.lookup(b"k", STRING, clock.tick()) == b"v"
    assert reader.lookup(b"k2", STRING, clock.tick()) == b"v2"
    store.close()
    assert reader.lookup(b"k", STRING, clock.tick()) == b"v"
    assert reader.metrics().hits == 3


def test_closing_leaves_the_files_and_what_is_in_them(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    store.close()
    reader = PoolReader(store.pool_path, store.board_path)
    assert reader.lookup(b"k", STRING, clock.tick()) == b"v"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("lookup", (b"k", STRING)),
        ("insert", (b"k", STRING, b"v")),
        ("insert", (b"k", HASH, {})),
        ("flush", ()),
        ("flush_below", (5, 5)),
        ("free_some", ()),
        ("beat", ()),
        ("retire", ()),
        ("unlink", ()),
        ("metrics", ()),
        ("check_integrity", ()),
        ("entries", ()),
    ],
)
def test_use_after_close_is_a_value_error(
    make_store: MakeStore, method: str, arguments: tuple[Any, ...]
) -> None:
    store = make_store()
    store.close()
    store.close()
    with pytest.raises(ValueError, match="closed"):
        getattr(store, method)(*arguments)


def test_c13_counters_start_at_zero_and_add_up(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    reader = PoolReader(store.pool_path, store.board_path)
    assert (reader.metrics().hit_rate, reader.metrics().miss_rate) == (0.0, 0.0)
    store.lookup(b"k", STRING, 0, clock.tick())
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    for _ in range(3):
        reader.lookup(b"k", STRING, clock.tick())
    for metrics in (store.metrics(), reader.metrics()):
        assert tuple(metrics) == (3, 1, 1, 0, 0)
        assert (metrics.total_lookups, metrics.hit_rate, metrics.miss_rate) == (4, 0.75, 0.25)


def test_c14_without_metrics_only_entries_are_counted(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(enable_metrics=False, max_cache_kb=1)
    reader = PoolReader(store.pool_path, store.board_path)
    assert reader.metrics_enabled is False
    for flight in range(1, 6):
        store.lookup(b"%d" % flight, STRING, 0, clock.tick())
        store.insert(b"%d" % flight, STRING, b"v" * 250, flight, clock.tick())
        assert reader.lookup(b"%d" % flight, STRING, clock.tick()) is not None
    assert reader.metrics().entry_count == store.metrics().entry_count == 3


def test_i12_a_board_that_a_worker_lengthened_is_cut_and_keeps_its_recency(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store()
    for number in range(4):
        store.insert(b"key-%d" % number, STRING, b"v", 1, clock.tick())
    board = Path(store.board_path)
    made = board.read_bytes()
    with board.open("ab") as file:
        file.write(b"x" * 100_000)
    os.truncate(board, 1 << 40)
    store.beat(clock.tick())
    assert board.read_bytes() == made
    assert store.board_faults == 0


@pytest.mark.parametrize("change", ["remove", "rename", "replace", "replace_by_a_directory", "link"])
@pytest.mark.parametrize("which", ["pool", "board"])
def test_i13_a_file_that_lost_its_name_is_noticed(make_store: MakeStore, which: str, change: str) -> None:
    store = make_store()
    assert store.lost_file() is None
    path = Path(store.pool_path if which == "pool" else store.board_path)
    aside = path.with_name("aside")
    path.rename(aside)
    if change == "remove":
        aside.unlink()
    elif change == "replace":
        path.write_bytes(aside.read_bytes())
    elif change == "replace_by_a_directory":
        path.mkdir()
    elif change == "link":
        path.symlink_to(aside)
    assert store.lost_file() == str(path)
    store.unlink()  # A directory in its place stays.
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    aside.unlink(missing_ok=True)
