"""I13: a daemon removes pool directories whose runtime directory is gone, but no others, nor those of new daemons."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from glidecached.pools import abandoned_dirs
from glidecached.pools.abandoned_dirs import LINK_NAME, remove_abandoned
from glidecached.pools.pool_dir import PoolDirectory
from glidecached.process.runtime_lock import DirectoryLockedError, lock_exclusively

if TYPE_CHECKING:
    from pathlib import Path

OWN = os.geteuid()
NUMBER = "0123456789ab"


def name(number: int = 0, uid: int = OWN) -> str:
    return f"glidecached-{uid}-{number:012x}"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    path = tmp_path / "shm"
    path.mkdir(mode=0o755)
    return path


def leave(shared: Path, runtime_dir: Path, number: int = 0) -> Path:
    """Leave what a daemon of that runtime directory leaves: its pools' files."""
    runtime_dir.mkdir(exist_ok=True)
    directory = PoolDirectory(shared / name(number), disposable=True, runtime_dir=runtime_dir)
    for suffix in ("pool", "board", "state"):
        (directory.path / f"named-{'0' * 24}.1.{suffix}").write_bytes(bytes(100))
    (directory.path / f"named-{'0' * 24}.lease").touch()
    directory.release()
    assert directory.path.exists()
    return directory.path


def test_i13_the_next_daemon_removes_what_nobody_will_use(shared: Path, tmp_path: Path) -> None:
    kept = leave(shared, tmp_path / "kept", 1)
    gone = leave(shared, tmp_path / "gone", 2)
    (tmp_path / "gone").rmdir()
    (tmp_path / "new").mkdir()
    directory = PoolDirectory(shared / name(3), disposable=True, runtime_dir=tmp_path / "new")
    assert (kept.exists(), gone.exists()) == (True, False)
    assert sorted(path.name for path in shared.iterdir()) == [name(1), name(3)]
    directory.release()
    assert not directory.path.exists()  # the mark keeps no empty directory


def test_i13_only_what_tells_its_runtime_directory_and_is_ones_own_is_removed(
    shared: Path, tmp_path: Path
) -> None:
    unmarked = leave(shared, tmp_path / "a", 1)
    (unmarked / LINK_NAME).unlink()
    misnamed = leave(shared, tmp_path / "b", 2).rename(shared / "somebody-elses")
    of_another = leave(shared, tmp_path / "c", 3).rename(shared / name(3, uid=OWN + 1))
    link = shared / name(4)
    link.symlink_to(leave(shared, tmp_path / "d", 5))
    live = PoolDirectory(shared / name(6), disposable=True, runtime_dir=tmp_path)
    (live.path / LINK_NAME).unlink()
    (live.path / LINK_NAME).symlink_to("/no/such/directory")
    strange = shared / name(7)
    strange.mkdir()
    (strange / LINK_NAME).mkdir()
    for letter in "abcd":
        (tmp_path / letter).rmdir()
    assert remove_abandoned(shared, uid=OWN) == [name(5)]
    assert all(path.exists() for path in (unmarked, misnamed, of_another, live.path, strange))
    assert os.path.lexists(link)
    live.release()


def test_i13_one_that_was_left_half_removed_is_removed_by_the_next(shared: Path, tmp_path: Path) -> None:
    path = leave(shared, tmp_path / "gone", 1)
    (tmp_path / "gone").rmdir()
    path.rename(shared / f"{name(1)}.gone-{'0' * 8}")
    assert len(remove_abandoned(shared, uid=OWN)) == 1
    assert list(shared.iterdir()) == []


def test_i13_a_runtime_directory_that_comes_meanwhile_keeps_its_pools(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon makes it after the first look, and before the pool directory is locked."""
    path = leave(shared, tmp_path / "run", 1)
    files = sorted(path.iterdir())
    (tmp_path / "run").rmdir()

    def lock_late(descriptor: int) -> bool:
        (tmp_path / "run").mkdir()
        return lock_exclusively(descriptor)

    monkeypatch.setattr(abandoned_dirs, "lock_exclusively", lock_late)
    assert remove_abandoned(shared, uid=OWN) == []
    assert sorted(path.iterdir()) == files


def test_i13_a_daemon_that_is_just_starting_keeps_its_directory(shared: Path, tmp_path: Path) -> None:
    """Many daemons start while others look: each start ends with its own directory, which exists."""
    faults: list[BaseException] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            remove_abandoned(shared, uid=OWN)

    def begin(number: int) -> None:
        try:
            for _ in range(60):
                runtime_dir = tmp_path / f"run-{number}"
                runtime_dir.mkdir()
                directory = PoolDirectory(shared / name(number), disposable=True, runtime_dir=runtime_dir)
                (directory.path / "named-0.1.pool").touch()
                assert os.readlink(directory.path / LINK_NAME) == str(runtime_dir)  # noqa: PTH115
                with pytest.raises(DirectoryLockedError):
                    PoolDirectory(directory.path, disposable=True)
                directory.release()
                runtime_dir.rmdir()
        except BaseException as error:  # noqa: BLE001 - the test reports it
            faults.append(error)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    starters = [threading.Thread(target=begin, args=(number,)) for number in range(3)]
    for thread in (*lookers, *starters):
        thread.start()
    for thread in starters:
        thread.join()
    done.set()
    for thread in lookers:
        thread.join()
    assert faults == []
