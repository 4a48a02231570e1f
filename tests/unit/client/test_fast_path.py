"""The fast path of a blocking call does what the session does: same result, same error, same requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import GlideClientConfiguration
from glidecache.sync import GlideClient
from glidecache_shared import protocol
from support.caches import new_cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import FakeDaemon

TIMEOUT_MS = 150


class Text(str):
    """Text that is not exactly `str`."""

    __slots__ = ()


class Octets(bytes):
    """Bytes that are not exactly `bytes`."""

    __slots__ = ()


CALLS: dict[str, Callable[[GlideClient], Any]] = {
    "get": lambda client: client.get("k"),
    "hgetall": lambda client: client.hgetall(b"k"),
    "smembers": lambda client: client.smembers("k"),
    "get_many": lambda client: client.get_many(["k", b"l"]),
    "echo": lambda client: client.echo("text"),
    "set": lambda client: client.set("k", "v"),
    "exists": lambda client: client.exists(["k", "l"]),
    "a command that blocks": lambda client: client.blpop(["k"], 0.05),
    "any command": lambda client: client.custom_command(["ECHO", "text"]),
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


def taken(client: GlideClient, call: Callable[[GlideClient], Any]) -> tuple[Any, ...]:
    """Return what a call returns or raises."""
    try:
        result = call(client)
    except Exception as error:  # noqa: BLE001 - any error is an outcome
        return type(error), str(error)
    # Errors inside are no equal objects, and have no order in a set.
    return type(result), sorted(map(repr, result)) if isinstance(result, set) else repr(result)


def without_the_fast_path(client: GlideClient) -> GlideClient:
    """Have all calls of the client go through its session."""
    executor, finish = client._executor, client._finish
    client._read_miss = lambda kind, key: finish(executor.read(kind, key))
    client._get_many = lambda keys: finish(executor.get_many(keys))
    client._run_fast = lambda command, route: finish(executor.run(command, route))
    return client


@pytest.fixture(params=[True, False], ids=["cached", "uncached"])
def create(
    daemon: FakeDaemon, runtime_dir: Path, request: pytest.FixtureRequest
) -> Callable[[], GlideClient]:
    del daemon

    def make() -> GlideClient:
        return GlideClient.create(
            GlideClientConfiguration(
                runtime_dir=str(runtime_dir),
                request_timeout=TIMEOUT_MS,
                client_side_cache=new_cache() if request.param else None,
                fallback="error",
            )
        )

    return make


def compare(
    daemon: FakeDaemon,
    create: Callable[[], GlideClient],
    call: Callable[[GlideClient], Any],
    prepare: Callable[[GlideClient], None] = lambda _client: None,
) -> tuple[Any, ...]:
    """Make a call on both ways, each with a client of its own; return the outcome."""
    outcomes, requests = [], []
    answers = dict(daemon.answers)
    for way in (lambda client: client, without_the_fast_path):
        daemon.answers = dict(answers)
        with way(create()) as client:
            client.echo("attached, and this thread is connected")
            prepare(client)
            del daemon.seen[:]
            outcomes.append(taken(client, call))
            requests.append([(operation, body[1:]) for operation, body in daemon.seen])
            daemon.refusals.clear()
    assert outcomes[0] == outcomes[1]
    assert requests[0] == requests[1]
    return outcomes[0]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("reply", REPLIES)
def test_c26_any_reply(daemon: FakeDaemon, create: Callable[[], GlideClient], name: str, reply: str) -> None:
    def prepare(_client: GlideClient) -> None:
        daemon.answers[protocol.READ] = daemon.answers[protocol.COMMAND] = lambda _body: REPLIES[reply]
        daemon.answers[protocol.GET_MANY] = lambda body: [REPLIES[reply] for _ in body[1]]

    compare(daemon, create, CALLS[name], prepare)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("method", ["get", "hgetall", "smembers"])
def test_c5_any_key(daemon: FakeDaemon, create: Callable[[], GlideClient], method: str, key: str) -> None:
    daemon.answers[protocol.COMMAND] = lambda body: None if body[1][0] != b"ECHO" else body[1][-1]
    compare(daemon, create, lambda client: getattr(client, method)(KEYS[key]))
    compare(daemon, create, lambda client: client.get_many(["k", KEYS[key], b"l"]))
    compare(daemon, create, lambda client: client.get_many(KEYS[key]))


@pytest.mark.parametrize("name", ["get", "get_many", "echo", "set", "any command"])
@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("code", REFUSALS)
def test_any_refusal(
    daemon: FakeDaemon, create: Callable[[], GlideClient], name: str, code: str, times: int
) -> None:
    def prepare(_client: GlideClient) -> None:
        daemon.refusals[:] = [(REFUSALS[code], "told so")] * times

    compare(daemon, create, CALLS[name], prepare)


@pytest.mark.parametrize("name", CALLS)
def test_no_reply(daemon: FakeDaemon, create: Callable[[], GlideClient], name: str) -> None:
    def prepare(_client: GlideClient) -> None:
        del daemon.answers[protocol.COMMAND], daemon.answers[protocol.READ], daemon.answers[protocol.GET_MANY]

    outcome = compare(daemon, create, CALLS[name], prepare)
    assert outcome[0].__name__ == "TimeoutError"


BEFORE: dict[str, Callable[[GlideClient], None]] = {
    "closed": lambda client: client.close("by the test"),
    "disconnected": lambda client: client._session._connections.current().drop(),
    "not attached": lambda client: setattr(
        client._session.state, "unknown", client._session.state.attachment
    ),
    "the socket has ended": lambda client: client._session._connections.current().dealer.close(),  # type: ignore[union-attr]
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("state", BEFORE)
def test_any_state(daemon: FakeDaemon, create: Callable[[], GlideClient], name: str, state: str) -> None:
    compare(daemon, create, CALLS[name], BEFORE[state])


def test_a_request_at_the_limit_is_refused(daemon: FakeDaemon, create: Callable[[], GlideClient]) -> None:
    def fill(client: GlideClient) -> None:
        client._finish.__self__.open = 10**9  # type: ignore[attr-defined]

    for call in CALLS.values():
        assert "maximum inflight requests" in compare(daemon, create, call, fill)[1]


def test_the_fast_path_is_taken(daemon: FakeDaemon, create: Callable[[], GlideClient]) -> None:
    """Otherwise the other tests compare the session's way with itself."""
    with create() as client:
        client.echo("x")
        client._session.call = None  # type: ignore[method-assign,assignment]
        assert client.get("k") in {None, b"k"}
        assert client.echo("y") == b"y"
        del client._session.call
    assert daemon.seen
