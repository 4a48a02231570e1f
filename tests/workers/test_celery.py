"""Celery's prefork pool: clients of the parent, used by all children and by those that come after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.process import ChildProcess
from support.waiting import wait_until
from workers.celery_settings import celery_app
from workers.holding import zombies_of
from workers.serving import module

if TYPE_CHECKING:
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

CHILDREN = 2
TASKS_OF_A_CHILD = 2
PATIENCE_S = 40


class CeleryWorker(ChildProcess):
    """A worker with its children."""

    def __init__(self, directory: Path, daemon: Daemon) -> None:
        super().__init__(directory / "celery.log")
        options = ("--pool", "prefork", "--concurrency", str(CHILDREN), "--loglevel", "info", "-O", "fair")
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        recycling = ("--max-tasks-per-child", str(TASKS_OF_A_CHILD))
        self._spawn(
            module("celery", "--app", "workers.celery_worker", "worker", *options, *quiet, *recycling),
            GLIDECACHED_RUNTIME_DIR=str(daemon.runtime_dir),
            CELERY_DIRECTORY=str(directory),
            C_FORCE_ROOT="1",
        )


def test_c19_c20_children_share_their_parents_clients(
    daemon: Daemon, valkey: ValkeyServer, tmp_path: Path
) -> None:
    valkey.admin.set("k", "v1")
    app = celery_app(tmp_path)
    worker = CeleryWorker(tmp_path, daemon)

    def meet(cache: str, name: str) -> list[dict[str, Any]]:
        """Have each child read once."""
        meeting = tmp_path / name
        meeting.mkdir()
        sent = [app.send_task("read", (cache, "k", str(meeting), CHILDREN)) for _ in range(CHILDREN)]
        found = [result.get(timeout=PATIENCE_S, interval=0.02) for result in sent]
        assert len({each["pid"] for each in found}) == CHILDREN
        return found

    try:
        assert {each["value"] for each in meet("named", "first")} == {"v1"}
        valkey.admin.set("k", "v2")
        second = meet("named", "second")
        assert {each["value"] for each in second} == {"v1"}
        assert max(each["lookups"] for each in second) == 2 * CHILDREN
        third = meet("unnamed", "third")
        assert {each["pid"] for each in third}.isdisjoint({each["pid"] for each in second}), "new children"
        assert {each["value"] for each in third} == {"v2"}
        assert max(each["lookups"] for each in third) == CHILDREN, "the fork shares the unnamed cache"
        assert valkey.calls("get") == 2, "misses of several children at the same time are one request"
        wait_until(lambda: not zombies_of(worker.pid), "the children before are reaped")
        assert worker.terminate() == 0
    finally:
        if worker.running:
            worker.kill()
    assert "Traceback" not in worker.log_text()
