"""Which processes use a pool, as the kernel and the connections tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from glidecache_shared import lease
from glidecached.client_processes import NO_USERS, ClientProcesses, lease_takers
from glidecached.client_session import Sessions

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class NoPool:
    """As much of a pool as a session takes from it."""

    entries = flights = None


def key_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return os.major(status.st_dev) << 20 | os.minor(status.st_dev), status.st_ino


def test_who_takes_a_lease_is_told_until_it_closes(tmp_path: Path) -> None:
    path = tmp_path / "pool.lease"
    os.close(lease.create(str(path)))
    assert key_of(path) not in lease_takers()
    with lease.hold(str(path), path.stat().st_ino) or lease.Lease(-1) as held:
        assert not held.closed
        assert lease_takers()[key_of(path)] == {os.getpid()}
    assert key_of(path) not in lease_takers()


def test_locks_of_which_nothing_is_told_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    locks.write_text(
        "1: FLOCK  ADVISORY  READ 11 <none>:0 0 EOF\n"
        "2: FLOCK  ADVISORY  READ 12 00:1b:77 0 EOF\n"
        "2: -> FLOCK  ADVISORY  WRITE 13 00:1b:77 0 EOF\n"
    )
    monkeypatch.setattr("glidecached.client_processes._LOCKS", locks)
    assert lease_takers() == {(0x1B, 77): {12}}


def test_connected_processes_count_for_the_pool_of_their_session(loop: Any, upstream: Any) -> None:
    sessions = Sessions(loop, max_sessions=10, idle_seconds=60)
    connected = {11, 12}
    attached = ClientProcesses(loop, sessions, lambda: connected)
    pool: Any = NoPool()
    with_pool = sessions.open(1000, upstream, pool, awaits_proof=False)
    without = sessions.open(1000, upstream, None, awaits_proof=False)
    with_pool.processes |= {11, 12, 13}
    without.processes |= {11}
    assert attached.by_pool() == {pool: {11, 12}}
    connected.discard(12)
    assert attached.by_pool() == {pool: {11}}


def test_an_upstreams_users_are_connected_processes_and_their_caches(loop: Any, upstream: Any) -> None:
    sessions = Sessions(loop, max_sessions=10, idle_seconds=60)
    connected = {11, 12}
    attached = ClientProcesses(loop, sessions, lambda: connected)
    for pid, label in ((11, "site"), (12, None), (13, "gone")):
        session = sessions.open(1000, upstream, None, awaits_proof=True)
        session.processes.add(pid)
        session.cache_label = label
    assert attached.users()[1][upstream].stats() == {"processes": 2, "asked_by": ["site"]}
    connected.clear()
    assert attached.users()[1] == {}
    assert NO_USERS.stats() == {"processes": 0, "asked_by": []}


def test_a_session_forgets_the_workers_that_are_gone(loop: Any, upstream: Any) -> None:
    sessions = Sessions(loop, max_sessions=10, idle_seconds=3_600)
    ClientProcesses(loop, sessions, lambda: {7})
    session = sessions.open(1000, upstream, None, awaits_proof=False)
    session.processes |= set(range(1, 1_000))
    loop.pass_time(60_000)
    assert session.processes == {7}
