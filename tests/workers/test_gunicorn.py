"""Gunicorn with each of its workers, the application loaded before the fork and after it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.waiting import wait_until
from workers.holding import Footprint, handles, zombies_of
from workers.serving import module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from workers.conftest import StartServer

WORKERS = 2
THREADS = 8
READS_TOGETHER = THREADS - 1
RECYCLED_AFTER = 12
REQUESTS_OF_STATS = 2
"""Its HELLO and the STATS itself."""


@pytest.fixture(params=["sync", "gthread", "gevent"])
def worker_class(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture(params=[False, True], ids=["loaded_by_workers", "preloaded"])
def preload(request: pytest.FixtureRequest) -> bool:
    value: bool = request.param
    return value


def gunicorn(worker_class: str, *options: str, preload: bool) -> Callable[[Path], Sequence[str]]:
    """The command that runs Gunicorn, of the socket's path."""
    if worker_class == "gthread":
        options += ("--threads", str(THREADS))
    if preload:
        options += ("--preload",)
    # The control socket would stand in the home directory.
    options += ("--workers", str(WORKERS), "--worker-class", worker_class, "--no-control-socket")
    return lambda path: module("gunicorn", "--bind", f"unix:{path}", *options, "workers.wsgi:application")


def test_c19_c20_workers_share_what_they_should_through_reloads_to_the_end(
    start_server: StartServer, valkey: ValkeyServer, worker_class: str, preload: bool
) -> None:
    valkey.admin.set("k", "v1")
    server = start_server(gunicorn(worker_class, preload=preload))
    first, second = sorted(server.wait_for_workers(WORKERS))

    assert server.get_from(first, "/named/k") == {"pid": first, "value": "v1", "lookups": 1}
    valkey.admin.set("k", "v2")
    assert server.get_from(second, "/named/k") == {"pid": second, "value": "v1", "lookups": 2}
    assert valkey.calls("get") == 1, "what one worker has read, the other finds"

    # The object of the unnamed cache was made once before the fork, or by each worker.
    assert server.get_from(first, "/unnamed/k") == {"pid": first, "value": "v2", "lookups": 1}
    assert server.get_from(second, "/unnamed/k") == {
        "pid": second,
        "value": "v2",
        "lookups": 2 if preload else 1,
    }
    pools = 1 if preload else WORKERS
    assert valkey.calls("get") == 1 + pools

    server.process.send_signal(signal.SIGHUP)
    renewed = server.wait_for_workers(WORKERS, instead_of={first, second})
    for pid in renewed:
        assert server.get_from(pid, "/named/k")["value"] == "v1"
        assert server.get_from(pid, "/unnamed/k")["value"] == "v2"
    assert valkey.calls("get") == 1 + pools + (0 if preload else WORKERS), "a named cache is still warm"
    wait_until(lambda: not zombies_of(server.pid), "the workers before are reaped")
    assert server.terminate() == 0
    assert server.warnings() == []


def test_a_preloaded_client_answers_hits_with_no_connection_and_no_thread(
    start_server: StartServer, daemon: Daemon, valkey: ValkeyServer, worker_class: str
) -> None:
    valkey.admin.set("k", "v")
    server = start_server(gunicorn(worker_class, preload=True))
    first, second = server.wait_for_workers(WORKERS)
    server.get_from(first, "/named/k")
    server.wait_until_idle(second)
    before, requests = Footprint.of(second), daemon.stats()["daemon"]["accepted_requests"]
    for lookups in range(2, 12):
        assert server.get_from(second, "/named/k") == {"pid": second, "value": "v", "lookups": lookups}
    server.wait_until_idle(second)
    assert Footprint.of(second).descriptors == before.descriptors
    # Gunicorn's own threads come one by one, as requests do.
    assert worker_class == "gthread" or Footprint.of(second).threads == before.threads == 1
    seen = daemon.stats()["daemon"]["accepted_requests"] - requests
    assert seen == REQUESTS_OF_STATS, "the daemon has heard of nothing but the test's own questions"


def test_c20_recycled_workers_leave_nothing(
    start_server: StartServer, valkey: ValkeyServer, worker_class: str, preload: bool
) -> None:
    """Their unnamed pools end some seconds later: all tests' at once, before the daemon is stopped."""
    valkey.admin.set("k", "v")
    server = start_server(gunicorn(worker_class, "--max-requests", str(RECYCLED_AFTER), preload=preload))
    server.wait_for_workers(WORKERS)
    before = Footprint.of(server.pid)
    seen: set[int] = set()
    reads = 0
    while len(seen) < 2 * WORKERS:
        answer = server.get("/named/k")
        other = server.get("/unnamed/k")
        assert answer["value"] == other["value"] == "v"
        reads += 1
        assert answer["lookups"] == reads, "no count is lost with a worker"
        seen.add(other["pid"])
    assert valkey.calls("get") == 1 + (1 if preload else len(seen))
    wait_until(lambda: len(server.workers()) == WORKERS, "those that went have been replaced")
    wait_until(lambda: Footprint.of(server.pid) == before, "the master has what it had")
    wait_until(lambda: not zombies_of(server.pid), "the workers that went are reaped")
    # A worker that was forked a moment ago has its master's handlers, which forget what it is told.
    wait_until(lambda: all(handles(pid, signal.SIGABRT) for pid in server.workers()), "workers hear signals")
    assert server.terminate() == 0
    assert server.warnings() == []


@pytest.mark.parametrize("worker_class", ["gthread", "gevent"])
def test_a_miss_keeps_nobody_else_waiting(
    start_server: StartServer, daemon: Daemon, valkey: ValkeyServer, worker_class: str, preload: bool
) -> None:
    """While the upstream hangs and reads of a worker wait for it, the same worker answers everything else."""
    valkey.admin.mset({f"k{number}": f"v{number}" for number in range(READS_TOGETHER)} | {"hot": "v"})
    server = start_server(gunicorn(worker_class, preload=preload))
    pid, _ = server.wait_for_workers(WORKERS)
    with server.only(pid):
        server.get("/named/hot")
        server.wait_until_idle(pid)
        before = Footprint.of(pid)
        answers: dict[int, Any] = {}

        def read(number: int) -> None:
            answers[number] = server.get(f"/named/k{number}")

        reads = [threading.Thread(target=read, args=(number,)) for number in range(READS_TOGETHER)]
        valkey.pause()
        try:
            for thread in reads:
                thread.start()
            wait_until(lambda: daemon.stats()["daemon"]["open_requests"] > len(reads), "all of them wait")
            assert server.get("/named/hot")["value"] == "v"
            assert answers == {}
        finally:
            valkey.resume()
        for thread in reads:
            thread.join()
        assert {number: answer["value"] for number, answer in answers.items()} == {
            number: f"v{number}" for number in range(READS_TOGETHER)
        }
        server.wait_until_idle(pid)
        if worker_class == "gevent":
            wait_until(
                lambda: Footprint.of(pid) == before, "the greenlets have taken their sockets with them"
            )
