"""The fast path of a call, and a traced one, do what the session does: same result, same error, same requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from glidecache_shared import protocol
from support.caches import new_cache
from support.clients import open_client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient

    FakeDaemon = Any
    Connect = Callable[..., AnyClient]

TIMEOUT_MS = 5_000
SHORT_TIMEOUT_MS = 100


class Text(str):
    """Text that is not exactly `str`."""

    __slots__ = ()


class Octets(bytes):
    """Bytes that are not exactly `bytes`."""

    __slots__ = ()


CALLS: dict[str, tuple[Any, ...]] = {
    "get": ("get", "k"),
    "hgetall": ("hgetall", b"k"),
    "smembers": ("smembers", "k"),
    "get_many": ("get_many", ["k", b"l"]),
    "echo": ("echo", "text"),
    "set": ("set", "k", "v"),
    "exists": ("exists", ["k", "l"]),
    "a command that blocks": ("blpop", ["k"], 0.05),
    "any command": ("custom_command", ["ECHO", "text"]),
}

KEYS: dict[str, Any] = {
    "bytes": b"\x00\xff",
    "text": "ключ",
    "lone surrogate": "\udcff",
    "text of a class of its own": Text("k"),
    "bytes of a class of their own": Octets(b"k"),
    "bytearray": bytearray(b"k"),
    "memoryview": memoryview(b"k"),
    "int": 12,
    "float": 1.5,
    "bool": True,
    "None": None,
    "list": ["k"],
    "too long": b"k" * 200_000,
    "empty": b"",
}

REPLIES: dict[str, Any] = {
    "nothing": None,
    "bytes": b"v",
    "status": "OK",
    "another status": "QUEUED",
    "number": -(2**40),
    "number beyond 64 bits": 2**80,
    "float": 1.5,
    "true": True,
    "list": [b"f", b"v"],
    "odd list": [b"f"],
    "map": {b"f": b"v"},
    "set": {b"m"},
    "error": protocol.ReplyError("ERR inside"),
    "list with an error": [b"f", protocol.ReplyError("EXECABORT inside")],
    "long": b"x" * 90_000,
}

REFUSALS = {name: getattr(protocol, name) for name in vars(protocol) if name.startswith("ERROR_")}


def taken(client: AnyClient, call: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a call returns or raises."""
    try:
        result = client.call(*call)
    except Exception as error:  # noqa: BLE001 - any error is an outcome
        return type(error), str(error)
    # Errors inside are no equal objects, and have no order in a set.
    return type(result), sorted(map(repr, result)) if isinstance(result, set) else repr(result)


def without_the_fast_path(client: AnyClient) -> AnyClient:
    """Have all calls of the client go through its session."""
    inner = client.client
    executor = inner._executor
    if client.kind == "asyncio":
        inner._fast_path = executor
    else:
        finish = inner._finish
        inner._read_miss = lambda kind, key: finish(executor.read(kind, key))
        inner._get_many = lambda keys: finish(executor.get_many(keys))
        inner._run_fast = lambda command, route: finish(executor.run(command, route))
    return client


def traced(client: AnyClient) -> AnyClient:
    """Have all calls of the client make spans."""
    client.client._begin_tracing(TracerProvider().get_tracer("test"), lambda: True)
    return client


@pytest.fixture(params=[True, False], ids=["cached", "uncached"])
def create(daemon: FakeDaemon, connect: Connect, request: pytest.FixtureRequest) -> Callable[..., AnyClient]:
    del daemon
    return lambda timeout_ms=TIMEOUT_MS: connect(
        request_timeout=timeout_ms, client_side_cache=new_cache() if request.param else None, fallback="error"
    )


def compare(
    daemon: FakeDaemon,
    create: Callable[..., AnyClient],
    call: tuple[Any, ...],
    prepare: Callable[[AnyClient], None] = lambda _client: None,
) -> tuple[Any, ...]:
    """Make a call on each way, each with a client of its own; return the outcome."""
    outcomes, requests = [], []
    answers = dict(daemon.answers)
    for way in (lambda client: client, without_the_fast_path, traced):
        daemon.answers = dict(answers)
        client = way(create())
        client.call("echo", "attached, and this thread is connected")
        prepare(client)
        del daemon.seen[:]
        outcomes.append(taken(client, call))
        requests.append([(operation, body[1:]) for operation, body in daemon.seen])
        daemon.refusals.clear()
        client.close()
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert requests[0] == requests[1] == requests[2]
    return outcomes[0]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("reply", REPLIES)
