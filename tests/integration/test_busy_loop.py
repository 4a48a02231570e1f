"""A deadline measures the daemon and the server, not the caller's own event loop (contract C28)."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from glidecache import (
    DaemonUnavailableError,
    GlideClient,
    GlideClientConfiguration,
    NodeAddress,
    TimeoutError,
)
from glidecache.sync import GlideClient as BlockingGlideClient
from glidecached.doctor.turns import turns_of
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

LOADS = [(100, 5), (200, 2), (400, 1)]
DEFAULT_TIMEOUT_S = 0.25
STARVED_NS = 50_000_000
ATTEMPTS = 5
BUSY_THREADS = 8


@pytest.fixture(params=["asyncio", "uvloop"])
def run(
    request: pytest.FixtureRequest, daemon: Daemon, valkey: ValkeyServer
) -> Callable[[Callable[[], Coroutine[Any, Any, None]]], None]:
    """Run a test's coroutine, again if the daemon or the server waited long for a processor: that does count (C28)."""
    run_loop = asyncio.run if request.param == "asyncio" else uvloop.run

    def waited_ns() -> int:
        return sum(turns_of(process.pid).waited_ns for process in (daemon, valkey))

    def run_main(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        for _ in range(ATTEMPTS):
            before_ns = waited_ns()
            try:
                return run_loop(main())
            except AssertionError as error:
                if waited_ns() - before_ns < STARVED_NS:
                    raise
                failure = error
        raise failure

    return run_main


@pytest.fixture
def configuration(daemon: Daemon, valkey: ValkeyServer) -> GlideClientConfiguration:
    """Return a configuration with the default time-out."""
    return GlideClientConfiguration(
        [NodeAddress(HOST, valkey.port)], runtime_dir=str(daemon.runtime_dir), fallback="error"
    )


async def after_work(milliseconds: float, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Work as tasks do that compute before they call: the loop does nothing else meanwhile."""
    time.sleep(milliseconds / 1e3)  # noqa: ASYNC251 - the test is about a busy loop
    return await call()


async def together(
    tasks: int, milliseconds: float, call: Callable[[int], Coroutine[Any, Any, Any]]
) -> set[Any]:
    """Return the distinct outcomes of many tasks that each work before their call."""
    calls = (after_work(milliseconds, lambda number=number: call(number)) for number in range(tasks))  # type: ignore[misc]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return {repr(outcome) for outcome in outcomes}


@pytest.mark.parametrize(("tasks", "milliseconds"), LOADS)
@pytest.mark.parametrize("begin", ["connected", "disconnected", "unattached"])
def test_c28_tasks_that_work_before_their_command_do_not_time_out(
    configuration: GlideClientConfiguration,
    run: Callable[..., Any],
    tasks: int,
    milliseconds: float,
    begin: str,
) -> None:
    async def main() -> None:
        client = await GlideClient.create(configuration)
        session: Any = client._session
        if begin == "disconnected":
            session._connections.current().drop()
        elif begin == "unattached":
            session.state.unknown = session.state.attachment
        assert await together(tasks, milliseconds, lambda number: client.set(f"k{number}", "v")) == {"'OK'"}
        assert await together(tasks, milliseconds, lambda number: client.get(f"k{number}")) == {"b'v'"}
        await client.close()

    run(main)


def block(milliseconds: float) -> None:
    """Block the thread as a call to another service does."""
    time.sleep(milliseconds / 1e3)


def compute(milliseconds: float) -> None:
    """Use the processor."""
    end_ns = time.thread_time_ns() + int(milliseconds * 1e6)
    while time.thread_time_ns() < end_ns:
        pass


@pytest.mark.parametrize("milliseconds", [0.2, 1, 4])
@pytest.mark.parametrize("work", [block, compute])
@pytest.mark.parametrize("begin", ["connected", "disconnected", "unattached"])
def test_c28_a_loop_that_works_in_each_of_its_turns_does_not_time_out(
    configuration: GlideClientConfiguration,
    run: Callable[..., Any],
    work: Callable[[float], None],
    milliseconds: float,
    begin: str,
) -> None:
    """The work of many short turns counts as that of one long turn does."""
    # A turn for each call would take twice the time-out, as far as so many may be in flight.
    calls = min(900, int(2_000 * DEFAULT_TIMEOUT_S / milliseconds))

    async def main() -> None:
        client = await GlideClient.create(configuration)
        session: Any = client._session

        async def work_on() -> None:
            while True:
                work(milliseconds)
                await asyncio.sleep(0)

        working = asyncio.create_task(work_on())
        if begin == "disconnected":
            session._connections.current().drop()
        elif begin == "unattached":
            session.state.unknown = session.state.attachment
        assert await together(calls, 0, lambda number: client.set(f"k{number}", "v")) == {"'OK'"}
        working.cancel()
        await client.close()

    run(main)


@pytest.mark.parametrize(("clients", "milliseconds"), [(20, 25), (50, 10), (80, 6)])
def test_c28_clients_are_created_in_a_busy_loop(
    configuration: GlideClientConfiguration, run: Callable[..., Any], clients: int, milliseconds: float
) -> None:
    async def create(_number: int) -> str:
        async with await GlideClient.create(configuration) as client:
            return str(await client.set("k", "v"))

    async def main() -> None:
        assert await together(clients, milliseconds, create) == {"'OK'"}

    run(main)


def test_c28_a_reply_that_has_arrived_is_a_reply(
    configuration: GlideClientConfiguration, run: Callable[..., Any]
) -> None:
    """The rule holds for any number of replies, and for either order of timers and sockets in the loop."""

    async def main() -> None:
        client = await GlideClient.create(configuration)
        value = b"v" * 5_000
        await client.set("k", value)
        sent = [asyncio.ensure_future(client.get("k")) for _ in range(100)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(3 * DEFAULT_TIMEOUT_S)  # noqa: ASYNC251
        assert await asyncio.gather(*sent) == [value] * len(sent)
        await client.close()

    run(main)


def test_c28_threads_that_wait_for_the_interpreter_do_not_time_out(
    configuration: GlideClientConfiguration,
) -> None:
    done = threading.Event()

    def compute() -> None:
        while not done.is_set():
            sum(range(100_000))

    computing = [threading.Thread(target=compute) for _ in range(BUSY_THREADS)]
    with BlockingGlideClient.create(configuration) as client:
        for thread in computing:
            thread.start()
        try:
            for number in range(20):
                assert client.set(f"k{number}", "v") == "OK"
        finally:
            done.set()
            for thread in computing:
                thread.join()


def test_c28_a_daemon_that_hangs_is_not_waited_for_without_bound(
    own_daemon: Daemon, own_valkey: ValkeyServer, run: Callable[..., Any]
) -> None:
    del own_valkey

    async def main() -> None:
        configuration = GlideClientConfiguration(runtime_dir=str(own_daemon.runtime_dir), fallback="error")
        client = await GlideClient.create(configuration)
        assert await client.set("k", "v") == "OK"
        own_daemon.pause()
        session: Any = client._session
        for prepare in (lambda: None, session._connections.current().drop):
            prepare()
            async with asyncio.timeout(20):
                outcomes = await asyncio.gather(
                    *(after_work(5, lambda: client.set("k", "v")) for _ in range(50)), return_exceptions=True
                )
            assert {type(outcome) for outcome in outcomes} <= {TimeoutError, DaemonUnavailableError}
        own_daemon.resume()
        await client.close()

    run(main)
