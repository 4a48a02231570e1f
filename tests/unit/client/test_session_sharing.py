"""One client in several places: forks, threads, event loops, calls inside calls, and what is open when it closes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    ClosingError,
    GlideClient,
    GlideClientConfiguration,
    TimeoutError,
)
from glidecache.sync import GlideClient as BlockingGlideClient
from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from support.caches import new_cache
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient

    FakeDaemon = Any
    Connect = Callable[..., AnyClient]


async def arrival(daemon: FakeDaemon) -> None:
    """Wait until the daemon has got a command."""
    await asyncio.to_thread(wait_until, lambda: daemon.operations(protocol.COMMAND), "the command arrives")


def test_a_forked_child_goes_on_and_leaves_the_parents_session(
    daemon: FakeDaemon, runtime_dir: Path, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    daemon.pool.store.insert(b"k", STRING, b"v")
    config = GlideClientConfiguration(
        runtime_dir=str(runtime_dir), client_side_cache=new_cache(), request_timeout=5_000
    )
    client = BlockingGlideClient.create(config)
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            if client.get("k") == b"v" and client.echo("child") == b"child":
                client.close()
                status = 0
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert client.echo("parent") == b"parent"
    client.close()
    assert len(daemon.operations(protocol.ATTACH)) == 1
    assert daemon.operations(protocol.DETACH) == [(protocol.DETACH, [1])]


def test_threads_have_channels_of_their_own(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    wrong = []
    with BlockingGlideClient.create(config) as client:

        def work(name: str) -> None:
            for number in range(50):
                text = f"{name}{number}".encode()
                if client.echo(text) != text:
                    wrong.append(text)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(daemon.operations(protocol.HELLO)) == 5
    assert len(daemon.operations(protocol.ATTACH)) == 1


async def test_one_client_in_two_event_loops(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    client = await GlideClient.create(config)

    async def work(name: str) -> list[bytes]:
        return list(await asyncio.gather(*(client.echo(f"{name}{number}") for number in range(50))))

    theirs: list[bytes] = []
    thread = threading.Thread(target=lambda: theirs.extend(asyncio.run(work("t"))))
    thread.start()
    ours = await work("m")
    await asyncio.to_thread(thread.join)
    assert ours == [f"m{number}".encode() for number in range(50)]
    assert theirs == [f"t{number}".encode() for number in range(50)]
    assert len(daemon.operations(protocol.HELLO)) == 2
    await client.close()


async def test_c23_what_is_not_awaited_keeps_its_order(
    make_daemon: Callable[..., FakeDaemon], runtime_dir: Path
) -> None:
    first = make_daemon(1)
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    async with await GlideClient.create(config) as client:
        first.stop()
        second = make_daemon(2)
        # All of them find the daemon gone, and none overtakes another while one of them attaches.
        await asyncio.gather(*(client.append("k", str(number)) for number in range(100)))
        sent = [body[1][2] for _, body in second.operations(protocol.COMMAND)]
    assert sent == [str(number).encode() for number in range(100)]


async def test_a_cancelled_call_leaves_no_trace(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=60_000)
    async with await GlideClient.create(config) as client:
        echo = daemon.answers.pop(protocol.COMMAND)
        task = asyncio.create_task(client.echo("slow"))
        await arrival(daemon)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client._session._connections.current().exchange.open_calls == {}  # type: ignore[attr-defined]
        daemon.answers[protocol.COMMAND] = echo
        daemon.send_late()
        assert await client.echo("x") == b"x"


async def test_cancelling_while_connecting_is_safe(
    make_daemon: Callable[..., FakeDaemon], runtime_dir: Path
) -> None:
    first = make_daemon(1)
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    async with await GlideClient.create(config) as client:
        first.stop()
        tasks = [asyncio.create_task(client.echo(str(number))) for number in range(5)]
        await asyncio.sleep(0.05)
        for task in tasks[:3]:
            task.cancel()
        make_daemon(2)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results[:3]] == [asyncio.CancelledError] * 3
        assert results[3:] == [b"3", b"4"]


async def test_open_requests_are_bounded(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(
        runtime_dir=str(runtime_dir), inflight_requests_limit=3, request_timeout=200
    )
    async with await GlideClient.create(config) as client:
        daemon.answers.pop(protocol.COMMAND)
        results = await asyncio.gather(*(client.incr("n") for _ in range(5)), return_exceptions=True)
    limited = [result for result in results if "inflight_requests_limit" in str(result)]
    assert len(limited) == 2
    assert sum(isinstance(result, TimeoutError) for result in results) == 3


async def test_closing_fails_what_still_waits(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=60_000)
    client = await GlideClient.create(config)
    daemon.answers.pop(protocol.COMMAND)
    task = asyncio.create_task(client.incr("n"))
    await arrival(daemon)
    await client.close()
    with pytest.raises(ClosingError):
        await task


def test_a_call_inside_a_call(daemon: FakeDaemon, runtime_dir: Path) -> None:
    """A signal handler may use the client that it has interrupted: both calls get their own reply."""
    import signal

    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    inner: list[bytes] = []
    with BlockingGlideClient.create(config) as client:
        echo = daemon.answers[protocol.COMMAND]

        def slowly(body: list[Any]) -> Any:
            if body[1][1] == b"outer":
                os.kill(os.getpid(), signal.SIGUSR1)
                time.sleep(0.1)
            return echo(body)

        daemon.answers[protocol.COMMAND] = slowly
        previous = signal.signal(signal.SIGUSR1, lambda *_: inner.append(client.echo("inner")))
        try:
            assert client.echo("outer") == b"outer"
        finally:
            signal.signal(signal.SIGUSR1, previous)
    assert inner == [b"inner"]


@pytest.mark.usefixtures("daemon")
def test_a_blocking_command_may_be_a_threads_first(runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir))
    with BlockingGlideClient.create(config) as client, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.custom_command, ["BLPOP", "k", "0"])
        assert answer.result() == b"0"
