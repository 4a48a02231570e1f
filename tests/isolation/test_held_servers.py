"""A server that holds back, runs one script for long, or answers at length: other clients continue (I5, I6)."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from glidecache import RequestError
from glidecache import TimeoutError as GlideTimeoutError
from support.sentinel import Sentinel, Watchman
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.clients import AnyClient
    from support.cluster import Cluster
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

    Connect = Callable[..., AnyClient]

HELD_MS = 20_000
"""The server holds back for so long if it is not released: far longer than any call here may take."""
AT_ONCE_S = 2.0
"""A call that waits for nothing takes milliseconds; a loaded machine may add to that."""
LIBRARY = "#!lua name=busy\nredis.register_function('busy', function(k, a) while true do end end)"


class Background(threading.Thread):
    """A call in a thread of its own. A context manager: at its end the call is over."""

    def __init__(self, client: AnyClient, method: str, *arguments: object) -> None:
        super().__init__(daemon=True)
        self._call = (client, method, arguments)
        self.outcome: Any = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join(HELD_MS / 1000)
        assert not self.is_alive()

    def run(self) -> None:
        """Call, and keep the result or the error."""
        client, method, arguments = self._call
        try:
            self.outcome = client.call(method, *arguments)
        except Exception as error:  # noqa: BLE001 - the test looks at it later
            self.outcome = error


@pytest.fixture(params=["standalone", "cluster"])
def mode(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def place(mode: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Return the server, or the cluster; end afterwards whatever a test left there."""
    if mode == "cluster":
        cluster = request.getfixturevalue("abused_cluster")
        cluster.reset()
        daemon = request.getfixturevalue("start_daemon")()
        made = Place(request.getfixturevalue("connect"), daemon, cluster.primaries, cluster=True)
    else:
        server = request.getfixturevalue("server")
        daemon = request.getfixturevalue("daemon")
        made = Place(request.getfixturevalue("connect"), daemon, [server], cluster=False)
    yield made
    made.release()


class Place:
    """The servers, and the clients that reach them through the daemon."""

    def __init__(
        self, connect: Connect, daemon: Daemon, servers: list[ValkeyServer], *, cluster: bool
    ) -> None:
        self._connect = connect
        self.daemon = daemon
        self.servers = servers
        self._cluster = cluster

    def client(self, kind: str, **configuration: Any) -> AnyClient:
        return self._connect(
            kind, self.servers[0], daemon=self.daemon, cluster=self._cluster, **configuration
        )

    def each(self, *command: object) -> None:
        """Have every server run a command, past the daemon."""
        for server in self.servers:
            server.admin.execute_command(*command)

    def blocked(self) -> int:
        """Return the number of clients that the servers hold back, or let wait."""
        return sum(int(server.admin.info("clients")["blocked_clients"]) for server in self.servers)

    def release(self) -> None:
        for server in self.servers:
            for command in (("SCRIPT", "KILL"), ("FUNCTION", "KILL"), ("CLIENT", "UNPAUSE")):
                with contextlib.suppress(Exception):
                    server.admin.execute_command(*command)


def test_i6_reads_go_on_while_writes_are_held(place: Place, kind: str) -> None:
    writer, reader = place.client(kind), place.client("blocking")
    sentinel = Sentinel(reader, keys=8)
    place.each("CLIENT", "PAUSE", HELD_MS, "WRITE")
    with Background(writer, "set", "held", "1") as held:
        wait_until(place.blocked, "the write is held back")
        assert [problem for _ in range(3) for problem in sentinel.read()] == []
        assert sentinel.slowest_s < AT_ONCE_S
        assert held.is_alive()
        place.each("CLIENT", "UNPAUSE")
    assert held.outcome == "OK"
    assert sentinel.check() == []


def test_i5_unpause_passes_what_is_held(place: Place, kind: str) -> None:
    writer, other = place.client("blocking"), place.client(kind)
    place.each("CLIENT", "PAUSE", HELD_MS, "WRITE")
    with Background(writer, "incr", "held") as held:
        wait_until(place.blocked, "the write is held back")
        began = time.monotonic()
        other.call("client_unpause")
        assert time.monotonic() - began < AT_ONCE_S
    assert held.outcome == 1


def test_i6_order_is_kept_when_a_write_is_held(place: Place) -> None:
    """C23: the same client's later reads wait for its write, whatever connection they take."""
    client, other = place.client("asyncio"), place.client("blocking")
    client.call("set", "k", "before")
    place.each("CLIENT", "PAUSE", 700, "WRITE")
    results = client.call_together([("set", "k", "after"), ("get", "k"), ("set", "k", "last"), ("get", "k")])
    assert results == ["OK", b"after", "OK", b"last"]
    assert other.call("get", "k") == b"last"


