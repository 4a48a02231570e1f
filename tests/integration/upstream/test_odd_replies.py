"""Replies that are odd, late or large: their own caller gets them, another client notices nothing (rule I4)."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import valkey

from glidecache import NodeAddress, RequestError
from glidecache import TimeoutError as GlideTimeoutError
from support.clients import at
from support.fault_proxy import REPLIES
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.fault_proxy import FaultProxy
    from support.valkey_server import ValkeyServer

ONLY_RESP2 = 'rename-command HELLO ""'
RESP3 = "server.setresp(3); "
TIMEOUT_MS = 300

# A script's result as a RESP3 client gets it. On RESP2 the server itself turns it into RESP2's shapes.
SCRIPTS: dict[str, Any] = {
    "return {1, {2, {3, {'a'}}}}": [1, [2, [3, [b"a"]]]],
    RESP3 + "return {set={[{1}]=true}}": [[1]],
    RESP3 + "return {set={[{set={a=true}}]=true}}": [{b"a"}],
    RESP3 + "return {set={a=true}}": {b"a"},
    RESP3 + "return {map={[{1,2}]=3}}": [[[1, 2], 3]],
    RESP3 + "return {map={[{map={a=1}}]={map={[{2}]=3}}}}": [[{b"a": 1}, [[[2], 3]]]],
    RESP3 + "return {map={a={map={b={set={c=true}}}}}}": {b"a": {b"b": {b"c"}}},
    RESP3 + "return {double=1.5}": 1.5,
    RESP3 + "return {big_number='18446744073709551616'}": b"18446744073709551616",
    RESP3 + "return {verbatim_string={format='txt', string='text'}}": b"text",
    "return {server.status_reply('OK'), 'OK'}": ["OK", b"OK"],
    "return {{server.status_reply('OK')}, {{server.status_reply('OK')}}}": [["OK"], [["OK"]]],
}
TOO_DEEP = "local deep = {} for _ = 1, 600 do deep = {deep} end return deep"


class Sentinel:
    """A client that reads and writes its own values in a thread, and records every fault."""

    def __init__(self, client: AnyClient) -> None:
        self.done = 0
        self.wrong: list[Any] = []
        self._client = client
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Let a sentinel work within the context; check afterwards that it found no fault."""
        self._thread.start()
        try:
            wait_until(lambda: self.done > 10, "the sentinel works")
            yield
            seen = self.done
            wait_until(lambda: self.done > seen + 10, "the sentinel still works")
        finally:
            self._over.set()
            self._thread.join()
        assert not self.wrong, self.wrong[:3]

    def _run(self) -> None:
        while not self._over.is_set():
            expected = b"of the sentinel %d" % self.done
            try:
                self._client.call("set", "sentinel", expected)
                number = self._client.call("incr", "sentinel:count")
                value = self._client.call("getrange", "sentinel", 0, -1)
            except Exception as error:  # noqa: BLE001 - any exception is a fault
                self.wrong.append(error)
            else:
                if (value, number) != (expected, self.done + 1):
                    self.wrong.append((value, number, self.done))
            self.done += 1


@pytest.fixture
def sentinel(connect: Connector, daemon: Daemon, own_valkey: ValkeyServer) -> Sentinel:
    return Sentinel(connect(kind="blocking", **at(daemon, own_valkey)))


def test_c26_i4_what_scripts_return_is_read_whatever_it_is(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, sentinel: Sentinel
) -> None:
    client = connect(**at(daemon, own_valkey))
    with sentinel.at_work():
        for _ in range(3):
            for script, expected in SCRIPTS.items():
                reply = client.call("custom_command", ["EVAL", script, "0"])
                assert reply == expected, script
                assert type(reply) is type(expected), script
            assert len(client.call("custom_command", ["COMMAND"])) > 100
            with pytest.raises(RequestError, match="my own words"):
                client.call("custom_command", ["EVAL", "return server.error_reply('my own words')", "0"])
            with pytest.raises(RequestError, match="in one another"):
                client.call("custom_command", ["EVAL", TOO_DEEP, "0"])
    assert own_valkey.calls("hello") <= 3 * 2


