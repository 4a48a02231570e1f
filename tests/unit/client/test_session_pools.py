"""What both clients do with the pool that a session brings: hits, misses, its end, its figures."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    ClientSideCache,
    ClosingError,
    ConfigurationError,
    GlideClientConfiguration,
    RequestError,
)
from glidecache.sync import GlideClient as BlockingGlideClient
from glidecache_shared import lease, protocol
from glidecache_shared.protocol import STRING
from support.clients import AsyncioClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient

    FakeDaemon = Any
    Connect = Callable[..., AnyClient]


def cached() -> ClientSideCache:
    return ClientSideCache.create(64, 0, enable_metrics=True)


def test_hits_come_from_the_pool_and_misses_are_reads(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    daemon.pool.store.insert(b"k", STRING, b"v")
    assert client.get("k") == client.call("custom_command", ["get", "k"]) == b"v"
    assert daemon.operations(protocol.READ, protocol.COMMAND) == []
    assert client.get("other") is None
    assert daemon.operations(protocol.READ) == [(protocol.READ, [1, STRING, b"other"])]
    assert client.metrics().entry_count == 1


def test_c17_many_are_looked_up_and_the_rest_is_asked_for_at_once(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    daemon.answers[protocol.GET_MANY] = lambda body: [b"<" + key + b">" for key in body[1]]
    client = connect(client_side_cache=cached())
    daemon.pool.store.insert(b"b", STRING, b"hit")
    assert client.call("get_many", ["a", "b", b"c", "a"]) == [b"<a>", b"hit", b"<c>", b"<a>"]
    assert client.call("get_many", ["b"]) == [b"hit"]
    assert client.call("get_many", []) == []
    assert [body[1] for _, body in daemon.operations(protocol.GET_MANY)] == [[b"a", b"c", b"a"]]


def test_a_retired_pool_is_replaced_in_passing(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    first = daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    daemon.pool = make_pool(2)
    daemon.pool.store.insert(b"k", STRING, b"v")
    first.store.retire()
    assert client.get("k") is None, "the daemon's answer to the lookup that brought the new pool"
    assert client.get("k") == b"v"
    assert len(daemon.operations(protocol.ATTACH)) == 2
    assert not lease.has_holders(first.lease)
    assert lease.has_holders(daemon.pool.lease)


def test_a_pool_that_stays_retired_is_not_asked_for_with_each_miss(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    daemon.pool.store.retire()
    for _ in range(10):
        client.get("k")
    assert len(daemon.operations(protocol.ATTACH)) == 2


def test_a_pool_that_ends_while_attaching_is_attached_again(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    gone, daemon.pool = make_pool(1), make_pool(2)
    attach = daemon.answers[protocol.ATTACH]
    gone_handout = gone.handout()
    gone.lease_path.unlink()

    def once_gone(body: list[Any]) -> Any:
        daemon.answers[protocol.ATTACH] = attach
        return {**attach(body), "pool": gone_handout}

    daemon.answers[protocol.ATTACH] = once_gone
    client = connect(client_side_cache=cached())
    daemon.pool.store.insert(b"k", STRING, b"v")
    assert client.get("k") == b"v"


def test_a_pool_that_cannot_be_seen_is_a_clear_error(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    with Path(daemon.pool.store.pool_path).open("r+b") as file:
        file.write(b"\0" * 4096)
    with pytest.raises(ConfigurationError, match="cannot read the cache's pool"):
        connect(client_side_cache=cached())
    assert not lease.has_holders(daemon.pool.lease)


def test_closing_detaches_and_lets_the_pool_go(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    assert lease.has_holders(daemon.pool.lease)
    client.close()
    client.close()
    assert daemon.operations(protocol.DETACH) == [(protocol.DETACH, [1])]
    assert not lease.has_holders(daemon.pool.lease)
    for call in (("get", "k"), ("set", "k", "v"), ("get_many", ["k"]), ("custom_command", ["GET", "k"])):
        with pytest.raises(ClosingError, match="the client is closed"):
            client.call(*call)


def test_the_farewell_is_told(daemon: FakeDaemon, connect: Connect) -> None:
    assert daemon
    client = connect()
    client.call("close", "shutting down")
    with pytest.raises(ClosingError, match="the client is closed: shutting down"):
        client.get("k")


def test_an_unclosed_blocking_client_lets_the_pool_go(
    daemon: FakeDaemon, runtime_dir: Path, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), client_side_cache=cached())
    gc.disable()
    try:
        client = BlockingGlideClient.create(config)
        assert lease.has_holders(daemon.pool.lease)
        del client
        assert not lease.has_holders(daemon.pool.lease), "without the help of the cycle collector"
    finally:
        gc.enable()


def test_metrics_may_be_awaited_or_not(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    rate = client.client.get_cache_hit_rate()
    assert isinstance(rate, float)
    assert f"{rate:.2%}" == "0.00%"
    if isinstance(client, AsyncioClient):

        async def awaited() -> Any:
            return await rate, await client.client.get_cache_total_lookups()

        assert client.run(awaited()) == (0.0, 0)


def test_c14_metrics_without_a_cache(daemon: FakeDaemon, connect: Connect) -> None:
    assert daemon
    with pytest.raises(RequestError) as raised:
        connect().metrics()
    assert str(raised.value) == "Client-side caching is not enabled"
