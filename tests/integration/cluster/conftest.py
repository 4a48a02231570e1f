"""Fixtures of the tests that are about clusters: the common one, and one that may be taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import NodeAddress
from support.cluster import Cluster
from support.connector import Connector
from support.daemon import Daemon
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.wire import WireClient


@pytest.fixture
def mode() -> str:
    return "cluster"


@pytest.fixture
def cluster(valkey: Cluster) -> Cluster:
    """The common cluster, empty."""
    return valkey


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of this module's own, in which nodes may fail: what fails is noticed soon.

    Its nodes go on while another one's slots are nobody's; by default they would all refuse until the fail-over.
    """
    cluster = Cluster(
        tmp_path_factory.mktemp("own-cluster"), "cluster-require-full-coverage no", node_timeout_ms=1_000
    )
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def own_daemon(own_cluster: Cluster, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon in front of `own_cluster`; it must live through the test, without a traceback."""
    own_cluster.revive()
    own_cluster.reset()
    seeds = [node.address for node in own_cluster.nodes]
    daemon = Daemon(tmp_path / "daemon", {"upstreams": {"default": {"mode": "cluster", "addresses": seeds}}})
    daemon.start()
    yield daemon
    log = daemon.log_text()
    daemon.discard()
    assert "Traceback" not in log, log


@pytest.fixture
def connect_own(own_cluster: Cluster, own_daemon: Daemon, tmp_path: Path) -> Iterator[Connector]:
    """Make blocking clients of `own_cluster`."""

    def common() -> dict[str, Any]:
        return {
            "cluster": True,
            "runtime_dir": str(own_daemon.runtime_dir),
            "addresses": [NodeAddress(HOST, node.port) for node in own_cluster.nodes],
        }

    connector = Connector("blocking", common, tmp_path)
    yield connector
    connector.discard()


@pytest.fixture
def session(wire: WireClient) -> int:
    """A session at the common cluster, without a cache, for the protocol by hand."""
    session: int = wire.attach(mode="cluster", upstream="default")["session_id"]
    return session
