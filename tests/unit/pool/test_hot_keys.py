"""C11 for keys that several processes hit all the time: their last access may be pending, and counts all the same.

Another process's touch is written into the board here: what this process sees is the same.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.resize import PoolResize
from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import STRING
from support.process import child_environment
from support.waiting import wait_until
from unit.pool.conftest import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unit.pool.conftest import MakeStore

VALUE = b"v" * 250
SHARDS, SHARD_BYTES, HEADER_BYTES = 64, 64, 4096
PENDING_AT = (8, 24, 40)
CLAIMS_AT = 56
WORD = struct.Struct("=Q")
SECOND_NS = 1_000_000_000
NUMBERS = itertools.count(1)


@pytest.fixture
def clock() -> Clock:
    """A clock of its own for each test: what a process knows of its last touches outlives a pool."""
    return Clock(now_ns=(1_000 + 100 * next(NUMBERS)) * SECOND_NS)


class BoardFile:
    """The access board as the other processes have it."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    def pending(self) -> list[tuple[int, int, int]]:
        """Return the place of each pending touch, its owner, its time."""
        places = [shard * SHARD_BYTES + at for shard in range(SHARDS) for at in PENDING_AT]
        return [(at, self.word(at), self.word(at + 8)) for at in places if self.word(at)]

    def place_of(self, time_ns: int) -> int:
        """Return the place of the one record with this last access."""
        end = min(len(self._memory), HEADER_BYTES + 256 * 16)
        (place,) = (at for at in range(HEADER_BYTES, end, 16) if self.word(at) == time_ns)
        return place

    def word(self, at: int) -> int:
        return int(WORD.unpack_from(self._memory, at)[0])

    def write(self, at: int, word: int) -> None:
        WORD.pack_into(self._memory, at, word)


@contextmanager
def board_of(store: PoolStore) -> Iterator[BoardFile]:
    with Path(store.board_path).open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        yield BoardFile(memory)


def make_hot(reader: PoolReader, board: BoardFile, clock: Clock, key: bytes) -> int:
    """Hit a key in turn with another process, until this one leaves its touches apart; the record's place."""
    assert reader.lookup(key, STRING, clock.tick())
    place = board.place_of(clock.now_ns)
    board.write(place, clock.tick())
    others_ns = clock.now_ns
    before = len(board.pending())
    assert reader.lookup(key, STRING, clock.tick())
    assert board.word(place) == others_ns, "the record is left alone"
    assert len(board.pending()) == before + 1
    assert clock.now_ns in [time_ns for _, _, time_ns in board.pending()]
    return place


@pytest.fixture
def full(make_store: MakeStore, clock: Clock) -> PoolStore:
    """A pool of 1 KB that three entries fill: a, b, c."""
    store = make_store(max_cache_kb=1)
    for key in (b"a", b"b", b"c"):
        store.insert(key, STRING, VALUE, 0, clock.tick())
    return store


def keys(store: PoolStore) -> set[bytes]:
    return {key for key, _ in store.entries()}


def reader_of(store: PoolStore) -> PoolReader:
    return PoolReader(store.pool_path, store.board_path)


def test_a_key_that_one_process_hits_alone_is_touched_in_its_record(full: PoolStore, clock: Clock) -> None:
    reader = reader_of(full)
    with board_of(full) as board:
        for _ in range(5):
            reader.lookup(b"a", STRING, clock.tick())
            board.place_of(clock.now_ns)
        assert board.pending() == []


def test_a_key_that_others_hit_now_and_then_is_touched_in_its_record(full: PoolStore, clock: Clock) -> None:
    reader = reader_of(full)
    with board_of(full) as board:
        reader.lookup(b"a", STRING, clock.tick())
        place = board.place_of(clock.now_ns)
        board.write(place, clock.tick())
        reader.lookup(b"a", STRING, clock.tick(2_000_000))
        assert (board.word(place), board.pending()) == (clock.now_ns, [])


@pytest.mark.parametrize("hot", [b"a", b"b", b"c"])
def test_c11_a_pending_touch_counts_for_the_next_eviction(full: PoolStore, clock: Clock, hot: bytes) -> None:
    reader = reader_of(full)
    with board_of(full) as board:
        place = make_hot(reader, board, clock, hot)
        others = sorted({b"a", b"b", b"c"} - {hot})
        for key in others:
            full.lookup(key, STRING, 0, clock.tick())
        for _ in range(3):
            assert reader.lookup(hot, STRING, clock.tick())  # the last access of all, and pending
        assert board.word(place) < clock.now_ns
        for number, victim in enumerate(others):
            full.insert(b"new %d" % number, STRING, VALUE, 0, clock.tick())
            assert victim not in keys(full)
            assert hot in keys(full)
            assert board.word(place) in [time_ns for _, _, time_ns in board.pending()]


