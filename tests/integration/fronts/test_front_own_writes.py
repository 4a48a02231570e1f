"""Contract C22 for fronts: no flight that was sent before an own write answers the client after it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from support.fault_proxy import REPLIES, proxy_before
from support.front_clients import FrontCalls, FrontKind
from support.valkey_server import HOST
from support.waiting import wait_until
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecache import ClientSideCache
    from support.daemon import Daemon
    from support.fault_proxy import FaultProxy
    from support.valkey_server import ValkeyServer


def _by_pipeline(calls: FrontCalls, pipeline: Any) -> None:
    pipeline.set("k", "v2")
    calls.run(pipeline.execute)


def _by_lock(calls: FrontCalls, front: Any) -> None:
    lock = front.lock("k", timeout=60)
    assert calls.run(lock.acquire, token="v2") is True


WRITES: dict[str, Callable[[FrontCalls, Any], object]] = {
    "set": lambda calls, front: calls.call(front, "set", "k", "v2"),
    "unknown to the table": lambda calls, front: calls.outcome(
        front, "execute_command", "EVAL", "return redis.call('SET', KEYS[1], 'v2')", 1, "k"
    ),
    "pipeline": lambda calls, front: _by_pipeline(calls, front.pipeline()),
    "transaction": lambda calls, front: _by_pipeline(calls, front.pipeline(transaction=True)),
    "script": lambda calls, front: calls.run(
        front.register_script("return redis.call('SET', KEYS[1], 'v2')"), keys=["k"]
    ),
    "one connection": lambda calls, front: calls.call(calls.made(front.client), "set", "k", "v2"),
    "lock": _by_lock,
}


class Held:
    """A daemon behind a proxy that can keep replies back, and another client's flight that is under way."""

    def __init__(
        self, server: ValkeyServer, daemon: Daemon, proxy: FaultProxy, cache: ClientSideCache
    ) -> None:
        self.server = server
        self.daemon = daemon
        self.proxy = proxy
        settings = cache.as_wire()
        self._wire = WireClient(daemon.runtime_dir)
        self._session = self._wire.attach(upstream="default", cache=settings)
        self._flight = 0

    def begin_flight(self, key: bytes) -> None:
        """Let a flight for this key be answered by the server, and keep its reply."""
        before = self.server.calls("get")
        self.proxy.hold(REPLIES)
        self._flight = self._wire.send(protocol.READ, self._session["session_id"], STRING, key)
        wait_until(lambda: self.server.calls("get") == before + 1, "the server has answered the flight")

    def end_flight(self) -> Any:
        self.proxy.release(REPLIES)
        return self._wire.result(self._flight)

    def close(self) -> None:
        self._wire.close()


@pytest.fixture
def held(
    own_valkey: ValkeyServer, start_daemon: Callable[..., Daemon], cache: ClientSideCache
) -> Iterator[Held]:
    with proxy_before(own_valkey.port) as proxy:
        upstream = {"addresses": [f"{HOST}:{proxy.port}"], "request_timeout_ms": 20_000}
        daemon = start_daemon(upstreams={"default": upstream})
        made = Held(own_valkey, daemon, proxy, cache)
        yield made
        made.close()


@pytest.fixture
def calls(front_kind: FrontKind, own_valkey: ValkeyServer, held: Held) -> Iterator[FrontCalls]:
    """Clients whose own connections are direct, while the daemon's are behind the proxy."""
    with FrontCalls(front_kind, own_valkey.port, held.daemon.runtime_dir) as made:
        yield made


def read_while_held(calls: FrontCalls, held: Held, front: Any, *arguments: Any) -> Any:
    """Read while replies are kept back, and release them once the daemon has asked, or has joined the flight."""
    lookups = _misses(held)

    def release() -> None:
        wait_until(lambda: _misses(held) > lookups, "the read is accepted")
        held.proxy.release(REPLIES)

    releasing = threading.Thread(target=release)
    releasing.start()
    try:
        return calls.call(front, *arguments)
    finally:
        releasing.join()


def _misses(held: Held) -> int:
    with WireClient(held.daemon.runtime_dir) as wire:
        wire.hello()
        (cache,) = wire.request(protocol.STATS)["caches"]
        return int(cache["metrics"]["misses"])


def make(calls: FrontCalls, cache: ClientSideCache) -> Any:
    return calls.front(cache, upstream="default", socket_timeout=20)


@pytest.mark.parametrize(
    ("write", "many"),
    [*((write, False) for write in WRITES.values()), (WRITES["set"], True)],
    ids=[*WRITES, "set, mget"],
)
def test_c22_an_own_write_is_seen_past_a_flight_from_before_it(
    calls: FrontCalls,
    held: Held,
    cache: ClientSideCache,
    write: Callable[[FrontCalls, Any], object],
    many: bool,
) -> None:
    is_lock = write is WRITES["lock"]
    if not is_lock:
        held.server.admin.set("k", "v1")
    front = make(calls, cache)
    assert calls.call(front, "get", "warm") is None  # attached, and the daemon was told
    held.begin_flight(b"k")
    write(calls, front)
    assert held.server.admin.get("k") == b"v2"
    found = read_while_held(calls, held, front, *(("mget", "k") if many else ("get", "k")))
    assert found == ([b"v2"] if many else b"v2")
    assert held.end_flight() == (None if is_lock else b"v1")


def test_c22_without_an_own_write_the_flight_is_joined(
    calls: FrontCalls, held: Held, cache: ClientSideCache
) -> None:
    """So the test above can fail; and known reads past the daemon do not count."""
    held.server.admin.set("k", "v1")
    front = make(calls, cache)
    assert calls.call(front, "get", "warm") is None
    held.begin_flight(b"k")
    assert calls.call(front, "strlen", "k") == 2
    held.server.admin.set("k", "v2")
    assert read_while_held(calls, held, front, "get", "k") == b"v1"
    assert held.end_flight() == b"v1"


def test_c22_once_told_the_client_shares_flights_again(
    calls: FrontCalls, held: Held, cache: ClientSideCache
) -> None:
    held.server.admin.set("k", "v1")
    front = make(calls, cache)
    calls.call(front, "set", "other", "v")
    assert calls.call(front, "get", "other") == b"v"  # which carries the write
    assert front._glidecache.own_writes.is_told(front._glidecache.own_writes.last)
    held.begin_flight(b"k")
    held.server.admin.set("k", "v2")
    assert read_while_held(calls, held, front, "get", "k") == b"v1"
    assert held.end_flight() == b"v1"


def test_c22_a_pipeline_that_still_exists_counts(
    calls: FrontCalls, held: Held, cache: ClientSideCache
) -> None:
    held.server.admin.set("k", "v1")
    front = make(calls, cache)
    pipeline = front.pipeline()
    assert calls.call(front, "get", "warm") is None
    held.begin_flight(b"k")
    _by_pipeline(calls, pipeline)
    assert read_while_held(calls, held, front, "get", "k") == b"v2"
    assert held.end_flight() == b"v1"