def test_c26_any_reply(daemon: FakeDaemon, create: Callable[..., AnyClient], name: str, reply: str) -> None:
    def prepare(_client: AnyClient) -> None:
        daemon.answers[protocol.READ] = daemon.answers[protocol.COMMAND] = lambda _body: REPLIES[reply]
        daemon.answers[protocol.GET_MANY] = lambda body: [REPLIES[reply] for _ in body[1]]

    compare(daemon, create, CALLS[name], prepare)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("method", ["get", "hgetall", "smembers"])
def test_c5_any_key(daemon: FakeDaemon, create: Callable[..., AnyClient], method: str, key: str) -> None:
    daemon.answers[protocol.COMMAND] = lambda body: None if body[1][0] != b"ECHO" else body[1][-1]
    compare(daemon, create, (method, KEYS[key]))


@pytest.mark.parametrize("key", KEYS)
def test_c5_any_key_among_many(daemon: FakeDaemon, create: Callable[..., AnyClient], key: str) -> None:
    compare(daemon, create, ("get_many", ["k", KEYS[key], b"l"]))
    compare(daemon, create, ("get_many", KEYS[key]))


@pytest.mark.parametrize("name", ["get", "get_many", "echo", "set", "any command"])
@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("code", REFUSALS)
def test_any_refusal(
    daemon: FakeDaemon, create: Callable[..., AnyClient], name: str, code: str, times: int
) -> None:
    def prepare(_client: AnyClient) -> None:
        daemon.refusals[:] = [(REFUSALS[code], "told so")] * times

    compare(daemon, create, CALLS[name], prepare)


@pytest.mark.parametrize("name", CALLS)
def test_no_reply(daemon: FakeDaemon, create: Callable[..., AnyClient], name: str) -> None:
    def prepare(_client: AnyClient) -> None:
        del daemon.answers[protocol.COMMAND], daemon.answers[protocol.READ], daemon.answers[protocol.GET_MANY]

    outcome = compare(daemon, lambda: create(SHORT_TIMEOUT_MS), CALLS[name], prepare)
    assert outcome[0].__name__ == "TimeoutError"


def forget_daemon(client: AnyClient) -> None:
    connections = client.client._session._connections
    for connection in connections.of_loop.values() if client.kind == "asyncio" else [connections.current()]:
        connection.hello = None


BEFORE: dict[str, Callable[[AnyClient], None]] = {
    "closed": lambda client: client.call("close", "by the test"),
    "not greeted": forget_daemon,
    "not attached": lambda client: setattr(
        client.client._session.state, "unknown", client.client._session.state.attachment
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("state", BEFORE)
def test_any_state(daemon: FakeDaemon, create: Callable[..., AnyClient], name: str, state: str) -> None:
    compare(daemon, create, CALLS[name], BEFORE[state])


def test_a_request_at_the_limit_is_refused(daemon: FakeDaemon, runtime_dir: Path) -> None:
    def make() -> AnyClient:
        return open_client("blocking", runtime_dir=str(runtime_dir), fallback="error")

    def fill(client: AnyClient) -> None:
        client.client._finish.__self__.open = 10**9

    for call in CALLS.values():
        assert "maximum inflight requests" in compare(daemon, make, call, fill)[1]


def test_the_fast_path_is_taken(daemon: FakeDaemon, create: Callable[..., AnyClient]) -> None:
    """Otherwise the other tests compare the session's way with itself."""
    client = create()
    client.call("echo", "x")
    session = client.client._session
    session.call = None
    assert client.call("get", "k") in {None, b"k"}
    assert client.call("echo", "y") == b"y"
    assert client.call("get_many", ["k"]) == [None]
    del session.call
    assert daemon.seen
