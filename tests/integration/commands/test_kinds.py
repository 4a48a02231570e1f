"""Errors inside replies, and statuses without a daemon (contract C26), on servers of RESP3 and of RESP2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import glidecache
from glidecache import Batch, RequestError, Script
from support.clients import AnyClient, at, close_all, open_client
from support.daemon import Daemon
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROTOCOLS = {"RESP3": (), "RESP2": ('rename-command HELLO ""',)}
LIBRARY = "#!lua name=failing\nserver.register_function('fail', function() return {1, {err='MY ERR'}} end)"
NESTED = {
    "first": "return {{err='MY ERR'}, 1}",
    "deep": "return {1, {2, {'x', {err='MY ERR'}}}}",
    "of a call": "return {redis.pcall('HGET', KEYS[1], 'f'), 1}",
    "whole": "return redis.error_reply('MY ERR')",
    "in a map": "redis.setresp(3); return {map={a={err='MY ERR'}}}",
    "two": "return {{err='MY ERR'}, {err='OTHER ERR'}}",
}


@pytest.fixture(scope="module", params=PROTOCOLS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("kinds"), *PROTOCOLS[request.param])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def daemon(server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    upstreams = {"default": {"addresses": [f"{HOST}:{server.port}"]}}
    daemon = Daemon(tmp_path_factory.mktemp("kinds-daemon"), {"upstreams": upstreams})
    daemon.start()
    yield daemon
    assert daemon.running, daemon.log_text()
    daemon.discard()


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[tuple[str, str], AnyClient]]:
    """Return the clients that this module's tests share: one without a daemon first waits for one."""
    made: dict[tuple[str, str], AnyClient] = {}
    yield made
    close_all(list(made.values()))


@pytest.fixture(params=["daemon", "direct"])
def client(
    kind: str,
    request: pytest.FixtureRequest,
    server: ValkeyServer,
    clients: dict[tuple[str, str], AnyClient],
    tmp_path: Path,
) -> AnyClient:
    """Return a client of a daemon, or one without a daemon."""
    server.reset()
    made_for = (kind, f"{request.param} {server.port}")
    if made_for not in clients:
        if request.param == "daemon":
            given = at(request.getfixturevalue("daemon"), server, request_timeout=5_000)
        else:
            (tmp_path / "run").mkdir(mode=0o700)
            addresses = [glidecache.NodeAddress(HOST, server.port)]
            given = {"addresses": addresses, "runtime_dir": str(tmp_path / "run"), "request_timeout": 5_000}
        clients[made_for] = open_client(kind, **given)
    client = clients[made_for]
    client.call("rpush", "k", ["a list"])
    return client


def expected_text(name: str) -> str:
    return "^WRONGTYPE " if name == "of a call" else "^MY ERR$"


@pytest.mark.parametrize("name", NESTED)
def test_c26_an_error_inside_a_reply_is_raised(client: AnyClient, name: str) -> None:
    code = NESTED[name]
    for method, arguments in (
        ("custom_command", (["EVAL", code, "1", "k"],)),
        ("invoke_script", (Script(code), ["k"])),
    ):
        with pytest.raises(RequestError, match=expected_text(name)) as raised:
            client.call(method, *arguments)
        assert type(raised.value) is RequestError
    assert client.call("echo", "OK") == b"OK"


def test_c26_an_error_inside_a_functions_reply_is_raised(client: AnyClient) -> None:
    client.call("function_load", LIBRARY, True)
    with pytest.raises(RequestError, match=r"^MY ERR$"):
        client.call("fcall", "fail")


@pytest.mark.parametrize("is_atomic", [False, True])
def test_c26_in_batches_errors_stand_in_their_places(client: AnyClient, is_atomic: bool) -> None:
    def batch() -> Batch:
        made = Batch(is_atomic).custom_command(["EVAL", "return {1, {ok='OK'}, 'OK', {ok='HI'}}", "0"])
        for name in ("first", "deep", "of a call", "whole"):
            made.custom_command(["EVAL", NESTED[name], "1", "k"])
        return made.set("s", "v").type("s")

    first, second, third, fourth, fifth, *others = client.call("exec", batch(), False)
    assert first == [1, "OK", b"OK", b"HI"]
    assert others == ["OK", b"string"]
    assert second[1:] == [1]
    assert third[:1] == [1]
    assert fourth[1:] == [1]
    inner: list[Any] = [second[0], third[1][1][1], fifth]
    assert [(type(error), str(error)) for error in inner] == [(RequestError, "MY ERR")] * 3
    assert type(fourth[0]) is RequestError
    assert str(fourth[0]).startswith("WRONGTYPE")
    with pytest.raises(RequestError, match=r"^MY ERR$"):
        client.call("exec", batch(), True)


def test_c26_restore_with_both_options_is_the_servers_to_refuse(client: AnyClient) -> None:
    value = client.call("dump", "k")
    with pytest.raises(RequestError, match="syntax error"):
        client.call("restore", "other", 0, value, False, False, 1, 2)
