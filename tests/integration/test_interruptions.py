"""An exception from outside at any line leaves the client whole (isolation, I15).

Signal handlers, soft time limits and interrupts raise between any two lines; cancellation, wherever a coroutine
suspends. Each test interrupts one path at its first line, its second, and so on, until the path runs to its end.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import signal
import sys
import threading
import time
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import Batch, GlideClient, GlideClientConfiguration, NodeAddress
from glidecache.sync import GlideClient as BlockingGlideClient
from glidecache_shared.protocol import STRING
from support.caches import new_cache
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

TIMEOUT_MS = 5_000
PACKAGES = ("/glidecache/", "/glidecache_shared/")
SPARE_DESCRIPTORS = 4


class LimitReached(BaseException):
    """The exception of a soft time limit."""


class InterruptedHere(KeyboardInterrupt):
    """The exception of an interrupt."""


class PlainError(Exception):
    """An exception that an application's signal handler raises."""


class Interruption:
    """Raise at the n-th line, call or return in the package's own code."""

    def __init__(self, kind: type[BaseException], number: int) -> None:
        self._kind = kind
        self._left = number
        self.place: tuple[str, int, str] | None = None

    def trace(self, frame: types.FrameType, event: str, _argument: object) -> Any:
        code = frame.f_code
        if not any(package in code.co_filename for package in PACKAGES):
            return None
        self._left -= 1
        if self._left == 0:
            self.place = (code.co_name, frame.f_lineno, event)
            sys.settrace(None)
            raise self._kind
        return self.trace

    def interrupt(self, call: Callable[[], object]) -> BaseException | None:
        """Make the call under interruption; return the exception that it raised."""
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - any exception is the result
            return error
        finally:
            sys.settrace(before)
        return None


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Check that nothing reaches stderr: no coroutine that was not awaited, no error in a finaliser."""
    noise: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: noise.append(repr(found)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        yield noise
        gc.collect()
    noise += [str(warning.message) for warning in caught if issubclass(warning.category, RuntimeWarning)]
    assert noise == []


@pytest.fixture
def configuration(daemon: Daemon, valkey: ValkeyServer) -> GlideClientConfiguration:
    return GlideClientConfiguration(
        [NodeAddress(HOST, valkey.port)],
        client_side_cache=new_cache(),
        request_timeout=TIMEOUT_MS,
        runtime_dir=str(daemon.runtime_dir),
        fallback="error",
    )


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def connect_again(client: Any) -> None:
    client._session._connections.existing().drop()


def attach_again(client: Any) -> None:
    client._session.state.unknown = client._session.state.attachment


def transaction(client: Any) -> None:
    client.watch(["watched"])
    batch = Batch(is_atomic=True)
    batch.set("watched", "1")
    client.exec(batch, raise_on_error=True)


def in_session(client: Any, name: str, *arguments: Any) -> object:
    """Run a call of the executor, in Python. The fast path has no lines to interrupt."""
    call = getattr(client._executor, name)(*arguments)
    return client._finish(call) if isinstance(client, BlockingGlideClient) else call


def nothing(_client: Any) -> None:
    """Prepare nothing."""


PATHS: dict[str, tuple[Callable[[Any], object], Callable[[Any], object]]] = {
    "connect": (connect_again, lambda client: client.get("missing")),
    "attach": (attach_again, lambda client: client.get("missing")),
    "miss": (nothing, lambda client: in_session(client, "read", STRING, "missing")),
    "set": (nothing, lambda client: client.set("s", "v")),
    "blpop": (nothing, lambda client: client.blpop(["empty"], 0.01)),
    "transaction": (nothing, transaction),
    "get_many": (nothing, lambda client: in_session(client, "get_many", ["missing", "other"])),
}


def need_own_replies(client: Any, number: int, server: ValkeyServer) -> None:
    """Check that this thread and another one get the replies to their own requests, at once."""
    for attempt in range(2):
        text = f"{number}-{attempt}"
        assert client.custom_command(["ECHO", text]) == text.encode()
    server.admin.set(f"k{number}", f"v{number}")
    found: list[object] = []
    other = threading.Thread(target=lambda: found.append(client.get(f"k{number}")))
    other.start()
    other.join(TIMEOUT_MS / 1e3)
    assert found == [f"v{number}".encode()]


@pytest.mark.parametrize("kind", [LimitReached, InterruptedHere, PlainError])
@pytest.mark.parametrize("path", PATHS)
def test_i15_an_exception_at_any_line_of_a_call(
    configuration: GlideClientConfiguration, valkey: ValkeyServer, path: str, kind: type[BaseException]
) -> None:
    prepare, call = PATHS[path]
    with BlockingGlideClient.create(configuration) as client:
        call(client)
        before = descriptors()
        kept = []  # with its frames, as an application keeps errors
        for number in range(1, 100_000):
            prepare(client)
            interruption = Interruption(kind, number)
            error = interruption.interrupt(functools.partial(call, client))
            if interruption.place is None:
                assert error is None
                break
            kept.append(error)
            need_own_replies(client, number, valkey)
        assert number > 30, "the path has so few lines that it cannot have been interrupted"
        kept.clear()
        connection: Any = client._session._connections.existing()
        assert not connection.exchange.busy
        assert not connection.exchange.replies
        assert not connection.exchange.open_ids
        assert descriptors() <= before + SPARE_DESCRIPTORS
        wait_until(lambda: not watched(valkey), "no watch is left")


@pytest.mark.parametrize("kind", [LimitReached, PlainError])
@pytest.mark.parametrize("name", ["get", "set", "a call inside"])
def test_i15_an_exception_at_any_moment_of_the_fast_path(
    configuration: GlideClientConfiguration, valkey: ValkeyServer, name: str, kind: type[BaseException]
) -> None:
    """A timer's signals come at moments that are spread over the time which a request takes."""
    waiting = 0

    def handle(_number: int, _frame: types.FrameType | None) -> None:
        if name == "a call inside":
            inside.append(client.custom_command(["ECHO", "inside"]))
        raise kind

    inside: list[object] = []
    calls: dict[str, Callable[[Any], object]] = {
        "get": lambda client: client.get("missing"),
        "set": lambda client: client.set("s", "v"),
        "a call inside": lambda client: client.get("missing"),
    }
    before = signal.signal(signal.SIGALRM, handle)
    try:
        with BlockingGlideClient.create(configuration) as client:
            client.get("missing")
            connection: Any = client._session._connections.existing()
            for number in range(1, 120):
                # Some replies are kept back, so that signals also come while the client waits.
                slow = number % 3 == 0
                if slow:
                    valkey.admin.execute_command("CLIENT", "PAUSE", 3, "ALL")
                returned = False
                try:
                    signal.setitimer(signal.ITIMER_REAL, (number % 60 + 1) * 15e-6 + slow * 1e-3)
                    calls[name](client)
                    returned = True
                    while True:  # `signal.pause` would miss a signal that comes just before
                        time.sleep(0.001)
                except kind:
                    waiting += not returned
                assert not connection.exchange.busy
                assert not connection.exchange.open_ids
                assert not connection.exchange.replies
                text = f"{number}"
                assert client.custom_command(["ECHO", text]) == text.encode()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert waiting > 20
    assert set(inside) <= {b"inside"}


