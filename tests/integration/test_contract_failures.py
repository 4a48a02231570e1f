"""Contract C24: what callers see while the upstream or the daemon is not there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ConnectionError as GlideConnectionError
from glidecache import DaemonUnavailableError, RequestError
from glidecache import TimeoutError as GlideTimeoutError
from support.cacheable import GET
from support.caches import new_cache
from support.clients import AnyClient, at
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache import ClientSideCache
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

TIMEOUT_MS = 400
SLACK_S = 1.5
"""What a loaded machine may add to a bounded wait before a test calls it unbounded."""


def fails_in_time(client: AnyClient, *call: Any) -> RequestError:
    """Make a call that has to fail, see that it does so within the client's time-out, and return the error."""
    began = time.monotonic()
    with pytest.raises(RequestError) as raised:
        client.call(*call)
    assert time.monotonic() - began < TIMEOUT_MS / 1000 + SLACK_S
    return raised.value


def test_c24_upstream_down_hits_go_on_and_others_fail_in_time(
    connect: Connector, cache: ClientSideCache, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    GET.write(own_valkey, "k", 1)
    client = connect(cache, **at(own_daemon, own_valkey), request_timeout=TIMEOUT_MS)
    client.get("k")
    own_valkey.kill()
    for _ in range(3):
        assert client.get("k") == b"v1"
        for call in (("get", "other"), ("set", "k", "v"), ("get_many", ["k", "other"])):
            error = fails_in_time(client, *call)
            assert isinstance(error, (GlideConnectionError, GlideTimeoutError))
    own_valkey.restart()
    GET.write(own_valkey, "other", 2)
    wait_until(lambda: _value_or_none(client, "other") == b"v2", "the daemon has reconnected", 20)


def test_c24_upstream_hanging_hits_go_on_and_others_time_out(
    connect: Connector, cache: ClientSideCache, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    GET.write(own_valkey, "k", 1)
    client = connect(cache, **at(own_daemon, own_valkey), request_timeout=TIMEOUT_MS)
    client.get("k")
    own_valkey.pause()
    assert client.get("k") == b"v1"
    for call in (("get", "other"), ("set", "late", "v"), ("custom_command", ["PING"])):
        assert isinstance(fails_in_time(client, *call), GlideTimeoutError)
    own_valkey.resume()
    # A reply that came too late must not be taken for the reply to another request.
    wait_until(lambda: _value_or_none(client, "other") is None, "the daemon is heard again")
    GET.write(own_valkey, "other", 3)
    wait_until(lambda: _value_or_none(client, "other") == b"v3", "requests and replies match")


def test_c24_daemon_killed_hits_go_on_for_the_grace_period_only(
    connect: Connector,
    cache: ClientSideCache,
    start_daemon: Callable[..., Daemon],
    own_valkey: ValkeyServer,
) -> None:
    grace_s = 2.0
    daemon = start_daemon(daemon={"grace_ms": int(grace_s * 1000)})
    GET.write(own_valkey, "k", 1)
    client = connect(cache, **at(daemon, own_valkey), fallback="error", request_timeout=TIMEOUT_MS)
    client.get("k")
    daemon.kill()
    killed = time.monotonic()
    assert client.get("k") == b"v1"
    wait_until(lambda: _value_or_none(client, "k") is None, "the pool is trusted no more", grace_s + 5)
    assert time.monotonic() - killed > grace_s / 2, "the last heartbeat was not older than that"
    assert own_valkey.calls("get") == 1


def test_c24_daemon_killed_with_fallback_error(
    connect: Connector, cache: ClientSideCache, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = connect(cache, **at(own_daemon, own_valkey), fallback="error", request_timeout=TIMEOUT_MS)
    client.call("set", "k", "v")
    own_daemon.kill()
    for call in (("get", "k"), ("set", "k", "w"), ("get_many", ["k"])):
        assert isinstance(fails_in_time(client, *call), DaemonUnavailableError)
    assert own_valkey.admin.get("k") == b"v"


def test_c24_daemon_killed_with_fallback_direct(
    connect: Connector, cache: ClientSideCache, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = connect(cache, **at(own_daemon, own_valkey), fallback="direct", request_timeout=TIMEOUT_MS)
    client.call("set", "k", "v")
    own_daemon.kill()
    began = time.monotonic()
    assert client.get("k") == b"v"
    assert client.call("get_many", ["k", "nothing"]) == [b"v", None]
    assert client.call("hgetall", "nothing") == {}
    assert time.monotonic() - began < 2 * TIMEOUT_MS / 1000 + SLACK_S
    began = time.monotonic()
    for number in range(20):
        assert client.call("set", "k", number) == "OK"
    assert time.monotonic() - began < SLACK_S, "after a first failure calls go direct at once"


def test_c24_daemon_back_clients_attach_again_by_themselves(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, unique_name: str
) -> None:
    GET.write(own_valkey, "k", 1)
    client = connect(
        new_cache(name=unique_name),
        **at(own_daemon, own_valkey),
        fallback="error",
        request_timeout=TIMEOUT_MS,
    )
    client.get("k")
    own_daemon.kill()
    fails_in_time(client, "get", "other")
    own_daemon.start()
    wait_until(lambda: _value_or_none(client, "k") == b"v1", "the client is attached again", 20)
    reached = own_valkey.calls("get")

    def hits() -> bool:
        nonlocal reached
        before, reached = reached, own_valkey.calls("get")
        return _value_or_none(client, "k") == b"v1" and own_valkey.calls("get") == reached == before

    wait_until(hits, "hits come from the new pool")
    assert client.call("set", "k", "v2") == "OK"


def test_c24_daemon_hanging_writes_time_out_and_are_not_run_later(
    connect: Connector, cache: ClientSideCache, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = connect(cache, **at(own_daemon, own_valkey), fallback="error", request_timeout=TIMEOUT_MS)
    client.call("set", "k", "before")
    own_daemon.pause()
    assert isinstance(
        fails_in_time(client, "set", "k", "overdue"), (GlideTimeoutError, DaemonUnavailableError)
    )
    own_daemon.resume()
    wait_until(
        lambda: _value_or_none(client, "nothing", default=True) is None, "the daemon answers again", 20
    )
    assert client.call("strlen", "k") == len("before")
    assert own_valkey.calls("set") == 1


def test_c24_daemon_stopped_accepted_requests_are_answered_first(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    from support import worker_tasks

    GET.write(own_valkey, "k", 1)
    cache = new_cache()
    observer = connect(cache, **at(own_daemon, own_valkey))
    worker = connect.worker(cache, **at(own_daemon, own_valkey), fallback="error")
    own_valkey.pause()
    worker.start(worker_tasks.call, "get", ["k"])
    wait_until(lambda: observer.metrics().total_lookups == 1, "the lookup is accepted")
    own_daemon.process.terminate()
    own_valkey.resume()
    assert worker.result() == b"v1"
    assert own_daemon.process.wait(10) == 0


def _value_or_none(client: AnyClient, key: str, *, default: object = None) -> object:
    try:
        return client.get(key)
    except RequestError:
        return default
