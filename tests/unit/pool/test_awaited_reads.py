"""Awaited reads: whatever is done with one, it does what the coroutine of the same function does (design 20)."""

from __future__ import annotations

import asyncio
import collections.abc
import copy
import gc
import inspect
import pickle
import sys
import time
import types
import warnings
import weakref
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import trio
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glidecache_shared.pool.awaited_reads import AwaitedReads, awaited_read
from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator

    from unit.pool.conftest import MakeStore

    Make = Callable[["Client", object], Coroutine[Any, Any, Any]]


class Suspended:
    """The object that a coroutine of these tests waits for."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self)


async def fail() -> None:
    message = "fails"
    raise ConnectionError(message)


async def stop() -> None:
    message = "stops"
    raise StopIteration(message)


async def refuse_to_end() -> None:
    try:
        await Suspended()
    except GeneratorExit:
        await Suspended()


async def catch() -> object:
    try:
        return await Suspended()
    except KeyError as error:
        return error.args


async def answer_none() -> None:
    return None


async def answer_a_tuple() -> tuple[int, int]:
    return (1, 2)


MISSES: dict[object, Callable[[], Awaitable[Any]]] = {
    "none": answer_none,
    "tuple": answer_a_tuple,
    "fails": fail,
    "stops": stop,
    "stubborn": refuse_to_end,
    "catches": catch,
    "sleeps": lambda: asyncio.sleep(0.001, "slept"),
    "sleeps long": lambda: asyncio.sleep(60),
}
"""The behaviour of misses of these keys; others suspend twice."""


class Client(AwaitedReads):
    """Reads as the asyncio clients do; a missing key's name says what its miss does."""

    def __init__(self, reader: PoolReader | None = None) -> None:
        self._reader = reader
        self.misses: list[tuple[int, Any]] = []

    @awaited_read(STRING)
    async def get(self, key: Any) -> Any:
        """Return the string."""
        reader = self._reader
        value = None if reader is None else reader.get(key)
        return await self._read_miss(STRING, key) if value is None else value

    @awaited_read(HASH)
    async def hgetall(self, key: Any) -> Any:
        """Return the hash."""
        reader = self._reader
        value = None if reader is None else reader.hgetall(key)
        return await self._read_miss(HASH, key) if value is None else value

    @awaited_read(SET)
    async def smembers(self, key: Any) -> Any:
        """Return the set."""
        reader = self._reader
        value = None if reader is None else reader.smembers(key)
        return await self._read_miss(SET, key) if value is None else value

    async def _read_miss(self, kind: int, key: Any) -> Any:
        self.misses.append((kind, key))
        if key in MISSES:
            return await MISSES[key]()
        return [await Suspended(), await Suspended()]


def light(client: Client, key: object) -> Coroutine[Any, Any, Any]:
    return client.get(key)


def plain(client: Client, key: object) -> Coroutine[Any, Any, Any]:
    """Return the coroutine that Python makes of the same function."""
    function: Make = Client.get.__wrapped__  # type: ignore[attr-defined]
    return function(client, key)


def in_debug_mode(client: Client, key: object) -> Coroutine[Any, Any, Any]:
    sys.set_coroutine_origin_tracking_depth(1)
    try:
        return client.get(key)
    finally:
        sys.set_coroutine_origin_tracking_depth(0)


def materialised(client: Client, key: object) -> Coroutine[Any, Any, Any]:
    """Return a light coroutine that has been asked for its frame."""
    coroutine = client.get(key)
    assert coroutine.cr_frame.f_code is coroutine.cr_code
    return coroutine


MAKES = {"light": light, "plain": plain, "debug": in_debug_mode, "materialised": materialised}
KEYS = ["hit", b"hit", "none", "tuple", "fails", "stops", "stubborn", "catches", "waits", None, True]


