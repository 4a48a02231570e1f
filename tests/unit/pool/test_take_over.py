"""A new daemon goes on with the pool of the one before it: after a stop in order, and after a kill."""

from __future__ import annotations

import os
import random
import signal
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.files.pool_file import boot_identity
from glidecache_shared.pool.generation import TakeOverError
from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.pool.conftest import Clock, MakeStore

KINDS = (STRING, HASH, SET)
SETTINGS: dict[str, Any] = {
    "max_cache_kb": 64,
    "entry_ttl_ms": 0,
    "eviction_policy": "LRU",
    "enable_metrics": True,
    "instance_id": 8,
    "grace_ms": 5_000,
}
TRIALS = 60
VERSION_AT, BOOT_ID_AT, STATE_AT, BUCKET_COUNT_AT, SEAL_AT = 8, 144, 192, 196, 312
BOARD_RECORDS_AT = 4096
BUCKETS_AT, BUCKET_BYTES, GRANULE_BYTES, ARENA_OFFSET_AT = 4096, 64, 76, 96


def value(kind: int, number: int, size: int = 40) -> Any:
    text = b"%d-" % number * (size // 4 + 1)
    return {STRING: text, HASH: {b"f": text, b"g": b"%d" % number}, SET: {text, b"m"}}[kind]


def entry(number: int) -> tuple[bytes, int, Any]:
    kind = KINDS[number % 3]
    return b"key %d" % number, kind, value(kind, number, number * 7 % 900)


def end(store: PoolStore, *, in_order: bool) -> None:
    """What is left of a daemon: a sealed pool, or files as a kill leaves them."""
    if in_order:
        assert store.seal()
    else:
        store.close()


def successor(store_files: tuple[str, int], **settings: Any) -> PoolStore:
    path = Path(store_files[0])
    pool_id = path.name.split(".")[0]
    return PoolStore.take_over(str(path.parent), pool_id, store_files[1], **(SETTINGS | settings))


@pytest.fixture
def restart(clock: Clock) -> Any:
    """End a store and take its files over; the successors are checked whole at once."""
    made: list[PoolStore] = []

    def again(store: PoolStore, *, in_order: bool, **settings: Any) -> PoolStore:
        files = (store.pool_path, store.generation)
        end(store, in_order=in_order)
        taken = successor(files, now_ns=clock.now_ns, **settings)
        taken.check_integrity()
        made.append(taken)
        return taken

    yield again
    for store in made:
        store.close()


ways = pytest.mark.parametrize("in_order", [True, False], ids=["in_order", "killed"])


@ways
def test_a_pool_without_entries_is_gone_on_with(
    make_store: MakeStore, restart: Callable[..., PoolStore], *, in_order: bool
) -> None:
    store = make_store()
    generation = store.generation
    assert store.lookup(b"key", STRING) is None
    taken = restart(store, in_order=in_order)
    assert taken.recovery is not None
    assert taken.recovery.clean == in_order
    assert (taken.generation, taken.metrics().misses) == (generation, 1)
    assert taken.insert(b"key", STRING, b"value")
    assert taken.lookup(b"key", STRING) == b"value"


@ways
def test_c13_entries_counters_and_readers_stay(
    make_store: MakeStore, restart: Callable[..., PoolStore], clock: Clock, *, in_order: bool
) -> None:
    store = make_store()
    entries = [entry(number) for number in range(90)]
    for key, kind, content in entries:
        store.insert(key, kind, content, 5, clock.tick())
    store.lookup(b"absent", STRING, 0, clock.tick())
    for number in range(0, 90, 4):  # holes between what is in use: records, granules, slots
        store.insert(entries[number][0], STRING, b"again", 6, clock.tick())
    reader = PoolReader(store.pool_path, store.board_path)
    expected = dict.fromkeys((key, kind) for key, kind, _ in entries)
    for key, kind in expected:
        expected[key, kind] = reader.lookup(key, kind, clock.tick())
    assert sum(content is not None for content in expected.values()) >= 60
    before = store.metrics()
    taken = restart(store, in_order=in_order)
    assert taken.recovery == (in_order, 0)
    assert taken.metrics() == before
    assert reader.instance_id == 8
    fresh = PoolReader(taken.pool_path, taken.board_path)
    for (key, kind), content in expected.items():
        assert reader.lookup(key, kind, clock.tick()) == content
        assert fresh.lookup(key, kind, clock.tick()) == content
    for number in range(500):
        taken.insert(b"new %d" % number, STRING, b"x" * (number % 300), number, clock.tick())
    taken.check_integrity()
    assert taken.charged_bytes <= taken.max_bytes


@ways
@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c11_the_order_of_victims_survives(
    make_store: MakeStore, restart: Callable[..., PoolStore], clock: Clock, policy: str, *, in_order: bool
) -> None:
    store = make_store(max_cache_kb=1, eviction_policy=policy)
    for key in (b"a", b"b", b"c"):
        store.insert(key, STRING, b"v" * 250, 1, clock.tick())
    reader = PoolReader(store.pool_path, store.board_path)
    accesses = {"LRU": (b"b", b"c", b"a"), "LFU": (b"a", b"a", b"a", b"c", b"b", b"b")}[policy]
    for key in accesses:
        assert reader.lookup(key, STRING, clock.tick()) is not None
    taken = restart(store, in_order=in_order, max_cache_kb=1, eviction_policy=policy)
    left = []
    for number in range(2):
        taken.insert(b"n%d" % number, STRING, b"v" * 250, 1, clock.tick())
        left.append({key for key in (b"a", b"b", b"c") if reader.lookup(key, STRING, 0) is not None})
    assert left[0] == {"LRU": {b"c", b"a"}, "LFU": {b"a", b"b"}}[policy]


@ways
def test_c6_times_to_live_survive(
    make_store: MakeStore, restart: Callable[..., PoolStore], clock: Clock, *, in_order: bool
) -> None:
    store = make_store(entry_ttl_ms=10)
    stored_ns = clock.tick()
    store.insert(b"k", STRING, b"v", 1, stored_ns)
    clock.tick(5_000_000)
    taken = restart(store, in_order=in_order, entry_ttl_ms=10)
    assert taken.lookup(b"k", STRING, 0, stored_ns + 9_999_999) == b"v"
    assert taken.lookup(b"k", STRING, 0, stored_ns + 10_000_000) is None
    assert taken.metrics().expirations == 1


@ways
def test_c22_entries_of_before_are_older_than_every_flight(
    make_store: MakeStore, restart: Callable[..., PoolStore], clock: Clock, *, in_order: bool
) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"old", 99, clock.tick())
    taken = restart(store, in_order=in_order)
    assert taken.lookup(b"k", STRING, 0, clock.tick()) == b"old"
    assert taken.lookup(b"k", STRING, 1, clock.tick()) is None
    assert taken.insert(b"k", STRING, b"new", 1, clock.tick())


