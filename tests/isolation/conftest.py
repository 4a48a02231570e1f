"""Fixtures of the tests of isolation: servers that may be abused, daemons beside them, and clients of both kinds."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.clients import KINDS, AnyClient, at, close_all, open_client
from support.cluster import Cluster
from support.daemon import Daemon
from support.members import MEMBER
from support.process import child_environment
from support.users import command_as
from support.valkey_server import HOST, ValkeyServer
from support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.users import User

PATIENCE_MS = 5_000
BUSY_AFTER_MS = 200
ABUSED = ("enable-debug-command yes", f"busy-reply-threshold {BUSY_AFTER_MS}")
"""Settings of a server that answers `DEBUG`, and soon says that a script runs for too long."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture(scope="module")
def abused_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """Start one server for the tests of a module."""
    server = ValkeyServer(tmp_path_factory.mktemp("abused"), *ABUSED)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def abused_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start one cluster for the tests of a module."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), *ABUSED)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def server(abused_valkey: ValkeyServer) -> ValkeyServer:
    """Return that server, empty."""
    abused_valkey.reset()
    return abused_valkey


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start daemons of the test's own; they must neither end nor fail inside."""
    made: list[Daemon] = []

    def start(**tables: Any) -> Daemon:
        daemon = Daemon(tmp_path / f"daemon-{len(made)}", {"daemon": {"log_level": "info"}, **tables})
        made.append(daemon)
        daemon.start()
        return daemon

    yield start
    logs = [daemon.log_text() for daemon in made]
    for daemon in made:
        daemon.discard()
    for log in logs:
        assert "Traceback" not in log, log[-6_000:]
        assert "failed inside" not in log, log[-6_000:]


@pytest.fixture
def daemon(server: ValkeyServer, start_daemon: Callable[..., Daemon]) -> Daemon:
    """Start a daemon in front of the server."""
    return start_daemon(upstreams={"default": {"addresses": [f"{HOST}:{server.port}"]}})


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., AnyClient]]:
    """Make clients: `connect("blocking", request_timeout=1_000)`; of the server, unless others are given."""
    made: list[AnyClient] = []

    def create(kind: str, *servers: Any, daemon: Daemon | None = None, **configuration: Any) -> AnyClient:
        daemon = daemon or request.getfixturevalue("daemon")
        servers = servers or (request.getfixturevalue("server"),)
        configuration = {"request_timeout": PATIENCE_MS, "fallback": "error", **configuration}
        client = open_client(kind, **at(daemon, *servers, **configuration))
        made.append(client)
        return client

    yield create
    close_all(made)


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start processes of this user, or of another."""
    made: list[Worker] = []
    numbers = itertools.count()

    def start(user: User | None = None) -> Worker:
        worker = Worker(tmp_path / f"worker-{next(numbers)}", user)
        made.append(worker)
        return worker

    yield start
    for worker in made:
        worker.discard()


@pytest.fixture(scope="session")
def other_users() -> None:
    """Require root, and a checkout that other users can read."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to run processes of other users")
    done = subprocess.run(
        command_as(MEMBER, [sys.executable, "-c", "import glidecache.sync, glidecached.server"]),
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"other users cannot run {sys.executable} on this checkout:\n{done.stderr}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
