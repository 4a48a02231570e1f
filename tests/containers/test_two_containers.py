"""A daemon and its workers in containers: only the runtime directory and the pool directory are shared."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from containers.conftest import (
    APPLICATION_ID,
    DAEMON_ID,
    FIRST_ID,
    OTHER_FIRST_ID,
    Site,
    make_daemon,
)
from glidecache import ClientSideCache, ConfigurationError, DaemonUnavailableError, RequestError
from support import worker_tasks
from support.caches import new_cache
from support.contained_daemon import POOL_DIR, RUNTIME_DIR
from support.container import why_no_clock
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.workers import Worker

    StartWorker = Callable[..., Worker]

PATIENCE_MS = 5_000


def connect(worker: Worker, kind: str, cache: ClientSideCache | None = None, **configuration: Any) -> None:
    """Create the client that an application would: it finds the daemon by itself."""
    cache = cache or ClientSideCache.named("catalog")
    worker.connect(
        kind, client_side_cache=cache, fallback="error", **{"request_timeout": PATIENCE_MS, **configuration}
    )


def refusal(worker: Worker, kind: str, error: type[Exception] = DaemonUnavailableError) -> str:
    """Return the text with which the worker's client cannot be made."""
    with pytest.raises(error) as refused:
        connect(worker, kind, request_timeout=100)
    assert type(refused.value) is error
    return str(refused.value)


@pytest.mark.parametrize(
    "user",
    [
        {"uid": DAEMON_ID, "gid": DAEMON_ID, "groups": ()},
        {},
        {"gid": DAEMON_ID, "groups": ()},
        {"uid": 0, "gid": 0, "groups": ()},
    ],
    ids=["same user", "in the group", "its main group", "root"],
)
def test_a_hit_costs_the_server_nothing(
    site: Site, start_worker: StartWorker, kind: str, user: dict[str, Any]
) -> None:
    server = site.server
    server.reset()
    server.admin.set("k", f"v {kind}")
    worker = start_worker(site.volumes, **user)
    connect(worker, kind, new_cache())
    assert [worker.call("get", "k") for _ in range(3)] == [f"v {kind}".encode()] * 3
    assert server.calls("get") == 1
    assert worker.metrics().hit_rate == pytest.approx(2 / 3)


def test_workers_in_two_containers_share_one_pool(site: Site, start_worker: StartWorker) -> None:
    site.server.reset()
    site.server.admin.set("shared", "v")
    cache = new_cache(name="of both")
    for kind in ("blocking", "asyncio"):
        worker = start_worker(site.volumes)
        connect(worker, kind, cache)
        assert worker.call("get", "shared") == b"v"
    assert site.server.calls("get") == 1


def test_a_read_only_runtime_directory_is_enough_for_workers(
    site: Site, start_worker: StartWorker, kind: str
) -> None:
    worker = start_worker(
        site.volumes,
        binds={f"{RUNTIME_DIR}:ro": str(site.volumes.runtime_dir), POOL_DIR: str(site.volumes.pool_dir)},
    )
    connect(worker, kind)
    assert worker.call("ping") == b"PONG"


def test_without_the_group_the_numbers_and_the_setting_are_told(
    site: Site, start_worker: StartWorker, kind: str
) -> None:
    text = refusal(start_worker(site.volumes, groups=(61_040, 61_041)), kind)
    assert f"uid {APPLICATION_ID}, groups {APPLICATION_ID}, 61040 and 61041" in text
    assert f"may not enter {RUNTIME_DIR} (uid {DAEMON_ID}, gid {DAEMON_ID}, mode 0750)" in text
    assert f"supplementalGroups: [{DAEMON_ID}]" in text
    assert f'group_add: ["{DAEMON_ID}"]' in text