@ways
def test_memory_that_was_given_back_is_given_out_again(
    make_store: MakeStore, restart: Callable[..., PoolStore], clock: Clock, *, in_order: bool
) -> None:
    settings = {"max_cache_kb": 4096, "grace_ms": 100}
    store = make_store(**settings)

    def fill(target: PoolStore) -> None:
        for number in range(30):
            assert target.insert(b"large %d" % number, STRING, b"x" * 100_000, 1, clock.tick())

    fill(store)
    full = store.resident_bytes
    store.flush()
    store.insert(b"small", STRING, b"v", 1, clock.tick())
    for _ in range(6):
        store.beat(clock.tick(200_000_000))
    assert store.resident_bytes < full // 4
    taken = restart(store, in_order=in_order, **settings)
    assert taken.resident_bytes < full // 4
    fill(taken)
    taken.check_integrity()
    taken.flush()
    for _ in range(12):
        taken.beat(clock.tick(200_000_000))
    assert taken.resident_bytes < full // 4
    taken.check_integrity()


@ways
def test_a_pool_can_be_taken_over_again_and_again(
    make_store: MakeStore, restart: Callable[..., PoolStore], clock: Clock, *, in_order: bool
) -> None:
    store = make_store()
    for round_number in range(5):
        for number in range(50):
            store.insert(*entry(50 * round_number + number), 1, clock.tick())
        store = restart(store, in_order=in_order)
        assert not Path(store.pool_path).with_suffix(".state").exists()
    assert store.metrics().entry_count > 50


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"max_cache_kb": 65}, "max_cache_kb is 64, not 65"),
        ({"entry_ttl_ms": 1}, "entry_ttl_ms is 0, not 1"),
        ({"eviction_policy": "LFU"}, "eviction_policy is LRU, not LFU"),
        ({"enable_metrics": False}, "enable_metrics is True, not False"),
        ({"grace_ms": 1_000}, "grace_ms is 5000, not 1000"),
    ],
)
def test_other_settings_are_refused_by_name(
    make_store: MakeStore, clock: Clock, changed: dict[str, Any], reason: str
) -> None:
    store = make_store()
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    reader = PoolReader(store.pool_path, store.board_path)
    files = (store.pool_path, store.generation)
    store.seal()
    with pytest.raises(TakeOverError, match=reason):
        successor(files, **changed)
    assert reader.retired
    assert reader.lookup(b"k", STRING, clock.now_ns) is None


