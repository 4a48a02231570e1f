"""Misses of the asyncio client, whose coroutines are compiled: a question about one that waits is answered."""

from __future__ import annotations

import asyncio
import inspect
import io
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientSideCache, GlideClient, GlideClientConfiguration
from glidecache_shared import protocol

if TYPE_CHECKING:
    from pathlib import Path

    FakeDaemon = Any


@pytest.mark.parametrize(
    ("method", "answer"), [("get", b"v"), ("hgetall", {b"f": b"v"}), ("smembers", [b"m"])]
)
async def test_a_miss_that_waits_shows_itself_as_a_coroutine_that_waits(
    daemon: FakeDaemon, runtime_dir: Path, method: str, answer: object
) -> None:
    daemon.answers[protocol.READ] = lambda _body: answer
    config = GlideClientConfiguration(
        runtime_dir=str(runtime_dir), client_side_cache=ClientSideCache.create(64, 0), request_timeout=9_000
    )
    async with await GlideClient.create(config) as client:
        assert await getattr(client, method)("answered")
        del daemon.answers[protocol.READ]
        coroutine = getattr(client, method)("k")
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
        task = asyncio.create_task(coroutine)
        await asyncio.sleep(0.05)
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_SUSPENDED
        assert coroutine.cr_await is not None
        assert not coroutine.cr_running
        assert coroutine.cr_frame is not None
        assert f"AsyncClient.{method}" in repr(task)
        written = io.StringIO()
        task.print_stack(file=written)
        assert method in written.getvalue()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
        assert coroutine.cr_frame is None
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            coroutine.send(None)


async def test_a_miss_can_be_closed_where_it_waits(daemon: FakeDaemon, runtime_dir: Path) -> None:
    async with await GlideClient.create(GlideClientConfiguration(runtime_dir=str(runtime_dir))) as client:
        await client.get("answered")
        del daemon.answers[protocol.COMMAND]
        coroutine = client.get("k")
        assert asyncio.isfuture(coroutine.send(None))
        coroutine.close()
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
        coroutine = client.get("k")
        coroutine.send(None)
        with pytest.raises(KeyError, match="thrown"):
            coroutine.throw(KeyError("thrown"))
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