def test_c11_a_pending_touch_that_is_older_than_another_access_does_not_count(
    full: PoolStore, clock: Clock
) -> None:
    reader = reader_of(full)
    with board_of(full) as board:
        place = make_hot(reader, board, clock, b"a")
        for key in (b"b", b"c"):
            full.lookup(key, STRING, 0, clock.tick())
        full.lookup(b"a", STRING, 0, clock.tick())
        latest_ns = clock.now_ns
        full.insert(b"d", STRING, VALUE, 0, clock.tick())
        assert board.word(place) == latest_ns
        assert keys(full) == {b"a", b"c", b"d"}


def test_c11_the_next_owner_of_a_record_has_nothing_from_a_pending_touch(
    full: PoolStore, clock: Clock
) -> None:
    reader = reader_of(full)
    with board_of(full) as board:
        place = make_hot(reader, board, clock, b"a")
        full.insert(b"a", STRING, VALUE, 1, clock.tick())  # under the same record, with another tag
        stored_ns = clock.now_ns
        at, _, _ = board.pending()[0]
        board.write(at + 8, clock.now_ns + SECOND_NS)  # a touch of the former entry that came late
        for key in (b"b", b"c"):
            full.lookup(key, STRING, 0, clock.tick())
        full.insert(b"d", STRING, VALUE, 2, clock.tick())
        assert board.pending() == [], "it is free for another record"
        assert keys(full) == {b"b", b"c", b"d"}
        assert board.place_of(stored_ns + 3_000) == place, "which the new entry has now"


