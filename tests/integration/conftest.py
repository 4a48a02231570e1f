"""Fixtures of the tests that run against real daemons and real Valkey servers.

One server and one daemon serve most tests: each test gets the server empty and makes pools of its own.
A test that kills, stops or configures one of them starts its own with `start_valkey` or `start_daemon`.
"""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import NodeAddress
from support.caches import new_cache
from support.clients import KINDS
from support.cluster import Cluster
from support.connector import Connector
from support.daemon import Daemon
from support.valkey_server import HOST, LIMITED_CLIENT_COMMANDS, ValkeyServer
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from glidecache import ClientSideCache


@pytest.fixture(scope="session")
def restricted_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A server that offers no more of `CLIENT` than the smallest of the managed ones (contract C16)."""
    server = ValkeyServer(tmp_path_factory.mktemp("restricted"), LIMITED_CLIENT_COMMANDS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The tests of the contract that use the common upstream and daemon run with each kind of upstream."""
    of_contract = metafunc.definition.path.name.startswith("test_contract_")
    if (
        of_contract
        and "upstream_kind" in metafunc.fixturenames
        and "start_daemon" not in metafunc.fixturenames
    ):
        metafunc.parametrize("upstream_kind", ["standalone", "restricted", "cluster"])


@pytest.fixture
def upstream_kind() -> str:
    """What the common upstream is."""
    return "standalone"


@pytest.fixture
def mode(upstream_kind: str) -> str:
    """What the clients made by `connect` are for."""
    return "cluster" if upstream_kind == "cluster" else "standalone"


@pytest.fixture
def valkey(mode: str, upstream_kind: str, request: pytest.FixtureRequest) -> ValkeyServer | Cluster:
    """The common server or cluster, empty, its command counts at 0."""
    fixture = {"standalone": "valkey_of_session", "restricted": "restricted_of_session"}.get(
        upstream_kind, ""
    )
    upstream: ValkeyServer | Cluster = request.getfixturevalue(
        "cluster_of_session" if mode == "cluster" else fixture
    )
    upstream.reset()
    return upstream


class DaemonOfSession:
    """The common daemon, replaced when a test has ended it."""

    def __init__(self, directory: Path, tables: dict[str, Any]) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._tables = tables
        self._daemon: Daemon | None = None

    def running(self) -> Daemon:
        """The daemon, started if there is none."""
        if self._daemon is None or not self._daemon.running:
            self.discard()
            self._daemon = Daemon(self._directory / str(next(self._numbers)), self._tables)
            self._daemon.start()
        return self._daemon

    def discard(self) -> None:
        if self._daemon is not None:
            self._daemon.discard()


def common_tables(mode: str, port: int) -> dict[str, Any]:
    """The configuration of the common daemon of a mode."""
    upstream = {"mode": mode, "addresses": [f"{HOST}:{port}"]}
    return {
        "upstreams": {"default": upstream, "database-one": {**upstream, "database_id": 1}},
        "caches": {
            "configured": {
                "upstream": "default",
                "max_cache_kb": 64,
                "entry_ttl_ms": 0,
                "eviction_policy": "LRU",
                "enable_metrics": True,
            }
        },
    }


@pytest.fixture(scope="session")
def daemons_of_session() -> Iterator[dict[str, DaemonOfSession]]:
    """The common daemons by what is behind them; each is started when it is first needed."""
    holders: dict[str, DaemonOfSession] = {}
    yield holders
    for holder in holders.values():
        holder.discard()


@pytest.fixture
def daemon(
    daemons_of_session: dict[str, DaemonOfSession],
    mode: str,
    valkey: ValkeyServer | Cluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Daemon]:
    """The common daemon, in front of the common server; it must live through every test, without a traceback."""
    behind = f"{mode}-{valkey.port}"
    if behind not in daemons_of_session:
        directory = tmp_path_factory.mktemp(f"daemon-{mode}")
        daemons_of_session[behind] = DaemonOfSession(directory, common_tables(mode, valkey.port))
    daemon = daemons_of_session[behind].running()
    seen = len(daemon.log_text())
    yield daemon
    log = daemon.log_text()[seen:]
    assert daemon.running, f"the daemon ended with status {daemon.process.returncode}:\n{log}"
    assert "Traceback" not in log, log


@pytest.fixture
def start_valkey(tmp_path: Path) -> Iterator[Callable[..., ValkeyServer]]:
    """Start a server of the test's own; the arguments are lines of its configuration."""
    started: list[ValkeyServer] = []

    def start(*directives: str) -> ValkeyServer:
        server = ValkeyServer(tmp_path / f"valkey-{len(started)}", *directives)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start a daemon of the test's own; the keyword arguments are the tables of its configuration file."""
    made: list[Daemon] = []

    def start(*arguments: str, launch_only: bool = False, **tables: Any) -> Daemon:
        daemon = Daemon(tmp_path / f"daemon-{len(made)}", tables)
        made.append(daemon)
        if launch_only:
            daemon.launch(*arguments)
        else:
            daemon.start(*arguments)
        return daemon

    yield start
    for daemon in made:
        daemon.discard()


@pytest.fixture
def own_valkey(start_valkey: Callable[..., ValkeyServer]) -> ValkeyServer:
    """A server that this test may stop, kill and configure."""
    return start_valkey()


@pytest.fixture
def own_daemon(start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer) -> Daemon:
    """A daemon that this test may stop and kill, in front of `own_valkey`."""
    return start_daemon(upstreams={"default": {"addresses": [f"{HOST}:{own_valkey.port}"]}})


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the two clients the test runs with: each contract test runs with both."""
    value: str = request.param
    return value


@pytest.fixture
def connect(kind: str, mode: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connector]:
    """Make clients: `connect(cache)`, or with more of the configuration's keywords."""

    def common() -> dict[str, Any]:
        daemon: Daemon = request.getfixturevalue("daemon")
        server: ValkeyServer | Cluster = request.getfixturevalue("valkey")
        return {
            "cluster": mode == "cluster",
            "runtime_dir": str(daemon.runtime_dir),
            "addresses": [NodeAddress(HOST, server.port)],
        }

    connector = Connector(kind, common, tmp_path)
    yield connector
    connector.discard()


@pytest.fixture
def wire(daemon: Daemon) -> Iterator[WireClient]:
    """A client that speaks the protocol by hand, at the common daemon."""
    with WireClient(daemon.runtime_dir) as client:
        yield client


@pytest.fixture
def wires(own_daemon: Daemon) -> Iterator[list[WireClient]]:
    """Three clients that speak the protocol by hand: what they send is accepted in the order of the calls."""
    clients = [WireClient(own_daemon.runtime_dir) for _ in range(3)]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture
def cache() -> ClientSideCache:
    """An unnamed cache with room for everything, no expiry, and metrics."""
    return new_cache()


@pytest.fixture
def unique_name() -> str:
    """A cache name that no other test uses."""
    return f"cache-{uuid.uuid4().hex[:12]}"
