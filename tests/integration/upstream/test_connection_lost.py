"""Connections that end anywhere: reads are repeated, writes never, replies reach whom they belong to."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import Batch, NodeAddress, RequestError
from glidecache import ConnectionError as GlideConnectionError
from glidecache import TimeoutError as GlideTimeoutError
from support.caches import new_cache
from support.fault_proxy import REPLIES, REQUESTS
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.fault_proxy import FaultProxy
    from support.valkey_server import ValkeyServer

VALUE = bytes(range(256)) * 4096
"""A mebibyte: neither side has it in one piece."""


@pytest.fixture
def kind() -> str:
    """What becomes of connections to servers is the daemon's business: one kind of client shows it."""
    return "asyncio"


def behind(daemon: Daemon, proxy: FaultProxy, **configuration: Any) -> dict[str, Any]:
    """A configuration's keywords for a client whose daemon reaches the server through the proxy."""
    return {
        "runtime_dir": str(daemon.runtime_dir),
        "addresses": [NodeAddress(HOST, proxy.port)],
        "fallback": "error",
        **configuration,
    }


def succeeds(client: AnyClient, *call: Any) -> bool:
    """Whether a call succeeds now."""
    try:
        client.call(*call)
    except RequestError:
        return False
    return True


def test_a_read_is_repeated_when_its_reply_is_cut(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    own_valkey.admin.set("large", VALUE)
    client = connect(new_cache(), **behind(daemon, proxy))
    proxy.cut_after(REPLIES, len(VALUE) // 2)
    assert client.get("large") == VALUE
    assert own_valkey.calls("get") == 2
    proxy.cut_after(REPLIES, len(VALUE) // 2)
    assert client.call("getrange", "large", 0, -1) == VALUE


def test_a_write_whose_reply_is_cut_may_have_run_and_is_not_repeated(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    own_valkey.admin.set("k", VALUE)
    client = connect(**behind(daemon, proxy))
    proxy.cut_after(REPLIES, len(VALUE) // 2)
    with pytest.raises(GlideConnectionError, match="may have run"):
        client.call("custom_command", ["SET", "k", "w", "GET"])
    wait_until(lambda: succeeds(client, "ping"), "the daemon is connected again")
    assert own_valkey.calls("set") == 2
    assert own_valkey.admin.get("k") == b"w"


def test_a_write_that_is_cut_on_its_way_is_not_repeated(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    client = connect(**behind(daemon, proxy))
    proxy.cut_after(REQUESTS, len(VALUE) // 2)
    with pytest.raises(GlideConnectionError, match="may have run"):
        client.call("set", "k", VALUE)
    wait_until(lambda: succeeds(client, "ping"), "the daemon is connected again")
    assert own_valkey.calls("set") == 0


def test_increments_are_never_run_twice_however_connections_end(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    """What was acknowledged has run, what was not has run at most once."""
    client = connect(**behind(daemon, proxy))
    acknowledged = unknown = 0
    for round_number in range(6):
        if round_number % 3 == 0:
            proxy.cut_after(REPLIES, 30 + 7 * round_number)
        elif round_number % 3 == 1:
            proxy.cut_after(REQUESTS, 100 + 11 * round_number)
        outcomes = client.call_together([("incr", "n")] * 25 + [("get", "n")] * 5)
        if round_number % 3 == 2:
            proxy.cut()
        for outcome in outcomes[:25]:
            if isinstance(outcome, int):
                acknowledged += 1
            else:
                assert isinstance(outcome, (GlideConnectionError, GlideTimeoutError)), outcome
                unknown += "may have run" in str(outcome)
        wait_until(lambda: succeeds(client, "ping"), "the daemon is connected again")
    count = int(own_valkey.admin.get("n"))
    assert unknown > 0
    assert acknowledged <= count <= acknowledged + unknown


def test_replies_belong_to_their_requests_however_connections_end(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    for number in range(40):
        own_valkey.admin.set(f"k{number}", f"value of k{number}")
    client = connect(**behind(daemon, proxy))
    for round_number in range(4):
        proxy.cut_after(REPLIES, 200 + 61 * round_number)
        outcomes = client.call_together([("get", f"k{number}") for number in range(40)])
        for number, outcome in enumerate(outcomes):
            assert isinstance(outcome, RequestError) or outcome == b"value of k%d" % number
        wait_until(lambda: succeeds(client, "ping"), "the daemon is connected again")


def test_a_transaction_that_is_cut_is_not_repeated(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    batch = Batch(is_atomic=True)
    for _ in range(50):
        batch.incr("n")
    client = connect(**behind(daemon, proxy))
    proxy.cut_after(REPLIES, 100)
    with pytest.raises(GlideConnectionError, match="may have run"):
        client.call("exec", batch, raise_on_error=True)
    proxy.cut_after(REQUESTS, 500)
    wait_until(lambda: succeeds(client, "ping"), "the daemon is connected again")
    with pytest.raises(GlideConnectionError, match="may have run"):
        client.call("exec", batch, raise_on_error=True)
    wait_until(lambda: succeeds(client, "ping"), "the daemon is connected again")
    assert int(own_valkey.admin.get("n")) == 50


def test_a_blocking_command_that_is_cut_fails_and_others_do_not_notice(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    client = connect(**behind(daemon, proxy))
    client.call("ping")
    other = connect(**behind(daemon, proxy))
    passing = proxy.open_connections
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(client.call, "custom_command", ["BLPOP", "list", "20"])
        wait_until(lambda: own_valkey.admin.info("clients")["blocked_clients"], "it waits")
        assert proxy.open_connections == passing + 1
        other.call("ping")
        proxy.cut()
        error = waiting.exception(10)
    assert isinstance(error, GlideConnectionError)
    assert re.search("may have run", str(error))
    wait_until(lambda: succeeds(other, "ping"), "the daemon is connected again")


def test_server_killed_and_restarted(connect: Connector, daemon: Daemon, own_valkey: ValkeyServer) -> None:
    configuration = {"addresses": [NodeAddress(HOST, own_valkey.port)], "fallback": "error"}
    client = connect(runtime_dir=str(daemon.runtime_dir), **configuration)
    for number in range(3):
        assert client.call("incr", "n") == 1
        own_valkey.kill()
        with pytest.raises((GlideConnectionError, GlideTimeoutError)) as raised:
            client.call("incr", "n")
        assert str(own_valkey.port) in str(raised.value)
        own_valkey.restart()
        wait_until(lambda: succeeds(client, "ping"), f"restart {number} is noticed")
        # The new server has no counter, and nothing that was refused came to it later.
        assert own_valkey.calls("incr") == 0


def test_attempts_to_reconnect_are_spaced_and_shared(
    connect: Connector, daemon: Daemon, proxy: FaultProxy
) -> None:
    """However many clients wait: one connection is tried at a time, and pauses grow."""
    clients = [connect(**behind(daemon, proxy, request_timeout=400)) for _ in range(5)]
    for client in clients:
        client.call("ping")
    proxy.refuse()
    before = len(proxy.accepted)
    wait_until(lambda: not any(succeeds(client, "ping") for client in clients), "all notice")
    wait_until(lambda: len(proxy.accepted) >= before + 7, "attempts go on")
    first, *_, last = proxy.accepted[before : before + 7]
    # 50 ms, doubled each time, at least half of it: five clients that tried by themselves would be faster.
    assert last - first > (50 + 100 + 200 + 400) / 2 / 1000
    proxy.accept()
    for client in clients:
        wait_until(lambda client=client: succeeds(client, "ping"), "it is connected again")