@pytest.fixture
def client(make_store: MakeStore) -> Client:
    store = make_store(now_ns=time.monotonic_ns())
    store.insert(b"hit", STRING, b"value", 1)
    store.insert(b"hash", HASH, {b"f": b"v"}, 2)
    store.insert(b"set", SET, {b"m"}, 3)
    return Client(PoolReader(store.pool_path, store.board_path))


@pytest.fixture(params=MAKES)
def make(request: pytest.FixtureRequest) -> Make:
    return MAKES[request.param]


def outcome(do: Callable[..., object], *arguments: object) -> tuple[str, object]:
    try:
        value = do(*arguments)
    except BaseException as error:  # noqa: BLE001 - whatever comes is what is compared
        return type(error).__name__, error.value if isinstance(error, StopIteration) else str(error)
    return "returned", "suspended" if isinstance(value, Suspended) else value


STEPS: dict[str, Callable[[Any], object]] = {
    "send": lambda coroutine: coroutine.send(None),
    "send a value": lambda coroutine: coroutine.send(7),
    "throw": lambda coroutine: coroutine.throw(KeyError("thrown")),
    "throw a type": lambda coroutine: coroutine.throw(ValueError),
    "throw nonsense": lambda coroutine: coroutine.throw(7),
    "close": lambda coroutine: coroutine.close(),
    "state": inspect.getcoroutinestate,
    "running": lambda coroutine: coroutine.cr_running,
    "iterate": lambda coroutine: outcome(iter, coroutine)[0],
    "by an iterator": lambda coroutine: next(coroutine.__await__()),
    "throw into an iterator": lambda coroutine: coroutine.__await__().throw(KeyError("thrown")),
    "close an iterator": lambda coroutine: coroutine.__await__().close(),
    "name": lambda coroutine: (coroutine.__name__, coroutine.__qualname__),
    "wait": lambda coroutine: coroutine.cr_await is not None and coroutine.cr_suspended,
    "pickle": pickle.dumps,
}


def run(make: Make, client: Client, key: object, steps: list[str]) -> list[object]:
    """Do the steps with one coroutine and drop it. Return what each did, and what was warned of."""
    client.misses.clear()
    coroutine = make(client, key)
    done: list[object] = [outcome(STEPS[step], coroutine) for step in steps]
    with warnings.catch_warnings(record=True) as warned, mock.patch("sys.unraisablehook") as unraisable:
        warnings.simplefilter("always")
        del coroutine
    done += [str(each.message) for each in warned]
    done += [str(call.args[0].exc_value) for call in unraisable.call_args_list]
    return [*done, list(client.misses)]