def test_a_refused_socket_is_told_from_one_where_nobody_listens(
    site: Site, start_worker: StartWorker, kind: str
) -> None:
    """The directory is open to all, as an engine or an init container may make it; the socket is not."""
    site.volumes.runtime_dir.chmod(0o755)
    try:
        text = refusal(start_worker(site.volumes, groups=()), kind)
    finally:
        site.volumes.runtime_dir.chmod(0o750)
    assert "not running" not in text
    assert f"(uid {APPLICATION_ID}, group {APPLICATION_ID}) may not connect to {RUNTIME_DIR}/" in text
    assert f"gid {DAEMON_ID}, mode 0770" in text
    assert f"supplementalGroups: [{DAEMON_ID}]" in text


def test_a_runtime_directory_that_is_not_mounted_is_told(
    site: Site, start_worker: StartWorker, kind: str
) -> None:
    worker = start_worker(site.volumes, binds={POOL_DIR: str(site.volumes.pool_dir)})
    text = refusal(worker, kind)
    assert (
        f"glidecached at /tmp/glidecached-{APPLICATION_ID} is not running: this directory does not exist"
        in text
    )
    assert "mount the daemon's runtime directory" in text
    assert RUNTIME_DIR in text


def test_a_runtime_directory_of_ones_own_is_told(site: Site, start_worker: StartWorker, kind: str) -> None:
    binds = {**site.volumes.binds, RUNTIME_DIR: str(site.volumes.empty)}
    text = refusal(start_worker(site.volumes, binds=binds), kind)
    assert f"glidecached at {RUNTIME_DIR} is not running: it has no socket there" in text
    assert "not one of the container's own" in text


def test_a_pool_directory_that_is_not_mounted_is_told_with_its_path(
    site: Site, start_worker: StartWorker, kind: str
) -> None:
    binds = {RUNTIME_DIR: str(site.volumes.runtime_dir)}
    text = refusal_of_pool(start_worker(site.volumes, binds=binds), kind)
    assert f"the daemon has it in {POOL_DIR}, which does not exist here" in text
    assert text.endswith(f"mount that directory, at the same path: {POOL_DIR}")


def test_another_directory_in_the_pools_place_is_told(
    site: Site, start_worker: StartWorker, kind: str
) -> None:
    binds = {**site.volumes.binds, POOL_DIR: str(site.volumes.empty)}
    text = refusal_of_pool(start_worker(site.volumes, binds=binds), kind)
    assert f"{POOL_DIR} exists here and lacks the daemon's file named-" in text
    assert f"mount the daemon's own {POOL_DIR} there" in text


def refusal_of_pool(worker: Worker, kind: str) -> str:
    """Return the text for a pool that may come back: the caller of the daemon's lost files gets the same error."""
    with pytest.raises(RequestError) as refused:
        connect(worker, kind)
    assert "again and again" not in str(refused.value)
    return str(refused.value)


def test_a_read_only_pool_directory_is_told(site: Site, start_worker: StartWorker, kind: str) -> None:
    binds = {RUNTIME_DIR: str(site.volumes.runtime_dir), f"{POOL_DIR}:ro": str(site.volumes.pool_dir)}
    text = refusal(start_worker(site.volumes, binds=binds), kind, ConfigurationError)
    assert f"{POOL_DIR} is mounted read-only here" in text
    assert "readOnly" in text


def test_a_closed_pool_directory_is_told(site: Site, start_worker: StartWorker, kind: str) -> None:
    """Two groups, and the worker has but the socket's."""
    os.chown(site.volumes.pool_dir, DAEMON_ID, 61_042)
    try:
        text = refusal(start_worker(site.volumes), kind, ConfigurationError)
    finally:
        os.chown(site.volumes.pool_dir, DAEMON_ID, DAEMON_ID)
    assert f"may not enter {POOL_DIR} (uid {DAEMON_ID}, gid 61042, mode 0710)" in text
    assert "supplementalGroups: [61042]" in text


def test_another_time_namespace_is_told(site: Site, start_worker: StartWorker, kind: str) -> None:
    reason = why_no_clock()
    if reason is not None:
        pytest.skip(reason)
    text = refusal(start_worker(site.volumes, clock_offset_s=1_000), kind, ConfigurationError)
    assert "of another time namespace" in text
    assert "unshare --time" in text


