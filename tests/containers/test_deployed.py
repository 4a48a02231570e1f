"""The files of deploy/ do what they say: their containers are made, with their users and volumes, and show a hit."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from support.contained_daemon import POOL_DIR, RUNTIME_DIR
from support.deploy_files import (
    MANIFESTS,
    Contained,
    ContainedService,
    Deployment,
    deployment,
    image,
    pods,
)
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.valkey_server import ValkeyServer

DAEMONSET, SIDECAR = MANIFESTS


@pytest.fixture
def deployed(server: ValkeyServer) -> Iterator[Deployment]:
    with deployment(server.log_path.parent) as made:
        yield made


def serve(contained: Contained, log_path: Path) -> ContainedService:
    """Start a daemon's container, and wait until the image's own health check passes in one like it."""
    service = ContainedService(log_path, contained)
    service.start()
    probe = image("glidecached").healthcheck
    wait_until(
        lambda: not service.running or contained.execute(probe).returncode == 0, "the daemon is healthy", 20
    )
    assert service.running, service.log_text()
    return service


def looks(done: Any) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_a_hit_and_a_warm_successor(daemon: Contained, application: Contained, tmp_path: Path) -> None:
    """Run the application beside the daemon, replace the daemon, and run it once more."""
    service = serve(daemon, tmp_path / "first.log")
    try:
        found = looks(application.run("--once"))
        assert [look["outcome"] for look in found] == ["miss", "hit"]
        assert [look["value"] for look in found] == ["hello", "hello"]
        assert found[1]["entries"] == 1
        assert service.terminate() == 0, service.log_text()
        service = serve(daemon, tmp_path / "second.log")
        found = looks(application.run("--once"))
        assert [look["outcome"] for look in found] == ["miss", "hit"]
        assert found[1]["entries"] == 2, "the entry of before the upgrade is still there"
    finally:
        service.kill()


def test_compose(deployed: Deployment, tmp_path: Path) -> None:
    daemon, application = map(deployed.compose_service, ("glidecached", "application"))
    check_a_hit_and_a_warm_successor(daemon, application, tmp_path)


def test_a_daemonset(deployed: Deployment, tmp_path: Path) -> None:
    directories = deployed.pod_container(DAEMONSET, "glidecached", "directories")
    for _ in range(2):  # the second time with what the first has left
        done = directories.run()
        assert done.returncode == 0, done.stderr
    daemon = deployed.pod_container(DAEMONSET, "glidecached", "glidecached")
    application = deployed.pod_container(DAEMONSET, "application", "application")
    check_a_hit_and_a_warm_successor(daemon, application, tmp_path)


def test_a_sidecar(deployed: Deployment, tmp_path: Path) -> None:
    names = [each["name"] for each in pods(SIDECAR)["application"]["initContainers"]]
    assert names == ["directories", "glidecached"], "in this order"
    done = deployed.pod_container(SIDECAR, "application", "directories").run()
    assert done.returncode == 0, done.stderr
    daemon, application = (
        deployed.pod_container(SIDECAR, "application", name) for name in ("glidecached", "application")
    )
    check_a_hit_and_a_warm_successor(daemon, application, tmp_path)


def test_an_empty_dir_itself_is_not_trusted(deployed: Deployment) -> None:
    """Why the sidecar's manifest mounts directories of it: all containers of a pod may write it."""
    deployed.pod_container(SIDECAR, "application", "directories").run()
    shared = str(deployed.directories["shared"])
    daemon = deployed.pod_container(SIDECAR, "application", "glidecached")
    for place in (RUNTIME_DIR, POOL_DIR):
        box = dataclasses.replace(daemon.box, binds={**daemon.box.binds, place: shared})
        done = Contained(box=box, command=daemon.command).run()
        assert done.returncode == 1
        assert "can be written by" in done.stderr or "belongs to uid 0" in done.stderr, done.stderr
