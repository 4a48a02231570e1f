"""Pools on the real clock, worker processes that end with their test, and how long the tests may go on.

`GLIDECACHE_STRESS_SECONDS` (default 2) is how long each test that can go on for ever goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from glidecache_shared.pool.store import PoolStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORKER_PATIENCE_S = 60
SHOWN_CHARACTERS = 4_000


class Worker:
    """One worker process and the JSON that it will print."""

    def __init__(self, launcher: Sequence[str], module: str, task: str, arguments: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [*launcher, sys.executable, "-m", module, task, json.dumps(arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self._patience_s = WORKER_PATIENCE_S + arguments.get("seconds", 0) + arguments.get("trials", 0)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def result(self) -> dict[str, Any]:
        """What the worker found; fails the test, with all that the worker said, if it did not end well."""
        said = "hung"
        try:
            output, errors = self._process.communicate(timeout=self._patience_s)
            said = f"ended with {self._process.returncode}"
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            output, errors = self._process.communicate()
        if self._process.returncode != 0:
            pytest.fail(f"the worker {said}; it wrote:\n{output}\n{errors[-SHOWN_CHARACTERS:]}")
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        return found

    def end(self) -> None:
        """Kill the worker and what it forked, whatever it is doing."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


class StartWorker(Protocol):
    """Starts a worker for one task of `stress.workers`, or of another module, under a launcher where one is given."""

    def __call__(
        self, task: str, *, module: str = "stress.workers", launcher: Sequence[str] = (), **arguments: Any
    ) -> Worker: ...


@pytest.fixture
def stress_seconds() -> float:
    return float(os.environ.get("GLIDECACHE_STRESS_SECONDS", "2"))


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    workers: list[Worker] = []

    def start(
        task: str, *, module: str = "stress.workers", launcher: Sequence[str] = (), **arguments: Any
    ) -> Worker:
        workers.append(Worker(launcher, module, task, arguments))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


@pytest.fixture
def pool_directory() -> Iterator[str]:
    shm = Path("/dev/shm")  # noqa: S108  # a private directory with a random name is made in it
    directory = tempfile.mkdtemp(prefix="glidecache-stress-", dir=shm if shm.is_dir() else None)
    yield directory
    shutil.rmtree(directory)


class MakeStore(Protocol):
    """Makes a store on the real clock; what is not given is the usual."""

    def __call__(self, **settings: Any) -> PoolStore: ...


@pytest.fixture
def make_store(pool_directory: str) -> Iterator[MakeStore]:
    stores: list[PoolStore] = []

    def make(**settings: Any) -> PoolStore:
        defaults: dict[str, Any] = {
            "max_cache_kb": 512,
            "entry_ttl_ms": 0,
            "eviction_policy": "LRU",
            "enable_metrics": True,
            "instance_id": 7,
            "grace_ms": 3_600_000,
        }
        store = PoolStore.create(pool_directory, f"stress{len(stores)}", 1, **(defaults | settings))
        stores.append(store)
        return store

    yield make
    try:
        for store in stores:
            store.check_integrity()
            assert store.charged_bytes <= store.max_bytes
    finally:
        for store in stores:
            store.close()