def test_one_rootless_engines_containers_work_together(
    start_rootless: Site, start_worker: StartWorker, kind: str
) -> None:
    site = start_rootless
    site.server.admin.set("k", "v")
    for user in ({"uid": DAEMON_ID, "gid": DAEMON_ID, "groups": ()}, {}, {"uid": 0, "gid": 0}):
        worker = start_worker(site.volumes, first_id=FIRST_ID, **user)
        connect(worker, kind)
        assert [worker.call("get", "k") for _ in range(2)] == [b"v"] * 2


def test_a_worker_in_another_user_namespace_works_with_the_group_kept(
    start_rootless: Site, start_worker: StartWorker, kind: str
) -> None:
    """It sees the daemon's user, its group and its directories as 65534."""
    site = start_rootless
    site.server.admin.set("k", "v")
    worker = start_worker(
        site.volumes, first_id=OTHER_FIRST_ID, keeps_groups=True, groups=(FIRST_ID + DAEMON_ID,)
    )
    connect(worker, kind)
    assert [worker.call("get", "k") for _ in range(2)] == [b"v"] * 2


def test_a_worker_in_another_user_namespace_without_the_group_is_told(
    start_rootless: Site, start_worker: StartWorker, kind: str
) -> None:
    text = refusal(start_worker(start_rootless.volumes, first_id=OTHER_FIRST_ID, groups=()), kind)
    assert "uid 65534 (not mapped into this user namespace)" in text
    assert "keep-groups" in text
    assert "supplementalGroups" not in text, "no number would help"


@pytest.fixture(scope="module")
def start_rootless(start_site: Callable[..., Site]) -> Site:
    """A daemon in the container of a rootless engine."""
    return start_site(first_id=FIRST_ID)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["upgraded", "killed"])
def test_a_new_daemon_container_continues_warm(
    start_site: Callable[..., Site], start_worker: StartWorker, tmp_path: Path, kind: str, number: int
) -> None:
    """As the first process of its container it hears SIGTERM; what it leaves in the directories is the next one's."""
    site = start_site()
    server = site.server
    server.reset()
    server.admin.set("k", "v")
    worker = start_worker(site.volumes)
    connect(worker, kind)
    assert worker.call("get", "k") == b"v"
    if number == signal.SIGTERM:
        assert site.daemon.terminate() == 0, site.daemon.log_text()
    else:
        site.daemon.kill()
    assert worker.call("get", "k") == b"v", "within the grace"
    successor = make_daemon(server, site.volumes, tmp_path)
    successor.start()
    try:
        assert worker.call("set", "other", "v") == "OK", "attached again"
        assert worker.call("get", "k") == b"v"
        late = start_worker(site.volumes)
        connect(late, kind)
        assert late.call("get", "k") == b"v", "for workers that come later too"
        assert server.calls("get") == 1, "the cache is warm"
    finally:
        successor.kill()


def test_a_killed_container_holds_no_pool(site: Site, start_worker: StartWorker, kind: str) -> None:
    """Leases are locks of the kernel: no process number is compared, so no namespace of them is shared."""
    before = site.volumes.pool_files("pool")
    worker = start_worker(site.volumes)
    connect(worker, kind, new_cache())
    assert len(site.volumes.pool_files("pool")) == len(before) + 1
    worker.kill()
    wait_until(lambda: site.volumes.pool_files("pool") == before, "the unnamed pool is gone")


def test_a_fork_in_a_container_uses_the_pool_too(site: Site, start_worker: StartWorker, kind: str) -> None:
    """The daemon sees no process numbers of other containers: parent and child both have 0 there."""
    site.server.admin.set("forked", "v")
    worker = start_worker(site.volumes)
    connect(worker, kind, new_cache())
    for _ in range(2):
        assert worker.run(worker_tasks.call_in_fork, "get", ["forked"]) == b"v"
        assert worker.call("get", "forked") == b"v"
    assert worker.call("ping") == b"PONG"
