"""Servers of all kinds: access lists, databases, Unix sockets, RESP2 alone, commands that are forbidden or missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import Batch, ClosingError, RequestError, ServerCredentials
from glidecache_shared import protocol
from support.caches import new_cache
from support.clients import at
from support.valkey_server import HOST, LIMITED_CLIENT_COMMANDS
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

ONLY_RESP2 = 'rename-command HELLO ""'
SILENT = "neither HELLO nor INFO"

RESTRICTIONS = {
    "an access list": [LIMITED_CLIENT_COMMANDS],
    "only what a cache needs": [
        "user default on nopass ~* &* -@all +hello +get +set +hgetall +hset +smembers +sadd +mget +multi +exec +blpop"
    ],
    "commands that are missing": [ONLY_RESP2, 'rename-command CLIENT ""', 'rename-command ROLE ""'],
    SILENT: [ONLY_RESP2, "user default on nopass ~* &* +@all -info"],
    "commands with other names": ["rename-command CLIENT secret-client", "rename-command ROLE secret-role"],
}


def software_of(daemon: Daemon, server: ValkeyServer) -> list[tuple[str, str]]:
    """What the daemon knows of a server, as names and versions."""
    with WireClient(daemon.runtime_dir) as wire:
        wire.hello()
        upstreams = wire.request(protocol.STATS)["upstreams"]
    (upstream,) = [each for each in upstreams if each["addresses"] == [f"{HOST}:{server.port}"]]
    return [(each["name"], each["version"]) for each in upstream["software"]]


@pytest.mark.parametrize("restriction", RESTRICTIONS)
def test_c16_restricted_servers_are_served_in_silence(
    connect: Connector,
    daemon: Daemon,
    start_valkey: Callable[..., ValkeyServer],
    restriction: str,
) -> None:
    server = start_valkey(*RESTRICTIONS[restriction])
    seen = len(daemon.log_text())
    client = connect(new_cache(), **at(daemon, server))
    assert client.call("set", "k", "v") == "OK"
    client.call("hset", "h", {"f": "v"})
    client.call("sadd", "s", ["m"])
    for _ in range(2):
        assert client.get("k") == b"v"
        assert client.call("hgetall", "h") == {b"f": b"v"}
        assert client.call("smembers", "s") == {b"m"}
    assert client.call("get_many", ["k", "nothing"]) == [b"v", None]
    batch = Batch(is_atomic=True)
    batch.get("k")
    assert client.call("exec", batch, raise_on_error=True) == [b"v"]
    assert client.call("custom_command", ["BLPOP", "nothing", "0.01"]) is None
    assert client.metrics().hit_rate > 0
    told = {name for name, _ in software_of(daemon, server)}
    assert told == (set() if restriction == SILENT else {"valkey"})
    about_it = [line for line in daemon.log_text()[seen:].splitlines() if str(server.port) in line]
    assert any("connected" in line for line in about_it)
    assert not [line for line in about_it if not re.search(r" level=(debug|info) ", line)]


def test_a_users_rights_are_the_servers_business(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    server = start_valkey("requirepass other", "user app on >secret ~app:* &* +@all -flushall")
    reached = at(daemon, server)
    app = connect(new_cache(), **reached, credentials=ServerCredentials("secret", "app"))
    assert app.call("set", "app:k", "v") == "OK"
    assert app.get("app:k") == b"v"
    for call in (("get", "other:k"), ("hgetall", "other:k"), ("set", "other:k", "v"), ("flushall",)):
        with pytest.raises(RequestError, match="NOPERM"):
            app.call(*call)
    with pytest.raises(ClosingError, match="WRONGPASS"):
        connect(**reached, credentials=ServerCredentials("wrong", "app"))
    with pytest.raises(ClosingError, match="WRONGPASS"):
        connect(**reached, credentials=ServerCredentials("secret", "nobody"))
    with pytest.raises(ClosingError, match="NOAUTH"):
        connect(**reached)


def test_a_database_that_is_not_there_is_refused_with_the_servers_word(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    with pytest.raises(ClosingError, match="DB index is out of range"):
        connect(**at(daemon, own_valkey), database_id=16)
    client = connect(**at(daemon, own_valkey), database_id=15)
    client.call("set", "k", "v")
    assert own_valkey.admin.info("keyspace")["db15"]["keys"] == 1


def test_a_unix_socket_of_the_configuration(
    connect: Connector,
    start_daemon: Callable[..., Daemon],
    start_valkey: Callable[..., ValkeyServer],
    tmp_path: Path,
) -> None:
    server = start_valkey(f"unixsocket {tmp_path / 'v.sock'}")
    daemon = start_daemon(upstreams={"local": {"addresses": [f"unix:{tmp_path / 'v.sock'}"]}})
    client = connect(new_cache(), runtime_dir=str(daemon.runtime_dir), upstream="local")
    client.call("set", "k", "v")
    assert client.get("k") == b"v"
    server.kill()
    with pytest.raises(RequestError, match=r"v\.sock"):
        client.get("other")


def test_commands_carry_the_daemons_name_to_the_server(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = connect(**at(daemon, own_valkey), client_name="mine")
    assert client.call("custom_command", ["CLIENT", "GETNAME"]) == b"glidecached"


def every_shape(client: AnyClient) -> list[Any]:
    """Replies of all shapes, by methods and by plain commands."""
    call = client.call
    call("hset", "h", {"f": "1.5", "g": ""})
    call("sadd", "s", ["a", "b"])
    call("zadd", "z", {"low": 1.0, "high": 2.5, "endless": float("inf")})
    call("set", "k", "v")
    replies = [
        call("hgetall", "h"),
        call("smembers", "s"),
        call("smembers", "nothing"),
        call("hgetall", "nothing"),
        call("get", "nothing"),
        call("zscore", "z", "high"),
        call("zscore", "z", "nothing"),
        call("zadd_incr", "z", "low", 0.25),
        call("sismember", "s", "a"),
        call("smismember", "s", ["a", "x"]),
        call("hexists", "h", "f"),
        call("expire", "nothing", 10),
        call("config_get", ["maxmemory"]),
        call("exists", ["k", "nothing"]),
        call("type", "h"),
    ]
    for command in (
        ["HGETALL", "h"],
        ["SMEMBERS", "s"],
        ["ZRANGE", "z", "0", "-1", "WITHSCORES"],
        ["ZSCORE", "z", "endless"],
        ["SINTER", "s", "s"],
        ["HRANDFIELD", "h", "9"],
        ["CONFIG", "GET", "maxmemory"],
        ["GEOPOS", "nothing", "x"],
        ["EVAL", "return {1, 'two', {3}, false, {ok='fine'}}", "0"],
        ["OBJECT", "ENCODING", "k"],
    ):
        reply = call("custom_command", command)
        replies.append(sorted(reply) if command[0] == "HRANDFIELD" and isinstance(reply, list) else reply)
    batch = Batch(is_atomic=True)
    batch.hgetall("h")
    batch.zscore("z", "high")
    batch.sismember("s", "a")
    replies.append(call("exec", batch, raise_on_error=True))
    return replies


def test_resp2_and_resp3_servers_give_the_same_replies(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    replies = []
    for directives, version in (((), 3), ((ONLY_RESP2,), 2)):
        server = start_valkey(*directives)
        client = connect(new_cache(), **at(daemon, server))
        replies.append(every_shape(client))
        connected = f'event="upstream connected" upstream={HOST}:{server.port} resp={version}'
        assert connected in daemon.log_text()
    with_resp3, with_resp2 = replies
    for by_resp3, by_resp2 in zip(with_resp3, with_resp2, strict=True):
        assert by_resp2 == by_resp3
        assert type(by_resp2) is type(by_resp3)


def test_what_resp3_alone_can_say(connect: Connector, daemon: Daemon, own_valkey: ValkeyServer) -> None:
    client = connect(**at(daemon, own_valkey))

    def says(lua: str) -> Any:
        return client.call("custom_command", ["EVAL", f"server.setresp(3); return {lua}", "0"])

    # The parser hands these on as their digits, which nothing tells from a string's.
    assert says("{big_number='123456789012345678901234567890'}") == b"123456789012345678901234567890"
    assert says("{double=1.5}") == 1.5
    assert says("{map={a=1}}") == {b"a": 1}
    assert says("{set={a=true}}") == {b"a"}
    assert says("true") is True
    # A text with a format, which is no part of it.
    assert says("{verbatim_string={format='txt', string='text'}}") == b"text"
    # Elements that Python's sets and dicts cannot hold come as a list, the others as before.
    assert says("{set={[{1}]=true}}") == [[1]]
    assert says("{map={[{1}]={set={a=true}}}}") == [[[1], {b"a"}]]
    assert client.call("custom_command", ["PING"]) == b"PONG"
