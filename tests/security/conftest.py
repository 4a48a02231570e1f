"""A daemon of its own user, and processes of others: all by number, so that nothing on the host changes.

Root is needed to become somebody else. Without, these tests are skipped; with `CI=true` and root nothing is.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.daemon import Daemon
from support.process import child_environment
from support.users import User, command_as
from support.valkey_server import HOST, ValkeyServer
from support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OWNER = User(61_001, 61_001)
"""The daemon's."""
MEMBER = User(61_002, 61_002, (OWNER.gid,))
"""Of the daemon's group, and listed nowhere."""
LISTED = User(61_003, 61_003, (OWNER.gid,))
"""Listed by its uid."""
TEAM = 61_010
MATE = User(61_004, 61_004, (OWNER.gid, TEAM))
"""Listed by its group."""
STRANGER = User(61_005, 61_005)
"""In no group of the daemon's."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who is not root can become nobody else."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.path.parent == Path(__file__).parent and "reachable_checkout" in getattr(
            item, "fixturenames", ()
        ):
            item.add_marker(pytest.mark.skip(reason="needs root, to run processes of other users"))


@pytest.fixture(scope="session")
def reachable_checkout() -> None:
    """Other users must be able to read this checkout, and run its interpreter."""
    done = subprocess.run(
        command_as(STRANGER, [sys.executable, "-c", "import glidecache.sync, glidecached.server"]),
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


@pytest.fixture(scope="module")
def open_place() -> Iterator[Path]:
    """A directory that everybody may pass through: pytest's own are closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="glidecached-security-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


class OwnedDaemon(Daemon):
    """A daemon of the user `OWNER`, its directories as a service manager makes them."""

    def __init__(self, directory: Path, tables: dict[str, Any]) -> None:
        super().__init__(directory, tables)
        self.user = OWNER
        self.runtime_dir.mkdir()
        for path, mode in ((self.runtime_dir, 0o750), (self.pool_dir, 0o710)):
            os.chown(path, OWNER.uid, OWNER.gid)
            path.chmod(mode)


@pytest.fixture(scope="module")
def daemon(
    open_place: Path, valkey_of_session: ValkeyServer, reachable_checkout: None
) -> Iterator[OwnedDaemon]:
    """In front of the server: an upstream for all, one for a listed user, and caches with lists."""
    del reachable_checkout
    addresses = [f"{HOST}:{valkey_of_session.port}"]
    cache = {"max_cache_kb": 256, "entry_ttl_ms": 0, "enable_metrics": True}
    daemon = OwnedDaemon(
        open_place / "daemon",
        {
            "upstreams": {
                "default": {"addresses": addresses},
                "private": {"addresses": addresses, "database_id": 1, "allow_users": [str(LISTED.uid)]},
            },
            "caches": {
                "common": cache,
                "listed": {**cache, "upstream": "private"},
                "team": {**cache, "allow_groups": [str(TEAM)]},
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
def start_worker(tmp_path: Path, reachable_checkout: None) -> Iterator[Callable[[User], Worker]]:
    """Processes of other users."""
    del reachable_checkout
    made: list[Worker] = []
    numbers = itertools.count()

    def start(user: User) -> Worker:
        worker = Worker(tmp_path / f"worker-{next(numbers)}", user)
        made.append(worker)
        return worker

    yield start
    for worker in made:
        worker.discard()
