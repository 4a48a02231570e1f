"""What a reader accepts, whom it trusts, and that it cannot write: architecture decisions 1, 2 and 9."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.reader import PoolFormatError, PoolReader
from glidecache_shared.protocol import STRING
from support.pool_model import NS_PER_MS

if TYPE_CHECKING:
    from unit.pool.conftest import Clock, MakeStore

GRACE_MS = 5_000
PROT_READ, PROT_WRITE = 1, 2
PAGE_BYTES = 4096


@pytest.fixture
def files(make_store: MakeStore, clock: Clock) -> tuple[Path, Path]:
    """A closed pool with an entry `k`; its files may be spoilt."""
    store = make_store()
    store.insert(b"k", STRING, b"v", 1, clock.tick())
    store.close()
    return Path(store.pool_path), Path(store.board_path)


def test_a_pool_that_was_closed_can_be_read(files: tuple[Path, Path], clock: Clock) -> None:
    """The control: what the tests below spoil was good before."""
    reader = PoolReader(*map(str, files))
    assert reader.lookup(b"k", STRING, clock.tick()) == b"v"


@pytest.mark.parametrize("which", [0, 1], ids=["pool", "board"])
def test_a_file_that_does_not_exist_is_an_os_error_that_names_it(
    files: tuple[Path, Path], which: int
) -> None:
    files[which].unlink()
    with pytest.raises(FileNotFoundError, match=files[which].name):
        PoolReader(*map(str, files))


@pytest.mark.parametrize("which", [0, 1], ids=["pool", "board"])
def test_a_directory_is_not_a_pool(files: tuple[Path, Path], which: int) -> None:
    files[which].unlink()
    files[which].mkdir()
    with pytest.raises((PoolFormatError, OSError)):
        PoolReader(*map(str, files))


@pytest.mark.parametrize(
    "content", [b"", b"x", b"a text file\n" * 4_000, bytes(100_000)], ids=["empty", "1B", "text", "zeros"]
)
def test_another_file_is_not_a_pool(files: tuple[Path, Path], content: bytes) -> None:
    pool, board = files
    pool.write_bytes(content)
    with pytest.raises(PoolFormatError, match=pool.name):
        PoolReader(str(pool), str(board))


@pytest.mark.parametrize("content", [b"", b"x", b"a text file\n"], ids=["empty", "1B", "text"])
def test_a_board_that_is_too_short_is_refused(files: tuple[Path, Path], content: bytes) -> None:
    pool, board = files
    board.write_bytes(content)
    with pytest.raises(PoolFormatError, match=board.name):
        PoolReader(str(pool), str(board))


@pytest.mark.parametrize("length", [1, 7, 8, 63, 64, 319, 320, 4_095])
def test_a_truncated_header_is_refused(files: tuple[Path, Path], length: int) -> None:
    pool, board = files
    os.truncate(pool, length)
    with pytest.raises(PoolFormatError, match=pool.name):
        PoolReader(str(pool), str(board))


def test_another_magic_is_refused(files: tuple[Path, Path]) -> None:
    pool, board = files
    overwrite(pool, 0, b"NotAPool")
    with pytest.raises(PoolFormatError, match=pool.name):
        PoolReader(str(pool), str(board))


def test_another_layout_version_is_refused_with_both_numbers(files: tuple[Path, Path]) -> None:
    pool, board = files
    overwrite(pool, 8, (99).to_bytes(4, "little"))
    with pytest.raises(PoolFormatError, match="99"):
        PoolReader(str(pool), str(board))


def test_files_in_the_wrong_order_are_refused(files: tuple[Path, Path]) -> None:
    pool, board = files
    with pytest.raises(PoolFormatError):
        PoolReader(str(board), str(pool))


@pytest.mark.parametrize("wrong", [None, 5, b"path"])
def test_paths_are_text(files: tuple[Path, Path], wrong: Any) -> None:
    with pytest.raises(TypeError):
        PoolReader(wrong, str(files[1]))
    with pytest.raises(TypeError):
        PoolReader(str(files[0]), wrong)


def test_a_path_with_a_nul_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises((ValueError, PoolFormatError), match="null"):
        PoolReader(f"{files[0]}\x00", str(files[1]))


def test_a_reader_that_failed_to_open_leaks_no_file_descriptor(files: tuple[Path, Path]) -> None:
    pool, board = files
    overwrite(pool, 0, b"NotAPool")
    before = open_descriptors()
    for _ in range(20):
        with pytest.raises(PoolFormatError):
            PoolReader(str(pool), str(board))
    assert open_descriptors() == before


def test_readers_give_their_mappings_back(files: tuple[Path, Path]) -> None:
    for _ in range(50):
        PoolReader(*map(str, files))
    assert len(mappings_of(files[0])) <= 1
    assert len(mappings_of(files[1])) <= 1


def test_a_heartbeat_within_its_grace_is_trusted_and_beyond_it_is_not(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store(grace_ms=GRACE_MS)
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"k", STRING, b"v", 1, clock.now_ns)
    within = clock.now_ns + GRACE_MS * NS_PER_MS - 1
    assert reader.lookup(b"k", STRING, within) == b"v"
    assert reader.lookup(b"k", STRING, within + 2) is None
    assert reader.metrics().hits == 1
    store.beat(within)
    assert reader.lookup(b"k", STRING, within + 2) == b"v"


def test_a_lookup_that_read_its_clock_just_before_the_heartbeat_is_trusted(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store(grace_ms=GRACE_MS)
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"k", STRING, b"v", 1, clock.now_ns)
    before = clock.tick()
    store.beat(clock.tick())
    assert reader.lookup(b"k", STRING, before) == b"v"


def test_trusted_follows_the_real_clock(make_store: MakeStore) -> None:
    long_ago = time.monotonic_ns() - 2 * GRACE_MS * NS_PER_MS
    store = make_store(grace_ms=GRACE_MS, now_ns=max(long_ago, 1))
    store.insert(b"k", STRING, b"v", 1)
    reader = PoolReader(store.pool_path, store.board_path)
    if long_ago > 0:
        assert reader.trusted is False
        assert reader.get(b"k") is None
    store.beat()
    assert reader.trusted is True
    assert reader.get(b"k") == b"v"


def test_a_retired_generation_is_not_trusted_whatever_its_heartbeat(make_store: MakeStore) -> None:
    store = make_store(now_ns=time.monotonic_ns())
    store.insert(b"k", STRING, b"v", 1)
    reader = PoolReader(store.pool_path, store.board_path)
    assert (reader.retired, reader.trusted, reader.get(b"k")) == (False, True, b"v")
    store.retire()
    store.beat()
    assert (reader.retired, reader.trusted, reader.get(b"k")) == (True, False, None)
    assert reader.hgetall(b"k") is None
    assert reader.lookup(b"k", STRING, time.monotonic_ns()) is None
    assert reader.metrics().hits == 1
    late_reader = PoolReader(store.pool_path, store.board_path)
    assert (late_reader.retired, late_reader.trusted, late_reader.get(b"k")) == (True, False, None)


def test_workers_cannot_write_the_pool(files: tuple[Path, Path], clock: Clock) -> None:
    """Not by accident (mapped read-only) and not on purpose (the kernel refuses to make the mapping writable)."""
    reader = PoolReader(*map(str, files))
    assert reader.lookup(b"k", STRING, clock.tick()) == b"v"
    pool_mappings = mappings_of(files[0])
    assert pool_mappings
    libc = ctypes.CDLL(None, use_errno=True)
    for start, permissions in pool_mappings:
        assert permissions == "r--s"
        refused = libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(PAGE_BYTES), PROT_READ | PROT_WRITE)
        assert refused == -1
    assert [permissions for _, permissions in mappings_of(files[1])] == ["rw-s"]


def open_descriptors() -> int:
    """How many file descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def overwrite(path: Path, offset: int, content: bytes) -> None:
    """Spoil some bytes of a file in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def mappings_of(path: Path) -> list[tuple[int, str]]:
    """Start and permissions of each mapping of the file in this process."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == str(path):  # the columns of the kernel's table
            found.append((int(fields[0].split("-")[0], 16), fields[1]))
    return found