def test_a_heartbeat_takes_a_pending_touch_away_that_nobody_uses(full: PoolStore, clock: Clock) -> None:
    reader = reader_of(full)
    with board_of(full) as board:
        place = make_hot(reader, board, clock, b"a")
        hit_ns = clock.now_ns
        full.beat(clock.tick(SECOND_NS // 2))
        assert (board.word(place), len(board.pending())) == (hit_ns, 1)
        full.beat(clock.tick(SECOND_NS))
        assert (board.word(place), board.pending()) == (hit_ns, [])
        reader.lookup(b"a", STRING, clock.tick())
        assert board.word(place) == clock.now_ns, "its process goes back to the record"


def test_c11_a_claim_that_a_killed_process_did_not_count_is_found_by_a_heartbeat(
    full: PoolStore, clock: Clock
) -> None:
    reader = reader_of(full)
    with board_of(full) as board:
        place = make_hot(reader, board, clock, b"a")
        full.insert(b"a", STRING, VALUE, 1, clock.tick())
        full.beat(clock.tick())  # the pending touch is of an entry that has left
        assert board.pending() == []
        claims = board.word(CLAIMS_AT)
        reader.lookup(b"a", STRING, clock.tick())  # it has been stored since this process's last touch
        assert (board.word(CLAIMS_AT), len(board.pending())) == (claims + 1, 1)
        board.write(CLAIMS_AT, claims)
        hit_ns = clock.now_ns
        full.beat(clock.tick())
        assert board.word(place) == hit_ns


def test_three_keys_of_a_process_can_be_hot_and_a_fourth_is_touched_in_its_record(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store(max_cache_kb=64)
    for number in range(4):
        store.insert(b"%d" % number, STRING, VALUE, 0, clock.tick())
    reader = reader_of(store)
    with board_of(store) as board:
        for number in range(3):
            make_hot(reader, board, clock, b"%d" % number)
        reader.lookup(b"3", STRING, clock.tick())
        place = board.place_of(clock.now_ns)
        board.write(place, clock.tick())
        reader.lookup(b"3", STRING, clock.tick())
        assert (board.word(place), len(board.pending())) == (clock.now_ns, 3)


def test_c11_under_lfu_every_hit_is_in_the_record(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(eviction_policy="LFU")
    store.insert(b"a", STRING, VALUE, 0, clock.tick())
    reader = reader_of(store)
    with board_of(store) as board:
        for _ in range(4):
            reader.lookup(b"a", STRING, clock.tick())
            place = board.place_of(clock.now_ns)
            board.write(place, clock.tick())
        assert board.pending() == []
        assert board.word(place + 8) & (1 << 40) - 1 == 5


@pytest.mark.parametrize("kind", ["hottest", "resized", "sealed", "killed"])
def test_c11_a_pending_touch_goes_where_the_entry_goes(
    full: PoolStore, clock: Clock, pool_directory: str, kind: str
) -> None:
    reader = reader_of(full)
    with board_of(full) as board:
        make_hot(reader, board, clock, b"a")
        for key in (b"b", b"c"):
            full.lookup(key, STRING, 0, clock.tick())
        reader.lookup(b"a", STRING, clock.tick())
    if kind == "hottest":
        assert [entry.key for entry in full.hottest(3, now_ns=clock.tick())] == [b"a", b"c", b"b"]
        return
    after = moved(full, clock, pool_directory, kind)
    try:
        after.insert(b"d", STRING, VALUE, 9, clock.tick())
        assert keys(after) == {b"a", b"c", b"d"}
        after.check_integrity()
    finally:
        after.close()


def moved(store: PoolStore, clock: Clock, directory: str, kind: str) -> PoolStore:
    """The entries under the next daemon, or in the next generation."""
    settings: dict[str, Any] = {
        "max_cache_kb": 1,
        "entry_ttl_ms": 0,
        "eviction_policy": "LRU",
        "enable_metrics": True,
        "instance_id": 8,
        "grace_ms": 5_000,
    }
    if kind == "resized":
        settings["enable_metrics"] = False
        resize = PoolResize(
            store, directory, "unit0", 2, pool_mode=0o640, board_mode=0o660, now_ns=clock.tick(), **settings
        )
        while not resize.step(100, now_ns=clock.tick()):
            pass
        return resize.finish(now_ns=clock.tick())
    if kind == "sealed":
        assert store.seal(clock.tick())
    else:
        store.close()
    return PoolStore.take_over(directory, "unit0", 1, now_ns=clock.tick(), **settings)


@pytest.mark.parametrize("owner", [1, 5 << 40 | 1, (1 << 64) - 1, 1 << 40 | 900_000 << 8 | 1])
def test_nonsense_from_a_worker_is_no_record(full: PoolStore, clock: Clock, owner: int) -> None:
    with board_of(full) as board:
        for shard in range(SHARDS):
            for at in PENDING_AT:
                board.write(shard * SHARD_BYTES + at, owner)
                board.write(shard * SHARD_BYTES + at + 8, (1 << 64) - 1)
        board.write(CLAIMS_AT, 1)
        for number in range(5):
            full.insert(b"new %d" % number, STRING, VALUE, 0, clock.tick())
        assert board.pending() == []
    assert keys(full) == {b"new 2", b"new 3", b"new 4"}


HAMMER = """
import os, sys, time
from glidecache_shared.pool.reader import PoolReader
os.sched_setaffinity(0, {int(sys.argv[3])})
get = PoolReader(sys.argv[1], sys.argv[2]).get
print(flush=True)
sys.stdin.readline()
end = time.monotonic() + 0.2
while time.monotonic() < end:
    for _ in range(100):
        assert get(b"a")
print(flush=True)
while get(b"a"):  # until it is killed
    pass
"""


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="one processor: no two processes hit at the same time"
)
def test_c11_what_killed_processes_hit_together_is_the_last_that_leaves(make_store: MakeStore) -> None:
    """On the real clock, because readers of other processes have no other."""
    store = make_store(max_cache_kb=1, now_ns=None, grace_ms=3_600_000)
    for key in (b"a", b"b", b"c"):
        store.insert(key, STRING, VALUE)
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", HAMMER, store.pool_path, store.board_path, str(processor)],
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for processor in sorted(os.sched_getaffinity(0))[:2]
    ]
    try:
        for reader in readers:
            assert reader.stdout
            reader.stdout.readline()
        for reader in readers:
            assert reader.stdin
            reader.stdin.write(b"\n")
            reader.stdin.flush()
        for reader in readers:
            assert reader.stdout
            reader.stdout.readline()
        store.insert(b"d", STRING, VALUE)
        assert keys(store) == {b"a", b"c", b"d"}
        for key in (b"c", b"d"):
            assert store.lookup(key, STRING)
        hits = store.metrics().hits
        wait_until(lambda: store.metrics().hits > hits + 1_000, "they have hit it since", 20)
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
    with board_of(store) as board:
        assert board.pending(), "at least one of them left its touches apart"
    store.insert(b"e", STRING, VALUE)  # after the hits of c and d, the processes hit a until they were killed
    assert keys(store) == {b"a", b"d", b"e"}
