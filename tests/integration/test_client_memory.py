"""The daemon's memory for clients is bounded, for each abuse alone and for all at once; others are served (I8)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
import pytest

from glidecache_shared import protocol
from support import abusers
from support.abusers import ABUSERS, MB
from support.process import child_environment
from support.users import User, command_as
from support.valkey_server import HOST
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

BUDGET_MB = 64
"""A budget so small that each abuser alone reaches it."""

UNFINISHED_MB, LONG_MB, HALF_REPLY_MB = 50, 20, 40
"""Arrived bytes of the longest message, the length of complete ones, and arrived bytes of the longest reply."""

OVERSIZED_MB = {
    "unfinished": UNFINISHED_MB,
    "queued": LONG_MB,
    "echoed": LONG_MB,
    "long_replies": LONG_MB,
    "half_replies": HALF_REPLY_MB,
    "given_up_replies": HALF_REPLY_MB,
}
"""The size in the lane beside the budget; twice, because a message's bytes and its values exist together."""

SLACK_MB = 24
"""Room for the allocator and the interpreter: long strings grow by doubling, and pages are given back late."""

VICTIM_PATIENCE_S = 2.0
STRANGER = User(61_205, 61_205)

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        os.environ.get("GLIDECACHED_SANITIZED") == "1", reason="sanitizers change what memory is needed"
    ),
]


class Peak:
    """The daemon's largest resident size within the context, in MB above the size at its beginning."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._begin = self._most = self._now()

    @property
    def growth_mb(self) -> float:
        return (self._most - self._begin) / MB

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self._most = max(self._most, self._now())

    def _now(self) -> int:
        return int(self._process.memory_info().rss)


@pytest.fixture
def bounded_daemon(start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer) -> Daemon:
    own_valkey.admin.set("big", bytes(4 * MB))
    own_valkey.admin.rpush("long list", bytes(20 * MB))
    return start_daemon(
        daemon={"max_client_memory_mb": BUDGET_MB},
        upstreams={"default": {"addresses": [f"{HOST}:{own_valkey.port}"]}},
    )


@pytest.fixture
def abuse(bounded_daemon: Daemon, own_valkey: ValkeyServer) -> Iterator[Callable[..., None]]:
    """Start abusers, each in a process of its own, and wait until they are ready."""
    processes: list[subprocess.Popen[str]] = []

    def start(*names: str, user: User | None = None) -> None:
        begun = []
        for name in names:
            command = [sys.executable, str(Path(abusers.__file__)), name]
            command += [str(bounded_daemon.runtime_dir), str(own_valkey.port)]
            begun.append(
                subprocess.Popen(
                    command_as(user, command), stdout=subprocess.PIPE, env=child_environment(), text=True
                )
            )
        processes.extend(begun)
        for process in begun:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")

    yield start
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def victim(daemon: Daemon) -> Iterator[list[float]]:
    """Send small requests on another connection meanwhile, and once after it; yield the time of each."""
    took: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        with WireClient(daemon.runtime_dir) as wire:
            wire.hello()
            over = False
            while not over:
                over = ended.wait(0.01)
                began = time.monotonic()
                wire.request(protocol.PING, timeout_ms=20_000)
                took.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took
    finally:
        ended.set()
        thread.join()


def assert_bounded(peak: Peak, took: list[float], *, oversized_mb: int) -> None:
    assert peak.growth_mb <= BUDGET_MB + 2 * oversized_mb + SLACK_MB
    assert took
    assert max(took) <= VICTIM_PATIENCE_S


@pytest.mark.parametrize("name", ABUSERS)
def test_i8_each_way_to_make_the_daemon_hold_memory_is_bounded(
    bounded_daemon: Daemon, abuse: Callable[..., None], name: str
) -> None:
    with victim(bounded_daemon) as took, Peak(bounded_daemon.pid) as peak:
        abuse(name)
    # One message has the lane; of an unfinished one, the bytes that came count.
    assert_bounded(peak, took, oversized_mb=OVERSIZED_MB.get(name, 0))
    assert "Traceback" not in bounded_daemon.log_text()


@pytest.mark.parametrize("name", ["queued", "queued_small"])
def test_i8_requests_that_a_stopped_server_does_not_take_are_bounded(
    bounded_daemon: Daemon, own_valkey: ValkeyServer, abuse: Callable[..., None], name: str
) -> None:
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        with victim(bounded_daemon) as took, Peak(bounded_daemon.pid) as peak:
            # A client that connects lazily can have a session without the server.
            abuse(name)
        assert_bounded(peak, took, oversized_mb=LONG_MB)
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)


@pytest.mark.parametrize("user", [None, STRANGER], ids=["same user", "another user"])
def test_i8_all_ways_at_once_are_bounded_together(
    bounded_daemon: Daemon, abuse: Callable[..., None], user: User | None
) -> None:
    if user is not None:
        if os.geteuid() != 0:
            pytest.skip("needs root, to run processes of other users")
        open_to(bounded_daemon, user)
    with victim(bounded_daemon) as took, Peak(bounded_daemon.pid) as peak:
        abuse(*ABUSERS, user=user)
    # One lane is for clients' messages, another for servers' replies.
    assert_bounded(peak, took, oversized_mb=UNFINISHED_MB + HALF_REPLY_MB)
    assert bounded_daemon.stats()["daemon"]["client_memory_bytes"] <= BUDGET_MB * MB
    assert "Traceback" not in bounded_daemon.log_text()


def open_to(daemon: Daemon, user: User) -> None:
    """Let the user reach the daemon's socket."""
    socket_path = daemon.runtime_dir / "glidecached.sock"
    for path in (socket_path, daemon.runtime_dir):
        os.chown(path, -1, user.gid)
    daemon.runtime_dir.chmod(0o750)
    for parent in daemon.runtime_dir.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
