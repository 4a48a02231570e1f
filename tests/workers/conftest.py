"""A Valkey and a daemon for all these tests, and servers that end with their test.

When all tests are done no unnamed pool may be left: it ends with its last holder.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Protocol

import pytest

from glidecache_shared import protocol
from support.daemon import Daemon
from support.valkey_server import HOST, ValkeyServer
from support.waiting import wait_until
from support.wire import WireClient
from workers.holding import unnamed_pools
from workers.serving import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    class StartServer(Protocol):
        """Starts a server: `command` makes its arguments from the path of its socket."""

        def __call__(self, command: Callable[[Path], Sequence[str]], **environment: str) -> Server: ...


CATALOG = "catalog"
"""The named cache of the applications."""


@pytest.fixture(scope="session")
def daemon_of_session(
    valkey_of_session: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    upstream = {"addresses": [f"{HOST}:{valkey_of_session.port}"]}
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), {"upstreams": {"default": upstream}})
    daemon.start()
    yield daemon
    try:
        # A pool is looked at some seconds after it was handed out last: too long a wait for each test.
        wait_until(lambda: not unnamed_pools(daemon), "the unnamed pools have ended with their processes")
        daemon.stop()
    finally:
        daemon.discard()


@pytest.fixture
def daemon(daemon_of_session: Daemon, valkey: ValkeyServer) -> Iterator[Daemon]:
    """The daemon, in front of `valkey`, without a named pool."""
    del valkey
    seen = len(daemon_of_session.log_text())
    yield daemon_of_session
    if any(name.startswith("named") for name in daemon_of_session.pool_files()):
        with WireClient(daemon_of_session.runtime_dir) as wire:
            wire.hello()
            wire.request(protocol.DROP, CATALOG)
    assert "Traceback" not in daemon_of_session.log_text()[seen:]


@pytest.fixture
def start_server(daemon: Daemon, tmp_path: Path) -> Iterator[StartServer]:
    """Start servers, and end them with the test."""
    servers: list[Server] = []

    def start(command: Callable[[Path], Sequence[str]], **environment: str) -> Server:
        servers.append(Server(tmp_path / f"server-{uuid.uuid4().hex[:8]}", daemon, command))
        servers[-1].start(**environment)
        return servers[-1]

    yield start
    for server in servers:
        server.discard()
