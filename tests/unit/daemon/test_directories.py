"""The daemon's directories: one owner at a time, nothing of others touched, nothing left behind."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from glidecached.pools.pool_dir import PoolDirectory, PoolDirectoryError, default_pool_dir
from glidecached.process.runtime_lock import LOCK_NAME, DirectoryLock, DirectoryLockedError, OwnedRuntimeDir

if TYPE_CHECKING:
    from pathlib import Path


def test_a_locked_directory_tells_its_owner(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with pytest.raises(
        DirectoryLockedError, match=f"{tmp_path} belongs to another glidecached .pid {os.getpid()}"
    ):
        DirectoryLock(tmp_path)
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []
    DirectoryLock(tmp_path).release()


def test_a_lock_cannot_be_taken_by_others_who_can_read_the_directory(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    assert stat.S_IMODE((tmp_path / LOCK_NAME).stat().st_mode) == 0o600
    lock.release()


def test_a_lock_whose_file_left_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    real = fcntl.flock
    seen: list[int] = []

    def remove_first(descriptor: int, operation: int) -> None:
        if not seen:
            (tmp_path / LOCK_NAME).unlink()
        seen.append(descriptor)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    lock = DirectoryLock(tmp_path)
    assert len(seen) == 2
    assert (tmp_path / LOCK_NAME).exists()
    lock.release()


def test_the_runtime_directory_leaves_if_it_was_made_here(tmp_path: Path) -> None:
    made = OwnedRuntimeDir(str(tmp_path / "made"))
    with pytest.raises(DirectoryLockedError):
        OwnedRuntimeDir(str(tmp_path / "made"))
    made.release()
    assert not (tmp_path / "made").exists()
    (tmp_path / "kept").mkdir()
    OwnedRuntimeDir(str(tmp_path / "kept")).release()
    assert (tmp_path / "kept").exists()


def test_a_killed_daemons_socket_is_removed(tmp_path: Path) -> None:
    stale = tmp_path / "glidecached.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(stale))
    OwnedRuntimeDir(str(tmp_path)).release()
    assert not stale.exists()


def test_what_is_in_a_pool_directory_stays(tmp_path: Path) -> None:
    (tmp_path / "a.1.pool").touch()
    PoolDirectory(tmp_path, disposable=True).release()
    assert [path.name for path in tmp_path.iterdir()] == ["a.1.pool"]


def test_two_daemons_do_not_share_a_pool_directory(tmp_path: Path) -> None:
    (tmp_path / "a.1.pool").touch()
    first = PoolDirectory(tmp_path, disposable=False)
    (tmp_path / "b.1.pool").touch()
    with pytest.raises(DirectoryLockedError, match="another glidecached's"):
        PoolDirectory(tmp_path, disposable=False)
    assert {path.name for path in tmp_path.iterdir()} == {"a.1.pool", "b.1.pool"}
    first.release()


def test_a_pool_directory_is_made_closed_and_leaves(tmp_path: Path) -> None:
    path = tmp_path / "pools"
    directory = PoolDirectory(path, disposable=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o710
    directory.release()
    directory.release()
    assert not path.exists()


def test_a_disposable_pool_directory_leaves_only_when_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "pools").mkdir(mode=0o700)
    directory = PoolDirectory(tmp_path / "pools", disposable=True)
    (tmp_path / "pools" / "note").touch()
    directory.release()
    assert (tmp_path / "pools").exists()


def test_pool_directories_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name, mode in (("open", 0o777), ("shared", 0o770)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    refused = {
        "file": "not a directory",
        "link": "not a directory",
        "open": "written by others than its owner .mode 0777.; set its mode to 0710",
        "shared": "written by others than its owner .mode 0770.",
        "no/parent": "does not exist",
    }
    for name, reason in refused.items():
        with pytest.raises(PoolDirectoryError, match=reason):
            PoolDirectory(tmp_path / name, disposable=True)
    monkeypatch.setattr(os, "geteuid", lambda: 4_242)
    with pytest.raises(PoolDirectoryError, match="belongs to uid"):
        PoolDirectory(tmp_path / "target", disposable=True)


def test_daemons_of_different_runtime_directories_have_different_pool_directories(tmp_path: Path) -> None:
    one, other = default_pool_dir(tmp_path / "one"), default_pool_dir(tmp_path / "other")
    assert one != other
    assert one == default_pool_dir(tmp_path / "one")


def test_a_lock_file_that_is_the_next_owners_stays(tmp_path: Path) -> None:
    """Somebody tidied up the directory of a daemon that runs, and another one has begun there."""
    first = DirectoryLock(tmp_path)
    (tmp_path / LOCK_NAME).unlink()
    second = DirectoryLock(tmp_path)
    first.release()
    with pytest.raises(DirectoryLockedError):
        DirectoryLock(tmp_path)
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_leads_to_another_file_is_refused_and_not_overwritten(tmp_path: Path) -> None:
    """In a directory that others can write, it may be anybody's link to a file of the daemon's."""
    directory, precious = tmp_path / "run", tmp_path / "password"
    directory.mkdir()
    precious.write_text("secret")
    (directory / LOCK_NAME).hardlink_to(precious)
    with pytest.raises(DirectoryLockedError, match="is not this daemon's own file"):
        DirectoryLock(directory)
    assert precious.read_text() == "secret"
    (directory / LOCK_NAME).unlink()
    os.mkfifo(directory / LOCK_NAME)
    with pytest.raises(DirectoryLockedError, match="is not this daemon's own file"):
        DirectoryLock(directory)
