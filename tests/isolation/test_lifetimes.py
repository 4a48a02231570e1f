"""Every way to end a caller, with every command that can block: nothing outlives it, and no job is lost (I1, I2)."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from support import callers
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from support.workers import Worker

    Connect = Callable[..., AnyClient]
    StartWorker = Callable[..., Worker]

FORGOTTEN_S = 3.0
"""The rule says one second after the death; a loaded machine may notice the death later."""

BLOCKING: dict[str, tuple[str, ...]] = {
    "BLPOP": ("BLPOP", "jobs", "0"),
    "BRPOP": ("BRPOP", "other", "jobs", "0"),
    "BLMOVE": ("BLMOVE", "jobs", "taken", "LEFT", "RIGHT", "0"),
    "BRPOPLPUSH": ("BRPOPLPUSH", "jobs", "taken", "0"),
    "BLMPOP": ("BLMPOP", "0", "1", "jobs", "LEFT"),
    "BZPOPMIN": ("BZPOPMIN", "ranked", "0"),
    "BZMPOP": ("BZMPOP", "0", "1", "ranked", "MAX"),
    "XREAD": ("XREAD", "BLOCK", "0", "STREAMS", "stream", "$"),
    "XREADGROUP": ("XREADGROUP", "GROUP", "group", "me", "BLOCK", "0", "STREAMS", "stream", ">"),
    "WAIT": ("WAIT", "5", "0"),
    "WAITAOF": ("WAITAOF", "0", "5", "0"),
}
ENDS_OF_PROCESSES = ("SIGKILL", "SIGTERM", "exit", "exec")
ENDS_OF_CALLS = ("close", "cancel", "interrupt")


def prepare(server: ValkeyServer) -> None:
    """Make the keys at which the commands wait, empty."""
    server.admin.xgroup_create("stream", "group", mkstream=True)


def blocked(server: ValkeyServer) -> int:
    return int(server.admin.info("clients")["blocked_clients"])


def offer(server: ValkeyServer) -> None:
    """Add a job of each sort, which any client that still waits would take."""
    server.admin.rpush("jobs", "job")
    server.admin.zadd("ranked", {"job": 1})
    server.admin.xadd("stream", {"job": "1"})


def offered(server: ValkeyServer) -> tuple[list[bytes], list[bytes], int]:
    """Return what is still there: lists, sorted sets, and the number of entries of the stream that were delivered."""
    group = server.admin.xinfo_groups("stream")[0]
    return server.admin.lrange("jobs", 0, -1), server.admin.zrange("ranked", 0, -1), int(group["pending"])


def must_be_forgotten(server: ValkeyServer) -> None:
    """Check that no client waits at the server any more, and that what is pushed then stays."""
    wait_until(lambda: blocked(server) == 0, "the server has forgotten who waited", FORGOTTEN_S)
    offer(server)
    assert offered(server) == ([b"job"], [b"job"], 0)


@pytest.mark.parametrize("end", ENDS_OF_PROCESSES)
def test_i1_what_a_process_waited_for_ends_with_it(
    end: str, kind: str, daemon: Daemon, server: ValkeyServer, start_worker: StartWorker
) -> None:
    """Each of a process's threads or tasks waits in one of the commands."""
    prepare(server)
    worker = start_worker()
    worker.connect(kind, **callers.configuration(daemon.runtime_dir, server.port))
    worker.start(callers.wait_for_ever, [list(command) for command in BLOCKING.values()], end)
    wait_until(lambda: blocked(server) == len(BLOCKING), "all wait")
    if end.startswith("SIG"):
        worker.process.send_signal(signal.Signals[end])
    else:
        server.admin.set("end", "now")
    must_be_forgotten(server)


@pytest.mark.parametrize("end", ENDS_OF_CALLS)
def test_i1_what_a_call_waited_for_ends_with_it(end: str, connect: Connect, server: ValkeyServer) -> None:
    ending = getattr(callers, f"end_by_{end}")
    for command in BLOCKING.values():
        server.reset()
        prepare(server)
        client = connect("asyncio" if end == "cancel" else "blocking")
        ending(client, list(command), lambda: blocked(server) == 1)
        must_be_forgotten(server)
        if end != "close":
            assert client.call("lpop", "jobs") == b"job", "the client goes on, and what it gets is its own"


def test_i1_a_generation_of_dead_callers_leaves_room_for_the_next(
    kind: str, daemon: Daemon, server: ValkeyServer, start_worker: StartWorker, connect: Connect
) -> None:
    """Seventy dead processes waited: more than there are connections for commands that block."""
    for _ in range(2):
        worker = start_worker()
        worker.connect(kind, **callers.configuration(daemon.runtime_dir, server.port))
        worker.start(callers.wait_for_ever, [["BLPOP", "jobs", "0"]] * 35, "none")
        wait_until(lambda: blocked(server) >= 10, "many wait")
        worker.kill()
    wait_until(lambda: blocked(server) == 0, "the server has forgotten them", FORGOTTEN_S)
    live = connect("blocking")
    assert live.call("watch", ["k"]) == "OK"
    server.admin.rpush("jobs", *range(5))
    assert [live.call("blpop", ["jobs"], 1)[1] for _ in range(5)] == [b"%d" % number for number in range(5)]


def test_i1_watches_end_with_their_process(
    kind: str, daemon: Daemon, server: ValkeyServer, start_worker: StartWorker, connect: Connect
) -> None:
    for _ in range(3):
        workers = [start_worker() for _ in range(3)]
        for worker in workers:
            worker.connect(kind, **callers.configuration(daemon.runtime_dir, server.port))
            assert worker.run(callers.watch, "k") == "OK"
        for worker in workers:
            worker.kill()
    wait_until(lambda: watching(server) == 0, "no connection watches any more", FORGOTTEN_S)
    assert connect("blocking").call("watch", ["k"]) == "OK"


def watching(server: ValkeyServer) -> int:
    return sum(int(client.get("watch", 0)) > 0 for client in server.admin.client_list())


def test_i2_who_attaches_again_gets_nothing_of_the_old_calls(
    kind: str, daemon: Daemon, server: ValkeyServer, connect: Connect
) -> None:
    """The daemon is killed while calls wait: their jobs stay, and the next replies belong to their own calls."""
    prepare(server)
    client = connect(kind, request_timeout=1_000)
    with callers.waiting(client, [["BLPOP", "jobs", "0"], ["BLPOP", "others", "0"]]) as outcomes:
        wait_until(lambda: blocked(server) == 2, "both wait")
        daemon.kill()
        wait_until(lambda: blocked(server) == 0, "the server has forgotten them", FORGOTTEN_S)
        daemon.start()
        server.admin.rpush("jobs", "job")
    assert all(isinstance(outcome, Exception) for outcome in outcomes), outcomes
    limit = time.monotonic() + 10
    while True:
        try:
            echoed: Any = client.call("custom_command", ["ECHO", "mine"])
            break
        except Exception:  # noqa: BLE001 - the client is attaching again
            assert time.monotonic() < limit
            time.sleep(0.05)
    assert echoed == b"mine"
    assert client.call("lpop", "jobs") == b"job"
