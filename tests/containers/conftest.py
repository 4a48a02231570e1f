"""A daemon in one container, workers in others; what they share is bound into both, as volumes are.

Root makes the containers. Without root the tests are skipped; with `CI=true` and root nothing is.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from support.clients import KINDS
from support.contained_daemon import SERVER_DIR, ContainedDaemon, Volumes
from support.container import Box, why_no_container
from support.valkey_server import ValkeyServer
from support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAEMON_ID = 46_379
"""The uid and the gid of the image's user."""
APPLICATION_ID = 61_030
"""Of an application's image."""
FIRST_ID = 300_000
"""The host's id for root of a rootless engine's containers."""
OTHER_FIRST_ID = 400_000
"""The same, of another user's engine."""

CACHE = {"max_cache_kb": 256, "entry_ttl_ms": 0, "enable_metrics": True}


class Site(NamedTuple):
    """A server, and a daemon in a container in front of it."""

    server: ValkeyServer
    volumes: Volumes
    daemon: ContainedDaemon


@pytest.fixture(scope="session")
def _containers() -> None:
    reason = why_no_container()
    if reason is None:
        return
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, _containers: None) -> Iterator[ValkeyServer]:
    """A server that containers without a network reach: by a socket in the directory that they mount."""
    directory = tmp_path_factory.mktemp("server")
    server = ValkeyServer(directory, f"unixsocket {directory}/valkey.sock", "unixsocketperm 777")
    server.start()
    directory.chmod(0o755)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def start_site(
    server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Start a daemon's container on volumes of its own."""
    made: list[Site] = []

    def start(**box: Any) -> Site:
        volumes = Volumes(DAEMON_ID, DAEMON_ID, box.get("first_id") or 0)
        daemon = make_daemon(server, volumes, tmp_path_factory.mktemp("daemon"), **box)
        made.append(Site(server, volumes, daemon))
        daemon.start()
        return made[-1]

    yield start
    for site in made:
        site.daemon.kill()
        site.volumes.discard()


def make_daemon(server: ValkeyServer, volumes: Volumes, directory: Any, **box: Any) -> ContainedDaemon:
    """Make a daemon's container, not started."""
    binds = {f"{SERVER_DIR}:ro": str(server.log_path.parent)}
    tables = {
        "daemon": {"pool_dir": "/dev/shm/glidecached-main", "log_level": "debug"},  # noqa: S108
        "upstreams": {"default": {"addresses": [f"unix:{SERVER_DIR}/valkey.sock"]}},
        "caches": {"catalog": CACHE},
    }
    whole = Box(uid=DAEMON_ID, gid=DAEMON_ID, binds=binds, read_only=True)
    return ContainedDaemon(directory / "glidecached.log", volumes, dataclasses.replace(whole, **box), tables)


@pytest.fixture(scope="module")
def site(start_site: Callable[..., Site]) -> Site:
    """The one that most tests use: its root is read-only."""
    return start_site()


@pytest.fixture
def start_worker(tmp_path: Any) -> Iterator[Callable[..., Worker]]:
    """Workers in containers of their own; by default of an application's uid, in the daemon's group."""
    made: list[Worker] = []
    numbers = itertools.count()

    def start(volumes: Volumes, **box: Any) -> Worker:
        worker = Worker(tmp_path / f"worker-{next(numbers)}.log", box=worker_box(volumes, **box))
        made.append(worker)
        return worker

    yield start
    for worker in made:
        worker.discard()


def worker_box(volumes: Volumes, **box: Any) -> Box:
    """A worker's container."""
    whole = Box(
        uid=APPLICATION_ID, gid=APPLICATION_ID, groups=(DAEMON_ID,), binds=volumes.binds, read_only=True
    )
    return dataclasses.replace(whole, **box)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind
