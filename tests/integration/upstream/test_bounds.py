"""Many requests at once: what is bounded, and what those are told who come past a bound."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from glidecache import NodeAddress, RequestError
from support.clients import AsyncioClient, at
from support.fault_proxy import REPLIES
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.connector import Connector
    from support.daemon import Daemon
    from support.fault_proxy import FaultProxy
    from support.valkey_server import ValkeyServer

MANY = 10_000
MEBIBYTE = 2**20


def async_client(connect: Connector, **configuration: Any) -> AsyncioClient:
    """One whose calls wait together without a thread each."""
    client = connect(kind="asyncio", **configuration)
    assert isinstance(client, AsyncioClient)
    return client


async def together(call: Callable[..., Any], count: int) -> list[Any]:
    """`call(number)` for each number, all at once."""
    return await asyncio.gather(*(call(number) for number in range(count)), return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """As `wait_until`, while the client's loop runs."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)


@pytest.fixture
def kind() -> str:
    """Threads wait for one reply each: only the asyncio client has many requests in flight."""
    return "asyncio"


def test_ten_thousand_requests_in_flight_in_bounded_memory(
    connect: Connector,
    start_daemon: Callable[..., Daemon],
    own_valkey: ValkeyServer,
    proxy: FaultProxy,
) -> None:
    daemon = start_daemon(daemon={"max_requests_per_client": 2 * MANY})
    client = async_client(
        connect,
        runtime_dir=str(daemon.runtime_dir),
        addresses=[NodeAddress(HOST, proxy.port)],
        request_timeout=60_000,
        inflight_requests_limit=MANY,
    )
    value = b"x" * 100
    own_valkey.admin.mset({f"k{number}": b"%d" % number for number in range(MANY)})
    client.call("ping")
    resident = psutil.Process(daemon.pid).memory_info().rss

    async def all_at_once() -> list[Any]:
        proxy.hold(REPLIES)
        writes = asyncio.create_task(
            together(lambda number: client.client.set(f"w{number}", value), MANY // 2)
        )
        reads = asyncio.create_task(together(lambda number: client.client.get(f"k{number}"), MANY // 2))
        await until(lambda: daemon_open(daemon) == MANY)
        grown = psutil.Process(daemon.pid).memory_info().rss - resident
        assert grown < 64 * MEBIBYTE, grown
        with pytest.raises(RequestError, match="inflight_requests_limit"):
            await client.client.get("one more")
        proxy.release(REPLIES)
        return [*await writes, *await reads]

    outcomes = client.run(all_at_once())
    assert outcomes == ["OK"] * (MANY // 2) + [b"%d" % number for number in range(MANY // 2)]
    assert own_valkey.calls("set") == MANY // 2


def daemon_open(daemon: Daemon) -> int:
    """How many requests the daemon has accepted and not answered, that of asking for it left out."""
    number: int = daemon.stats()["daemon"]["open_requests"]
    return number - 1


def test_past_the_inflight_limit_calls_are_refused_and_the_others_answered(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = async_client(connect, **at(daemon, own_valkey), inflight_requests_limit=5)

    async def eight() -> list[Any]:
        return await together(lambda number: client.client.incr(f"n{number}"), 8)

    client.call("ping")
    outcomes = client.run(eight())
    assert outcomes[:5] == [1] * 5
    for refused in outcomes[5:]:
        assert isinstance(refused, RequestError)
        assert "inflight_requests_limit" in str(refused)
    assert client.run(eight())[:5] == [2] * 5
    assert own_valkey.calls("incr") == 10


def test_past_the_daemons_bound_requests_are_refused_by_name(
    connect: Connector, start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    upstream = {"addresses": [f"{HOST}:{proxy.port}"], "max_waiting_requests": 10}
    daemon = start_daemon(upstreams={"default": upstream})
    client = async_client(connect, runtime_dir=str(daemon.runtime_dir), request_timeout=10_000)
    client.call("ping")

    async def fifteen() -> list[Any]:
        proxy.hold(REPLIES)
        calls = asyncio.create_task(together(lambda number: client.client.incr(f"n{number}"), 15))
        await until(lambda: daemon.stats()["upstreams"][0]["failed"] == 5)
        proxy.release(REPLIES)
        return await calls

    outcomes = client.run(fifteen())
    assert outcomes[:10] == [1] * 10
    for refused in outcomes[10:]:
        assert isinstance(refused, RequestError)
        assert "10 requests already wait" in str(refused)
    assert own_valkey.calls("incr") == 10


def test_without_a_free_blocking_connection_the_caller_is_told_and_others_go_on(
    connect: Connector, start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer
) -> None:
    # One of the three is kept for other processes (isolation I9).
    upstream = {"addresses": [f"{HOST}:{own_valkey.port}"], "max_blocking_connections": 3}
    daemon = start_daemon(upstreams={"default": upstream})
    client = connect(kind="blocking", runtime_dir=str(daemon.runtime_dir), request_timeout=10_000)
    pop = ("custom_command", ["BLPOP", "list", "20"])
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(client.call, *pop) for _ in range(2)]
        wait_until(lambda: own_valkey.admin.info("clients")["blocked_clients"] == 2, "both wait")
        with pytest.raises(RequestError, match="max_blocking_connections"):
            client.call(*pop)
        assert client.call("set", "k", "v") == "OK"
        assert client.get("k") == b"v"
        own_valkey.admin.rpush("list", "a", "b")
        assert sorted(each.result(10)[1] for each in waiting) == [b"a", b"b"]
    own_valkey.admin.rpush("list", "c")
    assert client.call(*pop) == [b"list", b"c"]