def watched(server: ValkeyServer) -> list[Any]:
    return [each for each in server.admin.client_list() if int(each["watch"]) > 0]


@pytest.mark.parametrize("kind", [LimitReached, PlainError])
def test_i15_an_exception_at_any_line_of_creating_and_closing(
    configuration: GlideClientConfiguration, valkey: ValkeyServer, kind: type[BaseException]
) -> None:
    valkey.admin.set("k", "v")
    BlockingGlideClient.create(configuration).close()
    before = descriptors()
    for number in range(1, 100_000):
        made: list[Any] = []
        creating = Interruption(kind, number)
        creating.interrupt(lambda made=made: made.append(BlockingGlideClient.create(configuration)))  # type: ignore[misc]
        client = made[0] if made else BlockingGlideClient.create(configuration)
        assert client.custom_command(["GET", "k"]) == b"v"
        closing = Interruption(kind, number)
        closing.interrupt(client.close)
        client.close()
        if creating.place is None and closing.place is None:
            break
    del client, made
    assert descriptors() <= before + SPARE_DESCRIPTORS


@types.coroutine
def cancelled_at(coroutine: Coroutine[Any, Any, Any], number: int) -> Generator[Any, Any, bool]:
    """Run the coroutine, and cancel it where it suspends for the n-th time; return False if it suspends less often."""
    value = None
    for _ in range(number - 1):
        try:
            value = yield coroutine.send(value)
        except StopIteration:
            return False
    try:
        future = coroutine.send(value)
    except StopIteration:
        return False
    if future is not None:
        future._asyncio_future_blocking = False
        future.cancel()
    try:
        coroutine.throw(asyncio.CancelledError())
    except asyncio.CancelledError:
        return True
    message = "the cancellation was swallowed"
    raise AssertionError(message)


