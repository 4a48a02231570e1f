"""Objects that were never made, and files that are not files: an error in words, never a crash or a hang.

Each runs in a process of its own, because what it guards against would take the test's process with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from unit.pool.conftest import MakeStore

PRELUDE = """
from glidecache_shared.pool.awaited_reads import (
    AwaitedReadMethod, AwaitedReads, ReadCoroutine, ReadIterator, awaited_read
)
from glidecache_shared.pool.reader import CachedReads, PoolReader
from glidecache_shared.pool.store import PoolStore
"""

CLOSING_KEY = """
class Key(int):
    def __repr__(self):
        client._reader = None
        return "7"

client = CachedReads()
client._reader = PoolReader({pool_path!r}, {board_path!r})
print(client.{method}(Key()), client._reader, {pool_path!r} in open("/proc/self/maps").read())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run some lines; their exceptions are on standard error. Fails when they hang."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


@pytest.mark.parametrize(
    "code",
    [
        "PoolReader.__new__(PoolReader).get(b'k')",
        "PoolReader.__new__(PoolReader).lookup(b'k', 1)",
        "PoolReader.__new__(PoolReader).metrics()",
        "PoolReader.__new__(PoolReader).trusted",
        "PoolReader.__new__(PoolReader).retired",
        "PoolReader.__new__(PoolReader).generation",
        "PoolStore.__new__(PoolStore).metrics()",
        "PoolStore.__new__(PoolStore).insert(b'k', 1, b'v')",
        "PoolStore.__new__(PoolStore).pool_path",
        "PoolStore.__new__(PoolStore).board_path",
        "PoolStore.__new__(PoolStore).charged_bytes",
        "PoolStore.__new__(PoolStore).resident_bytes",
        "PoolStore.__new__(PoolStore).file_system_full",
        "PoolStore()",
        "import copy; copy.copy(PoolReader.__new__(PoolReader))",
        "import pickle; pickle.dumps(PoolReader.__new__(PoolReader))",
        "ReadCoroutine()",
        "ReadCoroutine.__new__(ReadCoroutine)",
        "object.__new__(ReadCoroutine)",
        "ReadIterator(None)",
        "ReadIterator.__new__(ReadIterator)",
        "AwaitedReadMethod()(AwaitedReads(), b'k')",
        "AwaitedReadMethod().__get__(AwaitedReads(), None)(b'k')",
        "repr(AwaitedReadMethod()), AwaitedReadMethod().__class__, AwaitedReadMethod().__doc__",
        "awaited_read(1)(None)(AwaitedReads(), b'k').send(None)",
        "awaited_read(1)(None)(AwaitedReads(), b'k').cr_frame",
        "awaited_read(1)(None)(AwaitedReads(), b'k')",
    ],
)
def test_an_object_that_was_never_made_is_an_error_and_no_crash(code: str) -> None:
    finished = run(f"{code}\nraise SystemExit(0)")
    if finished.returncode != 0:
        assert finished.returncode == 1
        assert finished.stderr.splitlines()[-1].startswith(
            ("ValueError: ", "TypeError: ", "AttributeError: ")
        )


def test_a_reader_whose_making_failed_is_an_error_and_no_crash(make_store: MakeStore) -> None:
    path = make_store().pool_path
    finished = run(
        f"reader = PoolReader.__new__(PoolReader)\n"
        f"try:\n    reader.__init__({path!r}, '/nowhere')\n"
        f"except FileNotFoundError:\n    reader.get(b'k')\n"
    )
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith(("ValueError: ", "TypeError: "))


@pytest.mark.parametrize(
    ("method", "kind", "value"),
    [("get", STRING, b"v"), ("hgetall", HASH, {b"f": b"v"}), ("smembers", SET, {b"m"})],
)
def test_a_lookup_whose_key_closes_the_client_goes_on_with_the_pool_that_it_began_with(
    make_store: MakeStore, method: str, kind: int, value: Any
) -> None:
    """The shortest way to it; a finalizer, a signal's handler or another thread can do the same."""
    store = make_store(now_ns=time.monotonic_ns(), grace_ms=600_000)
    store.insert(b"7", kind, value, 1)
    finished = run(CLOSING_KEY.format(pool_path=store.pool_path, board_path=store.board_path, method=method))
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, f"{value} None False\n", "")


@pytest.mark.parametrize("which", ["pool", "board"])
def test_a_pipe_in_place_of_a_file_is_refused_and_does_not_hang(make_store: MakeStore, which: str) -> None:
    store = make_store()
    path = Path(store.pool_path if which == "pool" else store.board_path)
    path.unlink()
    os.mkfifo(path)
    finished = run(f"PoolReader({store.pool_path!r}, {store.board_path!r})")
    assert finished.returncode == 1
    assert "PoolFormatError" in finished.stderr or "OSError" in finished.stderr


@pytest.mark.parametrize("which", ["pool", "board"])
def test_a_symbolic_link_is_not_followed(make_store: MakeStore, which: str) -> None:
    store = make_store()
    path = Path(store.pool_path if which == "pool" else store.board_path)
    path.symlink_to(path.rename(path.with_suffix(".moved")))
    finished = run(f"PoolReader({store.pool_path!r}, {store.board_path!r})")
    assert finished.returncode == 1
    assert "OSError" in finished.stderr
