"""Several connections to one server: other clients do not notice when one client holds one up (I3, I5, I6)."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientPauseMode, NodeAddress, RequestError, Script
from glidecache import TimeoutError as GlideTimeoutError
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

TIMEOUT_MS = 3_000
AT_ONCE_SECONDS = 1.0
"""Far below the time-out: a call that waits for another client ends only with that."""
FOR_EVER = "while true do end"


@pytest.fixture
def busy_server(start_valkey: Callable[..., ValkeyServer]) -> ValkeyServer:
    """Return a server that answers BUSY 200 ms after a script began."""
    return start_valkey("busy-reply-threshold 200")


def configuration(daemon: Daemon, server: ValkeyServer) -> dict[str, Any]:
    return {
        "runtime_dir": str(daemon.runtime_dir),
        "addresses": [NodeAddress(HOST, server.port)],
        "fallback": "error",
        "request_timeout": TIMEOUT_MS,
    }


@contextlib.contextmanager
def in_background(client: AnyClient, *call: Any) -> Iterator[list[Any]]:
    """Make a call in a thread; yield a list that gets its outcome."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(client.call(*call))
        except RequestError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield outcome
    finally:
        thread.join()


def at_once(client: AnyClient, *call: Any) -> Any:
    """Return the result of a call, or its error; fail if it takes long."""
    begun = time.monotonic()
    try:
        result = client.call(*call)
    except RequestError as error:
        result = error
    assert time.monotonic() - begun < AT_ONCE_SECONDS, (call, result)
    return result


def test_i6_reads_go_on_while_writes_are_paused_and_unpausing_passes_them(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    own_valkey.admin.set("r", "1")
    own_valkey.admin.hset("h", "f", "v")
    one, two = (connect(**configuration(daemon, own_valkey)) for _ in range(2))
    assert one.call("client_pause", 20_000, ClientPauseMode.WRITE) == "OK"
    with in_background(one, "set", "w", "1") as held:
        blocked = lambda: int(own_valkey.admin.info("clients")["blocked_clients"])  # noqa: E731 - used several times
        wait_until(lambda: blocked() >= 1, "the write is held")
        for _ in range(20):
            assert at_once(two, "get", "r") == b"1"
            assert at_once(two, "hgetall", "h") == {b"f": b"v"}
            assert at_once(two, "exists", ["r"]) == 1
        three = connect(**configuration(daemon, own_valkey))
        assert at_once(three, "get", "r") == b"1", "a client that comes meanwhile is served"
        assert not held
        assert at_once(two, "client_unpause") == "OK"
    assert held == ["OK"]
    assert own_valkey.admin.get("w") == b"1"


def test_i5_others_hear_busy_and_can_kill_a_script_that_does_not_end(
    connect: Connector, daemon: Daemon, busy_server: ValkeyServer
) -> None:
    one, two = (connect(**configuration(daemon, busy_server)) for _ in range(2))
    with in_background(one, "invoke_script", Script(FOR_EVER)) as script:
        wait_until(lambda: "BUSY" in str(at_once(two, "get", "x")), "the server says that it is busy")
        for call in (("incr", "n"), ("set", "k", "v"), ("mget", ["a", "b"])):
            outcome = at_once(two, *call)
            assert isinstance(outcome, RequestError)
            assert not isinstance(outcome, GlideTimeoutError)
            assert "BUSY" in str(outcome)
        assert at_once(two, "script_kill") == "OK"
    assert "killed" in str(script[0]).lower()
    assert at_once(two, "incr", "n") == 1


def test_i5_a_function_that_does_not_end_is_seen_and_killed(
    connect: Connector, daemon: Daemon, busy_server: ValkeyServer
) -> None:
    one, two = (connect(**configuration(daemon, busy_server)) for _ in range(2))
    code = f"#!lua name=l\nserver.register_function('f', function() {FOR_EVER} end)"
    assert one.call("function_load", code) == b"l"
    with in_background(one, "fcall", "f") as call:
        wait_until(lambda: "BUSY" in str(at_once(two, "get", "x")), "the server says that it is busy")
        assert "f" in str(at_once(two, "function_stats"))
        assert at_once(two, "function_kill") == "OK"
    assert isinstance(call[0], RequestError)


def test_i6_a_long_reply_and_a_long_request_let_others_pass(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    megabyte = b"x" * (1 << 20)
    own_valkey.admin.set("long", megabyte * 60)
    one, two = (connect(**configuration(daemon, own_valkey)) for _ in range(2))
    stop = threading.Event()
    longest = [0.0]

    def others() -> None:
        while not stop.is_set():
            begun = time.monotonic()
            two.call("incr", "n")
            longest[0] = max(longest[0], time.monotonic() - begun)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for _ in range(3):
            assert len(one.call("get", "long")) == 60 << 20
            assert one.call("set", "also long", megabyte * 20) == "OK"
        commands = one.batch(atomic=False)
        for number in range(50_000):
            commands.incrby("sum", number % 3)
        assert len(one.call("exec", commands, raise_on_error=True)) == 50_000
    finally:
        stop.set()
        thread.join()
    assert longest[0] < AT_ONCE_SECONDS
    assert int(own_valkey.admin.get("sum")) == sum(number % 3 for number in range(50_000))


def test_c23_one_client_s_commands_on_several_connections_take_effect_in_order(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    """The client issues them at once; scripts and unknown commands travel on other connections."""
    client = connect(kind="asyncio", **configuration(daemon, own_valkey))
    append = "return server.call('APPEND', KEYS[1], ARGV[1])"
    calls: list[Any] = []
    for number in range(60):
        letter = chr(ord("a") + number % 26)
        if number % 5 == 2:
            calls.append(("custom_command", ["EVAL", append, "1", "order", letter]))
        elif number % 7 == 3:
            calls.append(("custom_command", ["DEBUG", "SLEEP", "0"]))
            calls.append(("append", "order", letter))
        else:
            calls.append(("append", "order", letter))
    outcomes = client.call_together(calls)
    assert not [outcome for outcome in outcomes if isinstance(outcome, GlideTimeoutError)]
    expected = "".join(chr(ord("a") + number % 26) for number in range(60))
    assert own_valkey.admin.get("order").decode() == expected