async def transaction_of_a_loop(client: Any) -> None:
    await client.watch(["watched"])
    batch = Batch(is_atomic=True)
    batch.set("watched", "1")
    await client.exec(batch, raise_on_error=True)


ASYNC_PATHS: dict[str, tuple[Callable[[Any], object], Callable[[Any], Coroutine[Any, Any, Any]]]] = {
    **{name: (prepare, call) for name, (prepare, call) in PATHS.items() if name != "transaction"},  # type: ignore[dict-item]
    "transaction": (nothing, transaction_of_a_loop),
    "fast miss": (nothing, lambda client: client.get("missing")),
}


@pytest.mark.parametrize("company", [False, True], ids=["alone", "beside others"])
@pytest.mark.parametrize("path", ASYNC_PATHS)
def test_i15_cancellation_wherever_a_call_suspends(
    configuration: GlideClientConfiguration, valkey: ValkeyServer, path: str, company: bool
) -> None:
    prepare, call = ASYNC_PATHS[path]

    async def run() -> None:
        client = await GlideClient.create(configuration)
        beside = [asyncio.ensure_future(client.blpop(["never"], 0)) for _ in range(company)]
        await asyncio.sleep(0)
        for number in range(1, 1_000):
            if path == "connect":
                for other in beside:
                    other.cancel()
                beside.clear()
            prepare(client)
            cancelled = await cancelled_at(call(client), number)
            texts = [f"{number}-{place}" for place in range(5)]
            echoes = [client.custom_command(["ECHO", text]) for text in texts]
            assert await asyncio.gather(*echoes) == [text.encode() for text in texts]
            if not cancelled:
                break
        assert number > 1
        connection = client._session._connections.current()
        assert len(connection.exchange.open_calls) == len(beside)
        assert not connection.has_waiters
        for other in beside:
            other.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await client.close()

    asyncio.run(run())
    wait_until(lambda: not watched(valkey), "no watch is left")


@pytest.mark.parametrize("path", ASYNC_PATHS)
def test_i15_an_exception_at_any_line_of_a_task(
    configuration: GlideClientConfiguration, valkey: ValkeyServer, path: str
) -> None:
    prepare, call = ASYNC_PATHS[path]

    async def interrupted(client: Any, interruption: Interruption) -> None:
        coroutine = call(client)
        value = None
        while True:
            # The loop's own callbacks are not interrupted: their errors do not reach the caller.
            sys.settrace(interruption.trace)
            try:
                future = coroutine.send(value)
            except (StopIteration, PlainError):
                return
            finally:
                sys.settrace(None)
            if future is None:
                await asyncio.sleep(0)
                continue
            future._asyncio_future_blocking = False
            try:
                await asyncio.wait([future])
            except BaseException:
                coroutine.close()
                raise

    async def run() -> None:
        client = await GlideClient.create(configuration)
        for number in range(1, 100_000):
            prepare(client)
            interruption = Interruption(PlainError, number)
            await asyncio.ensure_future(interrupted(client, interruption))
            texts = [f"{number}-{place}" for place in range(3)]
            echoes = [client.custom_command(["ECHO", text]) for text in texts]
            assert await asyncio.gather(*echoes) == [text.encode() for text in texts]
            if interruption.place is None:
                break
        assert number > (3 if path == "fast miss" else 30)
        await client.close()

    asyncio.run(run())
    wait_until(lambda: not watched(valkey), "no watch is left")
