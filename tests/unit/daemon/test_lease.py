"""Leases: holders of any process count, and a lease leaves only when there are none (contract C20)."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glidecache_shared import lease

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "pool.lease")


@pytest.fixture
def daemon(path: str) -> Iterator[int]:
    """The daemon's descriptor of a fresh lease at `path`."""
    descriptor = lease.create(path)
    yield descriptor
    lease.Lease(descriptor).close()


def hold(path: str, daemon: int) -> lease.Lease:
    held = lease.hold(path, lease.inode(daemon))
    assert held is not None
    return held


def test_c20_a_lease_has_holders_from_hold_to_close(path: str, daemon: int) -> None:
    assert not lease.has_holders(daemon)
    first, second = hold(path, daemon), hold(path, daemon)
    assert lease.has_holders(daemon)
    first.close()
    assert lease.has_holders(daemon)
    second.close()
    second.close()
    assert second.closed
    assert not lease.has_holders(daemon)


def test_c20_a_forked_child_holds_after_its_parent_closed(path: str, daemon: int) -> None:
    held = hold(path, daemon)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)  # until the parent has looked
        os._exit(0)
    held.close()
    assert lease.has_holders(daemon)
    os.close(writer)
    os.waitpid(child, 0)
    os.close(reader)
    assert not lease.has_holders(daemon)


def test_c20_a_child_that_closes_leaves_its_parents_hold(path: str, daemon: int) -> None:
    held = hold(path, daemon)
    child = os.fork()
    if child == 0:
        held.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert lease.has_holders(daemon)
    held.close()


def test_a_garbage_collected_lease_holds_no_longer(path: str, daemon: int) -> None:
    held = hold(path, daemon)
    del held
    assert not lease.has_holders(daemon)


def test_a_held_lease_does_not_end(path: str, daemon: int) -> None:
    with hold(path, daemon):
        assert not lease.end(path, daemon)
        assert Path(path).exists()


def test_an_unheld_lease_ends_and_cannot_be_held_any_more(path: str) -> None:
    daemon = lease.create(path)
    inode = lease.inode(daemon)
    assert lease.end(path, daemon)
    assert lease.hold(path, inode) is None


def test_a_lease_that_was_replaced_is_not_held(path: str) -> None:
    first = lease.create(path)
    inode = lease.inode(first)
    # The file lives on while it is open, so its number is not given to the new one.
    Path(path).unlink()
    second = lease.create(path)
    assert lease.hold(path, inode) is None
    assert not lease.has_holders(second)
    for descriptor in (first, second):
        os.close(descriptor)


def test_ending_leaves_a_replacement_at_the_path_alone(path: str) -> None:
    first = lease.create(path)
    Path(path).unlink()
    second = lease.create(path)
    assert lease.end(path, first)
    assert Path(path).exists()
    os.close(second)


def test_holding_waits_for_the_daemons_probe_and_not_for_ever(path: str, daemon: int) -> None:
    import fcntl

    fcntl.flock(daemon, fcntl.LOCK_EX)
    before = time.monotonic()
    assert lease.hold(path, lease.inode(daemon)) is None
    assert time.monotonic() - before < 5
    release = threading.Timer(0.01, fcntl.flock, (daemon, fcntl.LOCK_UN))
    release.start()
    hold(path, daemon).close()
    release.join()


def test_a_lease_is_neither_inherited_by_exec_nor_writable_for_others(path: str, daemon: int) -> None:
    assert not os.get_inheritable(daemon)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o640
    held = hold(path, daemon)
    assert not os.get_inheritable(held._file.number)
    held.close()


def test_a_lease_is_made_only_once(path: str, daemon: int) -> None:
    del daemon
    with pytest.raises(FileExistsError):
        lease.create(path)
