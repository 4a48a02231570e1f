"""The previous daemon's pool directory, where it was another one: its pools end, and no other daemon's."""

from __future__ import annotations

import fcntl
import logging
import os
from typing import TYPE_CHECKING

import pytest

from glidecached.pools import previous_dir
from glidecached.pools.pool_dir import PoolDirectory
from glidecached.pools.previous_dir import end_previous, record
from glidecached.process.runtime_lock import POOL_DIR_LINK, OwnedRuntimeDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Place:
    """A runtime directory, and two directories for pools; `default` is what the first daemon would have chosen."""

    def __init__(self, root: Path) -> None:
        self.runtime_dir, self.default, self.old, self.new = (
            root / name for name in ("run", "default", "old", "new")
        )
        for path in (self.runtime_dir, self.default, self.old, self.new):
            path.mkdir(mode=0o710)

    def fill(self, directory: Path) -> list[Path]:
        """Leave what a daemon leaves, and a file of someone else."""
        names = [f"named-{'0' * 24}{suffix}" for suffix in (".7.pool", ".7.board", ".lease")]
        for name in (*names, "notes.txt"):
            (directory / name).write_bytes(bytes(4096))
        return [directory / name for name in names]

    def recorded(self) -> Path:
        return (self.runtime_dir / POOL_DIR_LINK).readlink()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.setattr(previous_dir, "default_pool_dir", lambda _: made.default)
    yield made
    assert not list(made.runtime_dir.glob("*.new"))


def test_c25_the_pools_of_another_directory_end_and_the_own_stay(place: Place) -> None:
    own, old, default = (place.fill(each) for each in (place.new, place.old, place.default))
    record(place.runtime_dir, place.old)
    end_previous(place.runtime_dir, place.new)
    assert all(path.exists() for path in own)
    assert not any(path.exists() for path in (*old, *default))
    assert (place.old / "notes.txt").exists()
    assert place.recorded() == place.new
    end_previous(place.runtime_dir, place.new)
    assert all(path.exists() for path in own), "the same directory under the next daemon"


def test_c25_the_same_directory_by_another_path_is_the_same(place: Place, tmp_path: Path) -> None:
    own = place.fill(place.new)
    (tmp_path / "way").symlink_to(tmp_path)
    record(place.runtime_dir, tmp_path / "way" / "new")
    end_previous(place.runtime_dir, place.new)
    assert all(path.exists() for path in own)


def test_the_default_directory_is_removed_when_it_is_empty(place: Place) -> None:
    PoolDirectory(place.default, disposable=False, runtime_dir=place.runtime_dir).release()
    end_previous(place.runtime_dir, place.new)
    assert not place.default.exists()
    assert place.old.exists()


def test_another_daemons_directory_is_left_alone(place: Place) -> None:
    theirs = place.fill(place.old)
    record(place.runtime_dir, place.old)
    descriptor = os.open(place.old, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        end_previous(place.runtime_dir, place.new)
    finally:
        os.close(descriptor)
    assert all(path.exists() for path in theirs)
    assert place.recorded() == place.new


def test_a_record_that_leads_nowhere_is_replaced(place: Place) -> None:
    for target in ("/nowhere/at/all", "relative", str(place.runtime_dir / POOL_DIR_LINK)):
        (place.runtime_dir / POOL_DIR_LINK).unlink(missing_ok=True)
        (place.runtime_dir / POOL_DIR_LINK).symlink_to(target)
        end_previous(place.runtime_dir, place.new)
        assert place.recorded() == place.new


def test_what_others_can_write_is_not_touched_and_said(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Another user could have put a link to files elsewhere there."""
    theirs = place.fill(place.old)
    place.old.chmod(0o777)
    record(place.runtime_dir, place.old)
    with caplog.at_level(logging.WARNING):
        end_previous(place.runtime_dir, place.new)
    assert all(path.exists() for path in theirs)
    (line,) = caplog.records
    assert "forgotten entries may be hit there until the grace period ends" in line.getMessage()
    assert line.__dict__["path"] == str(place.old)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_another_users_record_is_not_followed(place: Place) -> None:
    theirs = place.fill(place.old)
    record(place.runtime_dir, place.old)
    os.lchown(place.runtime_dir / POOL_DIR_LINK, 65_534, 65_534)
    end_previous(place.runtime_dir, place.new)
    assert all(path.exists() for path in theirs)


def test_a_runtime_directory_that_was_made_goes_with_its_record(place: Place, tmp_path: Path) -> None:
    made = OwnedRuntimeDir(str(tmp_path / "made"))
    record(made.path, place.new)
    made.release()
    assert not made.path.exists()
    found = OwnedRuntimeDir(str(place.runtime_dir))
    record(found.path, place.new)
    found.release()
    assert place.recorded() == place.new
