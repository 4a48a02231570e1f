"""Nothing outlives its caller (isolation, I1 and I2): every way to end a caller, with every command that can block."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from support.blocked_callers import ASYNC_ENDS, BLOCKING_ENDS, COMMANDS, DEATHS, WATCH_ENDS_WITH
from support.process import child_environment
from support.valkey_server import HOST
from support.waiting import wait_until
from support.wire import ReplyRefused, WireClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.cluster import Cluster
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

JOBS = 20
FORGOTTEN_WITHIN_S = 1.0
LONG_MS = 600_000
DEDICATED = 64


@pytest.fixture(params=["standalone", "cluster"])
def mode(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def server(mode: str, valkey: ValkeyServer | Cluster) -> ValkeyServer | Cluster:
    """Return the common server, with the group that XREADGROUP reads by."""
    del mode
    valkey.admin.xgroup_create("{q}stream", "g", id="$", mkstream=True)
    return valkey


class Callers:
    """A process with a caller in each of the commands."""

    def __init__(self, kind: str, end: str, given: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.blocked_callers", kind, end],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(),
            text=True,
        )
        self.say(json.dumps(given))
        self.expect("ready")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def expect(self, word: str) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if line != word:
            self.process.kill()
            assert line == word, self.process.communicate()[1]


@pytest.fixture
def start_callers(daemon: Daemon, server: Any, mode: str) -> Iterator[Callable[[str, str], Callers]]:
    started: list[Callers] = []

    def start(kind: str, end: str) -> Callers:
        given = {"cluster": mode == "cluster", "port": server.port, "runtime_dir": str(daemon.runtime_dir)}
        started.append(Callers(kind, end, given))
        return started[-1]

    yield start
    for callers in started:
        callers.process.kill()
        callers.process.communicate()


def waiting(server: Any) -> set[str]:
    """Return the commands in which a client waits at the server, and "watch" while a client watches."""
    found = set()
    for connection in server.admin.client_list():
        if "b" in connection["flags"]:
            found.add(connection["cmd"])
        if int(connection["watch"]) > 0:
            found.add("watch")
    return found


def wait_for_all(server: Any, *, watch: bool) -> None:
    wanted = {*COMMANDS, "watch"} if watch else set(COMMANDS)
    wait_until(lambda: waiting(server) >= wanted, f"the server keeps {len(wanted)} kinds of callers waiting")


def need_nothing_left(server: Any) -> None:
    """Check that the server forgets all callers within a second, and that jobs pushed then stay."""
    wait_until(lambda: not waiting(server), "the server has forgotten all callers", FORGOTTEN_WITHIN_S)
    admin = server.admin
    for number in range(JOBS):
        admin.rpush("{q}list", number)
        admin.zadd("{q}zset", {str(number): number})
        admin.xadd("{q}stream", {"number": number})
    assert admin.llen("{q}list") == JOBS
    assert admin.zcard("{q}zset") == JOBS
    assert not admin.exists("{q}taken")
    assert admin.xpending("{q}stream", "g")["pending"] == 0


@pytest.mark.parametrize("end", DEATHS, ids=lambda number: number.name)
def test_i1_callers_that_are_killed_leave_nothing_behind(
    server: Any, start_callers: Callable[[str, str], Callers], end: int
) -> None:
    callers = start_callers("blocking", "close")
    wait_for_all(server, watch=True)
    callers.process.send_signal(end)
    callers.process.wait()
    need_nothing_left(server)


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        *(("asyncio", end) for end in ASYNC_ENDS),
        *(("blocking", end) for end in BLOCKING_ENDS),
    ],
)
def test_i1_callers_that_end_in_a_living_process_leave_nothing_behind(
    server: Any, start_callers: Callable[[str, str], Callers], kind: str, end: str
) -> None:
    callers = start_callers(kind, end)
    if end != "alarm":
        wait_for_all(server, watch=end in WATCH_ENDS_WITH)
    callers.say("go")
    callers.expect("ended")
    need_nothing_left(server)
    assert callers.process.poll() is None


def attached(wire: WireClient, server: Any, mode: str) -> int:
    session: int = wire.attach(mode=mode, addresses=[[HOST, server.port]])["session_id"]
    return session


def block_in_all(wire: WireClient, session: int) -> list[int]:
    wire.request(protocol.WATCH, session, 7, True, [b"{q}watched"])
    return [
        wire.send(protocol.COMMAND, session, [each.encode() for each in command], timeout_ms=LONG_MS)
        for command in COMMANDS.values()
    ]


def test_i1_a_connection_that_closes_ends_what_was_asked_over_it(
    daemon: Daemon, server: Any, mode: str
) -> None:
    with WireClient(daemon.runtime_dir) as wire:
        block_in_all(wire, attached(wire, server, mode))
        wait_for_all(server, watch=True)
    need_nothing_left(server)


def test_i1_detaching_ends_what_the_session_still_asks(daemon: Daemon, server: Any, mode: str) -> None:
    with WireClient(daemon.runtime_dir) as wire:
        session = attached(wire, server, mode)
        requests = block_in_all(wire, session)
        wait_for_all(server, watch=True)
        wire.request(protocol.DETACH, session)
        need_nothing_left(server)
        for request in requests:
            with pytest.raises(ReplyRefused) as refused:
                wire.result(request)
            assert refused.value.code == protocol.ERROR_CLOSING


def test_i1_another_sessions_requests_are_left_alone(daemon: Daemon, server: Any, mode: str) -> None:
    with WireClient(daemon.runtime_dir) as wire, WireClient(daemon.runtime_dir) as other:
        session = attached(wire, server, mode)
        stays = attached(other, server, mode)
        waits = other.send(protocol.COMMAND, stays, [b"BLPOP", b"{q}other", b"0"], timeout_ms=LONG_MS)
        block_in_all(wire, session)
        wait_for_all(server, watch=True)
        wire.request(protocol.DETACH, session)
        wait_until(lambda: waiting(server) == {"blpop"}, "the other one is all that waits")
        server.admin.rpush("{q}other", "job")
        assert other.result(waits) == [b"{q}other", b"job"]


@pytest.mark.parametrize("name", COMMANDS)
def test_i1_a_cancel_ends_the_request_that_it_names_and_no_other(
    daemon: Daemon, server: Any, mode: str, name: str
) -> None:
    with WireClient(daemon.runtime_dir) as wire, WireClient(daemon.runtime_dir) as other:
        session = attached(wire, server, mode)
        command = [each.encode() for each in COMMANDS[name]]
        waits = wire.send(protocol.COMMAND, session, [b"BLPOP", b"{q}other", b"0"], timeout_ms=LONG_MS)
        request = wire.send(protocol.COMMAND, session, command, timeout_ms=LONG_MS)
        wait_until(lambda: waiting(server) == {"blpop", name}, "both wait")
        other.hello()
        assert other.request(protocol.CANCEL, request) is None  # The request belongs to another connection.
        assert wire.request(protocol.CANCEL, request + 1_000) is None
        assert wire.request(protocol.CANCEL, request) is None
        blocked = lambda: [each for each in server.admin.client_list() if "b" in each["flags"]]  # noqa: E731
        wait_until(lambda: len(blocked()) == 1, "one waits", FORGOTTEN_WITHIN_S)
        server.admin.rpush("{q}other", "job")
        assert wire.result(waits) == [b"{q}other", b"job"]
        assert wire.drain() == []


def test_i1_what_is_no_request_id_cannot_be_cancelled(daemon: Daemon, mode: str, server: Any) -> None:
    del mode, server
    with WireClient(daemon.runtime_dir) as wire:
        wire.hello()
        for body in ((), ("one",), (True,), (1, 2), (None,)):
            with pytest.raises(ReplyRefused, match="cancelled_request_id") as refused:
                wire.request(protocol.CANCEL, *body)
            assert refused.value.code == protocol.ERROR_PROTOCOL


def is_served(wire: WireClient, session: int) -> bool:
    """Return True if there is a dedicated connection for a call."""
    try:
        reply = wire.request(protocol.COMMAND, session, [b"BLPOP", b"{q}none", b"0.01"])
    except ReplyRefused as refused:
        if refused.code != protocol.ERROR_BUSY:
            raise
        return False
    assert reply is None
    return True


def test_i1_dead_callers_use_up_no_connection_of_the_living(daemon: Daemon, server: Any, mode: str) -> None:
    for _ in range(3):
        with WireClient(daemon.runtime_dir) as wire:
            session = attached(wire, server, mode)
            for _ in range(DEDICATED):
                wire.send(protocol.COMMAND, session, [b"BLPOP", b"{q}list", b"0"], timeout_ms=LONG_MS)
            # Some callers are blocked by now, others still get their connections: both kinds end.
            wait_until(lambda: "blpop" in waiting(server), "some wait")
        with WireClient(daemon.runtime_dir) as wire:
            session = attached(wire, server, mode)
            wait_until(
                functools.partial(is_served, wire, session), "connections are free", FORGOTTEN_WITHIN_S
            )
            assert wire.request(protocol.WATCH, session, 7, True, [b"{q}watched"]) == "OK"
    need_nothing_left(server)


def test_i2_a_client_that_attaches_again_gets_nothing_of_the_old_connections_calls(
    daemon: Daemon, server: Any, mode: str
) -> None:
    with WireClient(daemon.runtime_dir) as wire:
        session = attached(wire, server, mode)
        request = wire.send(protocol.COMMAND, session, [b"BLPOP", b"{q}list", b"0"], timeout_ms=LONG_MS)
        wait_until(lambda: "blpop" in waiting(server), "it waits")
    with WireClient(daemon.runtime_dir) as wire:
        wire.hello()
        spec = {"mode": mode, "addresses": [[HOST, server.port]], "follows": session}
        assert wire.request(protocol.ATTACH, spec)["session_id"] == session
        need_nothing_left(server)
        assert wire.request(protocol.PING)["instance_id"] == wire.instance_id
        assert all(reply[0] != request for reply in wire.drain())