def test_c26_i4_on_resp2_statuses_are_no_strings_either(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    server = start_valkey(ONLY_RESP2)
    client = connect(**at(daemon, server))
    with Sentinel(connect(kind="blocking", **at(daemon, server))).at_work():
        for script, expected in list(SCRIPTS.items())[-2:]:
            assert client.call("custom_command", ["EVAL", script, "0"]) == expected
        assert client.call("custom_command", ["EVAL", RESP3 + "return {map={[{1,2}]=3}}", "0"]) == [[1, 2], 3]
        assert len(client.call("custom_command", ["COMMAND"])) > 100


def test_i4_late_replies_are_nobodys_and_the_next_ones_are_proved(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    hasty, patient = (
        connect(
            runtime_dir=str(daemon.runtime_dir),
            addresses=[NodeAddress(HOST, proxy.port)],
            fallback="error",
            request_timeout=timeout_ms,
        )
        for timeout_ms in (TIMEOUT_MS, 10_000)
    )
    for number in range(20):
        own_valkey.admin.set(f"k{number}", f"value of k{number}")
    patient.call("ping")
    probes = own_valkey.calls("echo")
    before = connections_to(own_valkey)
    for _ in range(3):
        proxy.hold(REPLIES)
        with ThreadPoolExecutor(1) as other:
            late = hasty.call_together([("getrange", "k0", number, -1) for number in range(10)])
            waiting = other.submit(patient.call_together, [("get", f"k{n}") for n in range(20)])
            assert all(isinstance(outcome, GlideTimeoutError) for outcome in late), late
            proxy.release(REPLIES)
            assert waiting.result() == [b"value of k%d" % number for number in range(20)]
    # One connection for each time-out, and one to get a connection at all.
    assert probes + 3 <= own_valkey.calls("echo") <= probes + 6
    assert_kept(before, connections_to(own_valkey))


def connections_to(server: ValkeyServer) -> set[str]:
    """Return the daemon's connections to the server."""
    return {each["id"] for each in server.admin.client_list() if each["name"] == "glidecached"}


def assert_kept(before: set[str], after: set[str]) -> None:
    """Check that no connection was replaced; one for probes of a busy server and one for detours may be new."""
    assert before
    assert before <= after
    assert len(after) <= len(before) + 2


def test_i4_i5_a_busy_server_says_so_to_those_who_come_behind_late_replies(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    server = start_valkey("busy-reply-threshold 600")
    own = {**at(daemon, server), "fallback": "error"}
    hasty, patient = (connect(**own, request_timeout=timeout_ms) for timeout_ms in (TIMEOUT_MS, 10_000))
    assert patient.call("set", "k", "v") == "OK"
    hasty.call("get", "k")
    before = connections_to(server)
    with ThreadPoolExecutor(1) as other:
        script = other.submit(server.admin.eval, "while true do end", 0)
        wait_until(lambda: times_out(hasty), "the script runs")
        with pytest.raises(RequestError, match="BUSY"):
            patient.call("get", "k")
        for client in (hasty, patient) * 3:
            with pytest.raises(RequestError, match="BUSY"):
                client.call("incr", "n")
        server.admin.script_kill()
        with pytest.raises(valkey.ResponseError):
            script.result()
    wait_until(lambda: not busy(patient), "the server is not busy any more")
    assert hasty.call("incr", "n") == 1
    assert patient.call("get", "k") == b"v"
    assert_kept(before, connections_to(server))


def times_out(client: AnyClient) -> bool:
    try:
        client.call("get", "k")
    except GlideTimeoutError:
        return True
    return False


def busy(client: AnyClient) -> bool:
    try:
        client.call("get", "k")
    except RequestError:
        return True
    return False


def test_i6_i10_large_replies_delay_others_but_little(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, sentinel: Sentinel
) -> None:
    client = connect(**at(daemon, own_valkey), request_timeout=30_000)
    size_bytes = 100 * 2**20
    own_valkey.admin.execute_command("SETRANGE", "large", size_bytes - 1, b"x")
    with sentinel.at_work():
        for _ in range(3):
            assert len(client.call("getrange", "large", 0, -1)) == size_bytes