def test_i4_a_pause_of_all_shifts_no_reply(place: Place) -> None:
    """Every reply is late, and some calls time out: later replies still go to their own calls."""
    hasty, patient = place.client("blocking", request_timeout=300), place.client("blocking")
    sentinel = Sentinel(patient)
    for _ in range(2):
        place.each("CLIENT", "PAUSE", 1_500, "ALL")
        for command in ("incr", "get", "strlen"):
            with pytest.raises(GlideTimeoutError):
                hasty.call(command, "late")
        assert sentinel.check() == []
        assert hasty.call("custom_command", ["ECHO", "mine"]) == b"mine"


@pytest.mark.parametrize("by", ["script", "function", "eval"])
def test_i5_a_script_that_runs_for_too_long_can_be_killed(place: Place, by: str) -> None:
    kind = "asyncio" if by == "script" else "blocking"
    runner, other, killer = (place.client(each) for each in (kind, "blocking", kind))
    busy = start_busy(runner, by)
    with busy:
        assert_busy(other)
        began = time.monotonic()
        while busy.is_alive() and time.monotonic() - began < AT_ONCE_S:
            with contextlib.suppress(RequestError):  # the script is on another server
                killer.call("function_kill" if by == "function" else "script_kill")
        assert time.monotonic() - began < AT_ONCE_S
    assert isinstance(busy.outcome, RequestError)
    assert Sentinel(other).check() == []


def start_busy(client: AnyClient, by: str) -> Background:
    """Start a call that never ends by itself."""
    if by == "function":
        client.call("function_load", LIBRARY, True)
        return Background(client, "fcall", "busy", ["k"], [])
    if by == "eval":
        return Background(client, "custom_command", ["EVAL", "while true do end", "1", "k"])
    from glidecache import Script

    script = Script("local k = KEYS[1] while true do end")
    return Background(client, "invoke_script", script, ["k"])


def assert_busy(other: AnyClient) -> None:
    """Check that others get the server's own word, not a time-out behind the script."""

    def busy() -> bool:
        try:
            other.call("get", "k")
        except RequestError as error:
            assert "BUSY" in str(error)  # noqa: PT017 - the loop waits for it
            return True
        return False

    began = time.monotonic()
    wait_until(busy, "the server says BUSY")
    assert time.monotonic() - began < AT_ONCE_S


def test_i6_large_replies_delay_nobody_for_long(place: Place) -> None:
    """The replies have 64 MB, in bulk and in many pieces; one request has 20 MB."""
    place.servers[0].admin.config_set("proto-max-bulk-len", 200 << 20)
    abuser = place.client("blocking", request_timeout=30_000)
    abuser.call("set", "large", bytes(64 << 20))
    sentinel = Sentinel(place.client("blocking"))
    with Watchman(sentinel, reads_only=True) as watchman:
        for _ in range(2):
            assert len(abuser.call("custom_command", ["GETRANGE", "large", "0", "-1"])) == 64 << 20
        abuser.call("set", "request", bytes(20 << 20))
        many = "local t = {} for i = 1, 300000 do t[i] = 'x' end return t"
        assert len(abuser.call("custom_command", ["EVAL", many, "1", "large"])) == 300_000
    assert watchman.problems == []
    assert sentinel.slowest_s < AT_ONCE_S


def test_i6_a_huge_batch_delays_nobody_for_long(place: Place) -> None:
    abuser = place.client("blocking", request_timeout=60_000)
    sentinel = Sentinel(place.client("blocking"))
    batch = abuser.batch(atomic=False)
    for number in range(50_000):
        batch.custom_command(["SET", f"k{number % 100}", "v"])
    with Watchman(sentinel, reads_only=True) as watchman:
        assert len(abuser.call("exec", batch, True)) == 50_000
    assert watchman.problems == []
    assert sentinel.slowest_s < AT_ONCE_S


def test_i7_a_stopped_node_costs_its_own_slots_only(
    abused_cluster: Cluster, connect: Connect, start_daemon: Callable[..., Daemon]
) -> None:
    abused_cluster.reset()
    place = Place(connect, start_daemon(), abused_cluster.primaries, cluster=True)
    client, abuser = place.client("blocking"), place.client("asyncio", request_timeout=500)
    keys = abused_cluster.keys_of_each()
    stopped = abused_cluster.owner(keys[0])
    for key in keys:
        client.call("set", key, key)
    stopped.pause()
    try:
        outcomes = abuser.call_together([("get", keys[0])] * 20)
        assert all(isinstance(outcome, GlideTimeoutError) for outcome in outcomes)
        began = time.monotonic()
        assert [client.call("get", key) for key in keys[1:]] == [key.encode() for key in keys[1:]]
        assert time.monotonic() - began < AT_ONCE_S
    finally:
        stopped.resume()
        abused_cluster.wait_until_healthy()