def overwrite(path: str, at: int, data: bytes) -> None:
    with Path(path).open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (0, b"\0" * 8, "not a pool file"),
        (VERSION_AT, b"\x01", "layout has version 1"),
        (BOOT_ID_AT, b"\xff" * 16, "another boot"),
        (STATE_AT, b"\x02", "generation has ended"),
        (ARENA_OFFSET_AT, b"\xff", "damaged: the geometry"),
        (BUCKET_COUNT_AT, b"\xff\xff\xff\xff", "more than there is room for"),
    ],
)
def test_a_header_that_is_not_right_is_refused(
    make_store: MakeStore, at: int, data: bytes, reason: str
) -> None:
    store = make_store()
    files = (store.pool_path, store.generation)
    store.seal()
    overwrite(files[0], at, data)
    with pytest.raises(TakeOverError, match=reason):
        successor(files)


def test_another_time_namespace_is_refused(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store()
    files = (store.pool_path, store.generation)
    store.seal()
    monkeypatch.setattr(boot_identity, "time_namespace", lambda: 1)
    with pytest.raises(TakeOverError, match="another time namespace"):
        successor(files)


def test_missing_and_shortened_files_are_refused(make_store: MakeStore) -> None:
    store = make_store()
    files, board = (store.pool_path, store.generation), store.board_path
    store.close()
    os.truncate(files[0], 10_000)
    with pytest.raises(TakeOverError, match="not the length"):
        successor(files)
    os.truncate(files[0], 100)
    with pytest.raises(TakeOverError, match="too short"):
        successor(files)
    Path(board).unlink()
    Path(files[0]).unlink()
    with pytest.raises(TakeOverError, match="No such file"):
        successor(files)


@pytest.mark.parametrize("in_order", [True, False], ids=["sealed", "killed"])
@pytest.mark.parametrize("length", [0, 1, 4096, 4097, 5_000, 1 << 20, 1 << 34, 1 << 61])
def test_i12_a_board_of_another_length_costs_no_entry(
    make_store: MakeStore, restart: Callable[..., PoolStore], clock: Clock, *, length: int, in_order: bool
) -> None:
    """Workers may write the board, so they can shorten or lengthen it: that costs recency alone."""
    store = make_store()
    for number in range(60):
        store.insert(*entry(number), 1, clock.tick())
    count = store.metrics().entry_count
    made_bytes = Path(store.board_path).stat().st_size
    os.truncate(store.board_path, length)
    taken = restart(store, in_order=in_order)
    assert taken.metrics().entry_count == count
    assert Path(taken.board_path).stat().st_size == made_bytes
    PoolReader(taken.pool_path, taken.board_path)


@pytest.mark.parametrize("spoil", ["cut", "garble", "remove", "of_another_seal"])
def test_a_state_file_that_does_not_fit_is_not_believed(
    make_store: MakeStore, clock: Clock, spoil: str
) -> None:
    store = make_store()
    for number in range(60):
        store.insert(*entry(number), 1, clock.tick())
    files = (store.pool_path, store.generation)
    store.seal()
    state = Path(files[0]).with_suffix(".state")
    if spoil == "cut":
        os.truncate(state, state.stat().st_size - 1)
    elif spoil == "garble":
        overwrite(str(state), 700, b"\xa5\x5a\xa5")
    elif spoil == "remove":
        state.unlink()
    else:
        overwrite(files[0], SEAL_AT, b"\xa5\x5a\xa5")
    taken = successor(files)
    assert taken.recovery == (False, 0)
    taken.check_integrity()
    taken.close()


def test_entries_with_wrong_bytes_are_dropped_after_a_kill(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    for number in range(60):
        store.insert(b"key %d" % number, STRING, b"payload %d " % number * 4, 1, clock.tick())
    files = (store.pool_path, store.generation)
    store.close()
    data = Path(files[0]).read_bytes()
    overwrite(files[0], data.index(b"payload 17 "), b"P")
    taken = successor(files)
    assert taken.recovery == (False, 1)
    assert taken.lookup(b"key 17", STRING) is None
    assert taken.lookup(b"key 18", STRING) == b"payload 18 " * 4
    taken.check_integrity()
    taken.close()


def test_a_place_that_was_being_filled_at_the_kill_is_used_clean(make_store: MakeStore, clock: Clock) -> None:
    """A split that was interrupted leaves slots and an odd version in the bucket behind the last."""
    store = make_store()
    for number in range(40):
        store.insert(b"key %d" % number, STRING, b"v", 1, clock.tick())
    files = (store.pool_path, store.generation)
    store.close()
    with Path(files[0]).open("rb") as file:
        (buckets,) = struct.unpack_from("<I", file.read(4096), BUCKET_COUNT_AT)
    rest = struct.pack("<QII6Q", 41, 1, 0, *(0x1234_0000_0001 + n for n in range(6)))
    overwrite(files[0], BUCKETS_AT + buckets * BUCKET_BYTES, rest)
    taken = successor(files)
    for number in range(40, 200):
        taken.insert(b"key %d" % number, STRING, b"v", 1, clock.tick())
        taken.check_integrity()
    taken.close()


def test_c11_hits_count_again_where_record_and_entry_had_different_tags(
    make_store: MakeStore, restart: Callable[..., PoolStore], clock: Clock
) -> None:
    store = make_store(max_cache_kb=1, eviction_policy="LFU")
    for key in (b"a", b"b", b"c"):
        store.insert(key, STRING, b"v" * 250, 1, clock.tick())
    board = Path(store.board_path)
    for place in range(256):
        overwrite(str(board), BOARD_RECORDS_AT + place * 16 + 13, b"\x77\x66\x55")
    taken = restart(store, in_order=False, max_cache_kb=1, eviction_policy="LFU")
    reader = PoolReader(taken.pool_path, taken.board_path)
    for key in (b"a", b"c", b"a", b"c", b"b"):
        assert reader.lookup(key, STRING, clock.tick()) is not None
    taken.insert(b"n", STRING, b"v" * 250, 1, clock.tick())
    assert [reader.lookup(key, STRING, 0) is not None for key in (b"a", b"b", b"c")] == [True, False, True]


def test_a_pool_that_is_mostly_wrong_is_refused_as_damaged(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=1024)
    for number in range(3_000):
        store.insert(b"key %d" % number, STRING, b"v", 1, clock.tick())
    files = (store.pool_path, store.generation)
    store.close()
    overwrite(files[0], BUCKETS_AT, bytes(BUCKET_BYTES * 600))
    with pytest.raises(TakeOverError, match=r"damaged: .* entries are right"):
        successor(files, max_cache_kb=1024)


@pytest.mark.parametrize("seed", range(TRIALS))
def test_what_damage_leaves_is_whole_and_right(pool_directory: str, clock: Clock, seed: int) -> None:
    """Any bytes of index and arena may be anything: what is taken over is consistent, and tells the truth."""
    chance = random.Random(seed)
    store = PoolStore.create(pool_directory, "pool", 1, **SETTINGS, now_ns=clock.now_ns)
    expected = {}
    for number in range(chance.randrange(20, 200)):
        key, kind, content = entry(number)
        store.insert(key, kind, content, 1, clock.tick())
        expected[key, kind] = content
    files = (store.pool_path, 1)
    store.close()
    with Path(files[0]).open("rb") as file:
        header = file.read(4096)
    (arena,) = struct.unpack_from("<Q", header, ARENA_OFFSET_AT)
    buckets, overflow, granules = struct.unpack_from("<III", header, BUCKET_COUNT_AT)
    (overflow_at,) = struct.unpack_from("<Q", header, 80)
    regions = [
        (BUCKETS_AT, buckets * BUCKET_BYTES),
        (overflow_at, max(overflow, 1) * BUCKET_BYTES),
        (arena, granules * GRANULE_BYTES),
    ]
    for _ in range(chance.randrange(1, 40)):
        start, length = chance.choice(regions)
        at = start + chance.randrange(length // 4) * 4
        small = chance.randrange(max(granules, 2))
        word = chance.choice(
            [0, 1, 0xFFFFFFFF, 0x80000000, small, small | 0x80000000, chance.getrandbits(32)]
        )
        overwrite(files[0], at, struct.pack("<I", word))
    taken = successor(files)
    taken.check_integrity()
    for (key, kind), content in expected.items():
        assert taken.lookup(key, kind) in (None, content)
    for number in range(100):
        taken.insert(*entry(number + 1_000), 1, clock.tick())
    taken.flush()
    taken.check_integrity()
    taken.close()


def write_until_killed(directory: str, seed: int, ready: int) -> None:
    """A daemon's life in a forked child: inserts, evictions, flushes, growing and shrinking, until SIGKILL."""
    chance = random.Random(seed)
    store = PoolStore.create(directory, "pool", 1, **(SETTINGS | {"grace_ms": 2}))
    os.write(ready, b"r")
    flight = 0
    while True:
        size = chance.choice([8, 60, 700, 5_000])
        for _ in range(chance.randrange(100, 2_000)):
            flight += 1
            number = chance.randrange(600)
            kind = KINDS[number % 3]
            store.insert(b"key %d" % number, kind, value(kind, number, chance.randrange(size)), flight)
            if flight % 50 == 0:
                store.beat()
        if chance.random() < 0.1:
            store.flush()


@pytest.mark.parametrize("seed", range(12))
def test_a_kill_at_any_moment_leaves_a_pool_that_is_whole(pool_directory: str, seed: int) -> None:
    """Copies of the files would not do: a kill stops between two instructions, and that is what is looked at."""
    chance = random.Random(seed)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_until_killed(pool_directory, seed, write_end)
        finally:
            os._exit(1)
    try:
        assert os.read(read_end, 1) == b"r"
        time.sleep(0.01 + 0.1 * chance.random())  # which moment it is does not matter: any must do
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read_end)
        os.close(write_end)
    taken = PoolStore.take_over(pool_directory, "pool", 1, **(SETTINGS | {"grace_ms": 2}))
    taken.check_integrity()
    for key, kind in taken.entries():
        number = int(key.split()[1])
        content: Any = taken.lookup(key, kind)
        assert content is not None
        text = content if kind == STRING else (content[b"f"] if kind == HASH else max(content - {b"m"}))
        assert text == b"%d-" % number * (len(text) // len(b"%d-" % number))
    for number in range(300):
        taken.insert(*entry(number), 1)
    taken.check_integrity()
    taken.close()
