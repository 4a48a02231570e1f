"""Users and processes beside each other: when one uses something up, another still gets some (isolation I9)."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import RequestError
from glidecache_shared import protocol
from security.conftest import MEMBER, OWNER, OwnedDaemon
from support import hogs
from support.process import child_environment
from support.users import User, command_as
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.valkey_server import ValkeyServer
    from support.workers import Worker

    StartWorker = Callable[[User], Worker]

MOST = 64
"""The bound on connections, sessions, and dedicated connections."""

NUMBERS = itertools.count()
OTHER_MEMBER = User(61_006, 61_006, (OWNER.gid,))


@pytest.fixture
def small_daemon(
    open_place: Path,
    valkey_of_session: ValkeyServer,
    reachable_checkout: None,
) -> Iterator[OwnedDaemon]:
    """Start a daemon that a few clients can fill."""
    del reachable_checkout
    daemon = OwnedDaemon(
        open_place / f"small-{next(NUMBERS)}",
        {
            "daemon": {"max_connections": MOST, "max_sessions": MOST, "max_client_memory_mb": 16},
            "upstreams": {
                "default": {
                    "addresses": [f"{HOST}:{valkey_of_session.port}"],
                    "max_blocking_connections": MOST,
                }
            },
        },
    )
    daemon.start()
    yield daemon
    try:
        assert "Traceback" not in daemon.log_text()
        daemon.stop()
    finally:
        daemon.discard()


@pytest.fixture
def start_hog(small_daemon: OwnedDaemon) -> Iterator[Callable[..., int]]:
    """Have a user's process take all it can get of something; return the number."""
    processes: list[subprocess.Popen[str]] = []

    def start(what: str, user: User) -> int:
        command = [sys.executable, str(Path(hogs.__file__)), what, str(small_daemon.runtime_dir)]
        process = subprocess.Popen(
            command_as(user, command), stdout=subprocess.PIPE, env=child_environment(), text=True
        )
        processes.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.wait()
        with contextlib.suppress(AttributeError):
            process.stdout.close()  # type: ignore[union-attr]


def connect(worker: Worker, daemon: OwnedDaemon, **more: Any) -> None:
    more = {"upstream": "default", "fallback": "error", "request_timeout": 5_000, **more}
    worker.connect("blocking", runtime_dir=str(daemon.runtime_dir), **more)


@pytest.mark.parametrize("what", hogs.HOGS)
def test_i9_what_one_user_takes_leaves_enough_for_another(
    small_daemon: OwnedDaemon, start_hog: Callable[..., int], start_worker: StartWorker, what: str
) -> None:
    taken = [start_hog(what, MEMBER) for _ in range(3)]
    if what != "sessions":
        assert 0 < sum(taken) <= MOST * 3 // 4
    honest = start_worker(OTHER_MEMBER)
    connect(honest, small_daemon)
    honest.call("set", "k", "v")
    assert honest.call("get", "k") == b"v"
    assert honest.call("blpop", ["nothing"], 0.01) is None


@pytest.mark.parametrize("what", hogs.HOGS)
def test_i9_what_one_process_takes_leaves_enough_for_another_of_the_daemons_own_user(
    small_daemon: OwnedDaemon, start_hog: Callable[..., int], start_worker: StartWorker, what: str
) -> None:
    taken = start_hog(what, OWNER)
    if what != "sessions":
        assert MOST // 4 <= taken <= MOST * 3 // 4
    honest = start_worker(OWNER)
    connect(honest, small_daemon)
    honest.call("set", "k", "v")
    assert honest.call("blpop", ["nothing"], 0.01) is None


def test_i9_exhaustion_is_a_request_error_that_says_what_is_full_and_for_whom(
    small_daemon: OwnedDaemon, start_hog: Callable[..., int], start_worker: StartWorker
) -> None:
    while start_hog("connections", MEMBER):
        pass
    more = start_worker(MEMBER)
    with pytest.raises(RequestError, match=rf"connections are full for .*uid {MEMBER.uid}.*max_connections"):
        connect(more, small_daemon)
    assert small_daemon.stats()["daemon"]["refused"]["busy"] >= 1


def test_i9_sessions_push_out_only_their_own_users(
    small_daemon: OwnedDaemon, start_hog: Callable[..., int]
) -> None:
    with hogs.RawClient(small_daemon.runtime_dir) as first:
        session = first.attach()
        start_hog("sessions", MEMBER)
        start_hog("sessions", OTHER_MEMBER)
        assert first.request(protocol.COMMAND, session, [b"PING"]) in {b"PONG", "PONG"}


def test_i9_nothing_is_left_over_when_the_greedy_ones_have_gone(
    small_daemon: OwnedDaemon, start_hog: Callable[..., int]
) -> None:
    first = start_hog("connections", MEMBER)
    with hogs.RawClient(small_daemon.runtime_dir):
        assert first >= 1
    before = small_daemon.stats()["daemon"]["connections"]
    assert before >= first
