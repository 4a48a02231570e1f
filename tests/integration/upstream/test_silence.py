"""Servers and daemons that fall silent: time-outs, late replies, and what runs when they are heard again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import DaemonUnavailableError, NodeAddress, RequestError
from glidecache import TimeoutError as GlideTimeoutError
from support.fault_proxy import REPLIES
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.fault_proxy import FaultProxy
    from support.valkey_server import ValkeyServer

TIMEOUT_MS = 300


def patient_briefly(daemon: Daemon, port: int, **configuration: Any) -> dict[str, Any]:
    """A configuration's keywords for a client with a short time-out, and no way past the daemon."""
    return {
        "runtime_dir": str(daemon.runtime_dir),
        "addresses": [NodeAddress(HOST, port)],
        "fallback": "error",
        "request_timeout": TIMEOUT_MS,
        **configuration,
    }


def succeeds(client: AnyClient, *call: Any) -> bool:
    """Whether a call succeeds now."""
    try:
        client.call(*call)
    except RequestError:
        return False
    return True


def test_a_late_reply_is_given_to_nobody(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    for number in range(10):
        own_valkey.admin.set(f"k{number}", f"value of k{number}")
    client = connect(**patient_briefly(daemon, proxy.port))
    client.call("ping")
    proxy.hold(REPLIES)
    late = client.call_together([("get", f"k{number}") for number in range(10)])
    assert all(isinstance(outcome, GlideTimeoutError) for outcome in late), late
    assert isinstance(client.call_together([("incr", "n")])[0], GlideTimeoutError)
    proxy.release(REPLIES)
    for number in reversed(range(10)):
        wait_until(lambda: succeeds(client, "ping"), "the server is heard again")
        assert client.get(f"k{number}") == b"value of k%d" % number
    assert client.call("incr", "n") == 2


@pytest.mark.parametrize("how", ["CLIENT PAUSE", "SIGSTOP"])
def test_a_server_that_pauses_runs_nothing_twice(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, how: str
) -> None:
    client = connect(**patient_briefly(daemon, own_valkey.port))
    acknowledged = client.call("incr", "n")
    if how == "SIGSTOP":
        own_valkey.pause()
    else:
        own_valkey.admin.client_pause(60_000, all=False)
    outcomes = client.call_together([("incr", "n")] * 8)
    assert all(isinstance(outcome, GlideTimeoutError) for outcome in outcomes), outcomes
    if how == "SIGSTOP":
        own_valkey.resume()
    else:
        own_valkey.admin.client_unpause()
    wait_until(lambda: succeeds(client, "ping"), "the server is heard again")
    # What was sent before it paused may run when it goes on, once each; nothing else does.
    count = client.call("incr", "n")
    assert acknowledged + 1 <= count <= acknowledged + len(outcomes) + 1
    assert own_valkey.calls("incr") == count


def test_a_daemon_that_hangs_runs_nothing_overdue(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = connect(**patient_briefly(own_daemon, own_valkey.port))
    assert client.call("incr", "n") == 1
    own_daemon.pause()
    outcomes = client.call_together([("incr", "n")] * 8)
    assert all(isinstance(each, (GlideTimeoutError, DaemonUnavailableError)) for each in outcomes), outcomes
    own_daemon.resume()
    wait_until(lambda: succeeds(client, "ping"), "the daemon is heard again")
    assert own_valkey.calls("incr") == 1
    assert client.call("incr", "n") == 2


def test_a_daemon_that_is_killed_and_replaced_runs_nothing_of_its_predecessors(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    """Increments are in the daemon's hands, perhaps in the server's, when the daemon goes."""
    client = connect(**patient_briefly(own_daemon, own_valkey.port))
    assert client.call("incr", "n") == 1
    own_daemon.pause()
    held = [("incr", "n")] * 8
    outcomes = client.call_together(held)
    own_daemon.kill()
    own_daemon.start()
    wait_until(lambda: succeeds(client, "ping"), "the client has attached again", 20)
    assert not any(isinstance(outcome, int) for outcome in outcomes), outcomes
    assert own_valkey.calls("incr") == 1
    own_valkey.pause()
    outcomes = client.call_together(held)
    assert all(isinstance(outcome, GlideTimeoutError) for outcome in outcomes), outcomes
    own_daemon.kill()
    own_daemon.start()
    own_valkey.resume()
    wait_until(lambda: succeeds(client, "ping"), "the client has attached again", 20)
    assert own_valkey.calls("incr") <= 1 + len(held)
    assert own_valkey.calls("incr") == int(own_valkey.admin.get("n"))


def test_a_blocking_command_that_times_out_pops_nothing_afterwards(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    from glidecache import Batch, BatchOptions

    client = connect(**patient_briefly(daemon, own_valkey.port))
    batch = Batch(is_atomic=False)
    batch.custom_command(["BLPOP", "list", "0"])
    with pytest.raises(GlideTimeoutError):
        client.call("exec", batch, raise_on_error=True, options=BatchOptions(timeout=TIMEOUT_MS))
    wait_until(lambda: not own_valkey.admin.info("clients")["blocked_clients"], "the server waits no longer")
    own_valkey.admin.rpush("list", "element")
    assert client.call("llen", "list") == 1