@given(key=st.sampled_from(KEYS), steps=st.lists(st.sampled_from(list(STEPS)), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_any_sequence_of_steps_does_what_it_does_to_pythons_coroutine(
    client: Client, key: object, steps: list[str]
) -> None:
    expected = run(plain, client, key, steps)
    for name, make in MAKES.items():
        done = run(make, client, key, steps)
        if name == "debug":  # the warning names the place, too
            done = [
                str(each).partition("\nCoroutine created at")[0] if isinstance(each, str) else each
                for each in done
            ]
        assert done == expected, name


@pytest.mark.parametrize("method", ["get", "hgetall", "smembers"])
async def test_hits_and_misses_of_each_kind(client: Client, method: str) -> None:
    values: dict[str, Any] = {"get": b"value", "hgetall": {b"f": b"v"}, "smembers": {b"m"}}
    keys = {"get": b"hit", "hgetall": b"hash", "smembers": b"set"}
    kinds = {"get": STRING, "hgetall": HASH, "smembers": SET}
    read = getattr(client, method)
    for key in (keys[method], keys[method].decode(), bytearray(keys[method])):
        assert await read(key) == values[method]
    assert await read(key=keys[method]) == values[method]
    assert client.misses == []
    assert await read("none") is None
    client._reader = None
    assert await read("tuple") == (1, 2)
    assert client.misses == [(kinds[method], "none"), (kinds[method], "tuple")]
    first = await getattr(Client, method)(client, "none")
    assert first is None


async def test_the_pool_is_looked_up_when_the_coroutine_begins(client: Client) -> None:
    assert client._reader is not None
    before = client._reader.metrics().hits
    reading = client.get("hit")
    assert client._reader.metrics().hits == before
    client._reader, reader = None, client._reader
    waiting = client.get("hit")
    client._reader = reader
    assert (await waiting, await reading) == (b"value", b"value")
    assert client._reader.metrics().hits == before + 2


async def use_in_all_ways(client: Client, make: Make) -> list[object]:
    """Await reads in the ways that asyncio has. Return the results."""
    results: list[object] = [await make(client, "hit"), await make(client, "sleeps")]
    results += await asyncio.gather(*(make(client, key) for key in ("hit", "sleeps", "none")))
    results.append(await asyncio.wait_for(make(client, "hit"), 5))
    results.append(await asyncio.wait_for(make(client, "sleeps"), 5))
    results += [await asyncio.create_task(make(client, key)) for key in ("hit", "sleeps")]
    results += [await asyncio.shield(make(client, key)) for key in ("hit", "sleeps")]
    results += [await asyncio.ensure_future(make(client, key)) for key in ("hit", "sleeps")]
    results += sorted(
        [await each for each in asyncio.as_completed([make(client, "hit"), make(client, "none")])], key=str
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(make(client, key)) for key in ("hit", "sleeps")]
    results += [task.result() for task in tasks]
    async with asyncio.timeout(5):
        results.append(await make(client, "sleeps"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(make(client, "sleeps long"), 0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await make(client, "sleeps long")
    with pytest.raises(ConnectionError, match="fails"):
        await make(client, "fails")
    try:
        async with asyncio.TaskGroup() as group:
            other = group.create_task(make(client, "sleeps long"))
            group.create_task(make(client, "fails"))
    except* ConnectionError:
        assert other.cancelled()
        results.append("failed")
    for begun in (False, True):
        task = asyncio.create_task(make(client, "sleeps long"))
        if begun:
            await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
    return results


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_asyncio_uses_it_as_any_coroutine(
    client: Client, make: Make, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    expected = asyncio.run(use_in_all_ways(client, plain))
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(use_in_all_ways(client, make)) == expected
        assert runner.run(make(client, "hit")) == b"value"
        assert runner.get_loop().run_until_complete(make(client, "sleeps")) == "slept"
    assert asyncio.run(make(client, "hit")) == b"value"
    assert asyncio.run(make(client, "sleeps")) == "slept"


def test_debug_mode_has_pythons_own_coroutine(client: Client) -> None:
    async def use() -> None:
        assert type(client.get("hit")) is not types.CoroutineType
        asyncio.get_running_loop().set_debug(True)
        await asyncio.sleep(0)
        coroutine = client.get("hit")
        assert type(coroutine) is types.CoroutineType
        assert coroutine.cr_origin
        assert await coroutine == b"value"

    with pytest.warns(RuntimeWarning, match=r"^coroutine 'Client.get' was never awaited$"):
        asyncio.run(use(), debug=False)
    expected = asyncio.run(use_in_all_ways(client, plain))
    assert asyncio.run(use_in_all_ways(client, light), debug=True) == expected
    sys.set_coroutine_origin_tracking_depth(5)
    try:
        with pytest.warns(
            RuntimeWarning, match=r"(?s)'Client.get' was never awaited.*created at.*test_awaited"
        ):
            client.get("hit")
    finally:
        sys.set_coroutine_origin_tracking_depth(0)


def test_trio_runs_it(client: Client) -> None:
    async def use() -> list[object]:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.get, "hit")
        return [await client.get("hit"), await client.get("none")]

    assert trio.run(use) == [b"value", None]
    assert trio.run(client.get, "hit") == b"value"


async def test_a_task_shows_where_it_waits(client: Client, make: Make) -> None:
    for key in ("sleeps long", "hit"):
        task = asyncio.create_task(make(client, key))
        assert "Client.get" in repr(task)
        await asyncio.sleep(0)
        assert "Client.get" in repr(task)
        if key == "hit":
            await task
            assert "done" in repr(task)
            continue
        [frame] = task.get_stack()
        assert frame.f_code.co_filename == __file__
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.get_stack() == []


def test_whoever_asks_takes_it_for_a_coroutine(client: Client, make: Make) -> None:
    coroutine = make(client, "hit")
    assert inspect.iscoroutine(coroutine)
    assert inspect.isawaitable(coroutine)
    assert asyncio.iscoroutine(coroutine)
    assert isinstance(coroutine, collections.abc.Coroutine)
    assert isinstance(coroutine, types.CoroutineType)
    assert not isinstance(coroutine, collections.abc.Iterable)
    assert not inspect.isgenerator(coroutine)
    assert repr(coroutine).startswith("<coroutine object Client.get at 0x")
    assert weakref.ref(coroutine)() is coroutine
    assert hash(coroutine) == hash(coroutine)
    with pytest.raises(TypeError, match="cannot pickle 'coroutine' object"):
        copy.copy(coroutine)
    with pytest.raises(TypeError, match="object is not iterable"):
        list(coroutine)  # type: ignore[call-overload]
    coroutine.close()
    coroutine.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coroutine.send(None)


def test_an_await_method_in_python_passes_it_on(client: Client, make: Make) -> None:
    class Reading:
        def __init__(self, key: str) -> None:
            self.key = key

        def __await__(self) -> Generator[Any, Any, Any]:
            return make(client, self.key).__await__()

    class Delegating(Reading):
        def __await__(self) -> Generator[Any, Any, Any]:
            return (yield from super().__await__())

    async def use() -> list[object]:
        return [await each(key) for each in (Reading, Delegating) for key in ("hit", "sleeps")]

    assert asyncio.run(use()) == [b"value", "slept"] * 2


def test_a_tracing_function_changes_nothing(client: Client, make: Make) -> None:
    seen = []
    sys.settrace(lambda frame, _event, _argument: seen.append(frame.f_code.co_name))
    try:
        results = asyncio.run(use_in_all_ways(client, make))
    finally:
        sys.settrace(None)
    assert "use_in_all_ways" in seen
    assert results == asyncio.run(use_in_all_ways(client, plain))


def test_the_method_shows_itself_as_the_function_that_it_was_written_as(client: Client) -> None:
    function = Client.get.__wrapped__  # type: ignore[attr-defined]
    for method in (Client.get, client.get):
        assert inspect.iscoroutinefunction(method)
        if sys.version_info < (3, 14):  # where it is deprecated
            assert asyncio.iscoroutinefunction(method)
        assert method.__name__ == "get"
        assert method.__qualname__ == "Client.get"
        assert method.__module__ == __name__
        assert inspect.getdoc(method) == "Return the string."
        assert inspect.getsourcefile(method) == __file__
    assert inspect.ismethod(client.get)
    assert inspect.signature(Client.get) == inspect.signature(function)
    assert list(inspect.signature(client.get).parameters) == ["key"]
    assert repr(Client.get) == repr(function)
    assert client.get == client.get
    assert Client.get.__annotations__ == function.__annotations__
    assert copy.copy(Client.get) is Client.get
    with pytest.raises(AttributeError):
        Client.get.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_call_with_wrong_arguments_fails_as_the_functions_call(client: Client) -> None:
    calls: list[Callable[[Any], object]] = [
        lambda get: get(client),
        lambda get: get(client, "k", "l"),
        lambda get: get(client, "k", key="l"),
        lambda get: get(client, name="k"),
        lambda get: get(),
    ]
    for call in calls:
        assert outcome(call, Client.get) == outcome(call, Client.get.__wrapped__)  # type: ignore[attr-defined]
    stranger: Any = object()
    reading = Client.get(stranger, "k")
    assert outcome(reading.send, None)[0] == "AttributeError"


async def test_mocks_of_a_client_can_be_awaited() -> None:
    for mocked in (mock.create_autospec(Client, instance=True), mock.AsyncMock(spec=Client)):
        mocked.get.return_value = b"mocked"
        assert await mocked.get("key") == b"mocked"
        mocked.get.assert_awaited_once_with("key")
    autospecced = mock.create_autospec(Client, instance=True)
    with pytest.raises(TypeError, match="too many positional arguments"):
        autospecced.get("key", "other")
    with mock.patch.object(Client, "get", autospec=True) as patched:
        patched.return_value = b"patched"
        assert await Client().get("key") == b"patched"
    assert inspect.iscoroutinefunction(Client.get)


async def test_a_subclass_may_override_it(client: Client) -> None:
    class Prefixed(Client):
        async def get(self, key: Any) -> Any:
            return await super().get("h" + key)

    assert await Prefixed(client._reader).get("it") == b"value"


class OddKey(bytes):
    """A key whose bytes are made by code that uses the coroutine which is looking it up."""

    coroutine: Any

    def __bytes__(self) -> bytes:
        return str(outcome(self.coroutine.send, None)[0]).encode()


def test_a_keys_own_code_cannot_begin_the_read_again(client: Client) -> None:
    key = OddKey(b"hit")
    key.coroutine = client.get(key)
    assert outcome(key.coroutine.send, None) == ("returned", mock.ANY)
    assert client.misses == [(STRING, key)]
    key.coroutine.close()


@pytest.fixture
def collected() -> Iterator[list[Any]]:
    """Give the list of what the tests' cycles leave behind; none of it may stay."""
    gc.collect()
    references: list[Any] = []
    yield references
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


@pytest.mark.parametrize("key", ["hit", "none", "waits"])
@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_cycles_are_collected(client: Client, make: Make, key: str, steps: int, collected: list[Any]) -> None:
    other: Any = Client(client._reader)
    other.reading = make(other, key)
    if steps:
        outcome(other.reading.send, None)
    collected += [weakref.ref(other), weakref.ref(other.reading)]


def test_a_cycle_warns_as_well(client: Client) -> None:
    other: Any = Client(client._reader)
    other.reading = other.get("hit")
    del other
    with pytest.warns(RuntimeWarning, match=r"coroutine 'Client.get' was never awaited"):
        gc.collect()


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_more_reads_at_once_than_are_kept_for_later(client: Client) -> None:
    async def use() -> list[object]:
        for _ in range(3):
            many = [client.get("hit") for _ in range(300)]
            assert len({id(each) for each in many}) == 300
            assert [await each for each in many] == [b"value"] * 300
            for each in many:
                assert outcome(each.send, None)[0] == "RuntimeError"
            [client.get("hit") for _ in range(300)]
        return list(await asyncio.gather(*(client.get(key) for key in ["hit", "none", "sleeps"] * 100)))

    assert asyncio.run(use()) == [b"value", None, "slept"] * 100


def test_references_are_given_back(client: Client, make: Make) -> None:
    key = "hit" * 1
    missing = "none"

    def counts() -> tuple[int, ...]:
        return tuple(sys.getrefcount(each) for each in (client, client._reader, key, missing, Client.get))

    async def use() -> None:
        for _ in range(100):
            await make(client, key)
            await make(client, missing)
            outcome(make(client, "fails").send, None)
            make(client, key).close()
            outcome(make(client, key).throw, KeyError)
        client.misses.clear()

    asyncio.run(use())
    before = counts()
    asyncio.run(use())
    assert counts() == before


def test_a_warning_that_is_an_error_leaves_a_pending_exception_alone(client: Client) -> None:
    def fail() -> None:
        reading = client.get("hit")
        raise KeyError(str(reading is None))

    with (
        warnings.catch_warnings(),
        mock.patch("sys.unraisablehook") as unraisable,
    ):
        warnings.simplefilter("error")
        with pytest.raises(KeyError):
            fail()
        gc.collect()
    assert "was never awaited" in str(unraisable.call_args.args[0].exc_value)
