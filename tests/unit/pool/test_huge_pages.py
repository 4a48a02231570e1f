"""Large pools consist of huge pages where the kernel has them; where it has none, all else is the same.

docs/design/0021-huge-pages.md has the rules. A region is large from 16 MB on.
"""

from __future__ import annotations

import errno
import os
import platform
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import charge_bytes
from glidecache_shared.protocol import STRING
from support.pool_model import NS_PER_MS
from support.process import child_environment
from unit.pool.test_trim import BEATS_PER_GRACE, GRACE_MS, Mirror, beat_for, slack_bytes

if TYPE_CHECKING:
    from unit.pool.conftest import Clock, MakeStore

KB = 1024
MB = 1024 * KB
HUGE = 2 * MB
LARGE_FROM = 16 * MB
SHMEM_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
RELEASE = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
NO_HUGE_PAGES = RELEASE < (6, 1) or not SHMEM_ENABLED.exists() or "[deny]" in SHMEM_ENABLED.read_text()

needs_huge_pages = pytest.mark.skipif(
    NO_HUGE_PAGES, reason="this kernel makes no huge pages for tmpfs on request (Linux 6.1, not denied)"
)


def huge_bytes(path: str) -> int:
    """Return how much of a file this process has mapped by huge pages, once through each mapping of it."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = line.endswith(path)
        elif inside and line.startswith("ShmemPmdMapped:"):
            found += int(line.split()[1]) * KB
    return found


def holes(path: str) -> list[tuple[int, int]]:
    """The parts of a file without memory behind them: where each begins and ends."""
    found, at = [], 0
    with Path(path).open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        while at < end:
            start = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            if start == end:
                break
            try:
                at = os.lseek(file.fileno(), start, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:  # no more data
                    raise
                at = end
            found.append((start, at))
    return found


@needs_huge_pages
def test_what_a_large_pool_grows_by_is_huge_pages_and_the_rest_follows_with_heartbeats(
    make_store: MakeStore, clock: Clock
) -> None:
    store = make_store(max_cache_kb=80 * KB, grace_ms=GRACE_MS)
    number = 0
    while store.resident_bytes < 60 * MB:
        store.insert(b"%d" % number, STRING, b"%07d " % number * (32 * KB), 0, clock.tick())
        number += 1
    grown = huge_bytes(store.pool_path)
    if grown == 0:
        pytest.skip("the kernel has no free huge pages now")
    beat_for(store, clock, 5)
    assert huge_bytes(store.pool_path) >= grown + LARGE_FROM - 2 * HUGE
    store.check_integrity()
    reader = PoolReader(store.pool_path, store.board_path)
    for each in range(number):
        assert reader.lookup(b"%d" % each, STRING, clock.tick()) == b"%07d " % each * (32 * KB)
    assert huge_bytes(store.pool_path) > 1.5 * grown, "the reader maps them as such, too"


def test_c8_a_small_pool_takes_no_huge_page(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=14 * KB)
    for number in range(13):
        store.insert(b"%d" % number, STRING, bytes(MB), 0, clock.tick())
        store.beat(clock.tick())
    assert huge_bytes(store.pool_path) == 0
    assert store.resident_bytes <= store.charged_bytes + slack_bytes(store)


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c8_c11_a_large_pool_that_shrinks_and_grows_stays_exact_and_gives_whole_huge_pages_back(
    make_store: MakeStore, clock: Clock, policy: str
) -> None:
    store = make_store(max_cache_kb=96 * KB, eviction_policy=policy, grace_ms=GRACE_MS)
    mirror = Mirror(store, policy, clock)
    chance = random.Random(7)
    for round_number in range(3):
        for number in range(400):
            size = chance.choice((100, 5 * KB, 300 * KB, 700 * KB))
            mirror.insert(b"%d %d" % (round_number, number), chance.randbytes(8) * (size // 8))
            if number % 3 == 0:
                mirror.hit(chance.choice(list(mirror.values)))
        mirror.check()
        assert store.charged_bytes > 0.9 * store.max_bytes
        # One large entry takes the place of nearly all others, and then a tiny one its own.
        mirror.insert(b"%d all" % round_number, bytes(80 * MB))
        for _ in range(2):
            mirror.hit(b"%d all" % round_number)
        mirror.insert(b"%d all" % round_number, b"")
        mirror.check()
        for _ in range(20 * BEATS_PER_GRACE):  # each gives one hole back
            store.beat(clock.tick(GRACE_MS * NS_PER_MS // BEATS_PER_GRACE))
        mirror.check()
        # A quarter may stay if it is in no whole huge page.
        assert store.resident_bytes < 1.25 * store.charged_bytes + slack_bytes(store) + 2 * HUGE
    for key in list(mirror.values):
        mirror.hit(key)


@needs_huge_pages
def test_holes_of_a_large_arena_are_whole_huge_pages(make_store: MakeStore, clock: Clock) -> None:
    store = make_store(max_cache_kb=96 * KB, grace_ms=GRACE_MS)
    for number in range(80):
        store.insert(b"%d" % number, STRING, bytes(MB), 0, clock.tick())
    beat_for(store, clock, 4)
    if huge_bytes(store.pool_path) < 40 * MB:
        pytest.skip("the kernel has no free huge pages now")
    before = set(holes(store.pool_path))
    for number in range(10, 40):
        store.insert(b"%d" % number, STRING, b"", 0, clock.tick())
    store.insert(b"huge", STRING, bytes(15 * MB), 0, clock.tick())
    beat_for(store, clock, 8)
    punched = set(holes(store.pool_path)) - before
    assert sum(end - start for start, end in punched) >= 8 * MB
    for start, end in punched:
        assert start % HUGE == 0, hex(start)
        assert end % HUGE == 0 or end >= Path(store.pool_path).stat().st_size, hex(end)
    store.check_integrity()


FILL = """
import ctypes, sys
from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import PoolStore
from unit.pool.test_huge_pages import HUGE, KB, MB, huge_bytes
if sys.argv[2] == "disabled":
    PR_SET_THP_DISABLE = 41
    assert ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0
store = PoolStore.create(
    sys.argv[1], "unit", 1, max_cache_kb=int(sys.argv[3]), entry_ttl_ms=0, eviction_policy="LRU",
    enable_metrics=True, instance_id=1, grace_ms=5000)
number = 0
while store.charged_bytes < 0.9 * store.max_bytes and not store.metrics().evictions:
    assert store.insert(b"%d" % number, 1, b"%07d " % number * 4000)
    number += 1
for _ in range(20):
    store.beat()
store.check_integrity()
reader = PoolReader(store.pool_path, store.board_path)
gone = store.metrics().evictions
for each in range(gone, number):
    assert reader.get(b"%d" % each) == b"%07d " % each * 4000, each
print(number, huge_bytes(store.pool_path), store.resident_bytes, store.charged_bytes, store.file_system_full, gone)
"""


def fill(directory: str, kind: str, max_cache_kb: int, before: tuple[str, ...] = ()) -> list[int]:
    """Fill a pool in a process of its own, and read everything back."""
    ended = subprocess.run(
        [*before, sys.executable, "-c", FILL, directory, kind, str(max_cache_kb)],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [int(word) for word in ended.stdout.split()]


def test_without_huge_pages_a_large_pool_grows_by_small_steps(pool_directory: str) -> None:
    """As on a kernel that knows none, or under memory that is in small pieces."""
    _, huge, resident, charged, _, _ = fill(pool_directory, "disabled", 64 * KB)
    assert huge == 0
    assert resident <= charged + 2 * 4 * KB + charged / 32 + 4 * (128 + 256) * KB


def mounted(directory: Path, options: str) -> tuple[str, ...]:
    """The beginning of a command that runs with a tmpfs of its own in that directory; skips where that is forbidden."""
    directory.mkdir()
    script = f'mount -t tmpfs -o {options} tmpfs {directory} && exec "$0" "$@"'
    before = ("unshare", "--mount", "sh", "-c", script)
    ended = subprocess.run([*before, "true"], check=False, capture_output=True, text=True)
    if ended.returncode:
        pytest.skip(f"no file system can be mounted here with {options}: {ended.stderr.strip()}")
    return before


@pytest.mark.parametrize("option", ["never", "within_size", "advise", "always"])
def test_c21_every_value_is_whole_wherever_huge_pages_come_from(tmp_path: Path, option: str) -> None:
    """On a file system that allocates huge pages by itself, one that was never touched must not be mapped."""
    before = mounted(tmp_path / "pools", f"size=512m,huge={option}")
    number, huge, resident, _, refused, _ = fill(str(tmp_path / "pools"), "allowed", 64 * KB, before)
    assert (number > 1_000, refused) == (True, 0)
    assert resident <= 64 * MB + 4 * HUGE
    if not NO_HUGE_PAGES and option == "within_size":
        assert huge > 64 * MB, "by both mappings, the store's and the reader's"


@pytest.mark.parametrize("option", ["never", "within_size"])
def test_c10_a_full_file_system_evicts_and_what_was_refused_takes_no_room(
    tmp_path: Path, option: str
) -> None:
    before = mounted(tmp_path / "pools", f"size=40m,huge={option}")
    _, _, resident, charged, refused, gone = fill(str(tmp_path / "pools"), "allowed", 64 * KB, before)
    assert refused > 0
    assert gone > 0
    assert charged_fits(charged, resident)


def charged_fits(charged: int, resident: int) -> bool:
    """Return whether the file system is in use up to two huge pages a region, and nothing beyond it."""
    return charged + charge_bytes(8, 32_000) > 40 * MB - 8 * HUGE and resident <= 40 * MB
