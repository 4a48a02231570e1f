"""The command table agrees with the servers: the newest Valkey, and the system's Redis where there is one."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import valkey

from glidecache_shared.blocking_timeouts import FOR_EVER_NS, blocking_timeout_ns
from glidecache_shared.command_table import (
    BY_NODE,
    DEDICATED,
    SCRIPTS,
    SHARED,
    Row,
    all_rows,
    find_keys,
    row_of,
)
from support.tls_server import SystemServer
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BY_OPTION = {"XREAD", "XREADGROUP"}
KEYS_FOR_ROUTING_ALONE = {"CLUSTERSCAN", "SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE"}
"""Commands whose channels or cursors have slots, as keys have; the server does not call them keys."""

POLICIES = {
    "agg_sum": {"total"},
    "all_succeeded": {"all_succeeded"},
    "agg_min": {"least", "least_of_each"},
    "agg_logical_and": {"everywhere"},
    "one_succeeded": {"one_succeeded"},
    "special": {BY_NODE, "first_found"},
}
NOT_AS_THE_SERVER_ADVISES = {"COMMANDLOG LEN", "COMMANDLOG RESET", "LATENCY RESET", "MSETEX", "MSETNX"}
"""Commands for which GLIDE has no policy although the server advises one, or another one than Redis 7.0 advises."""

WORDS = (
    *(b"1", b"2", b"3", b"a", b"b", b"c", b"", b"0", b"-1", b"2x", b"+1"),
    *b"STREAMS streams BLOCK STORE get GET KEYS COUNT GROUP STOREDIST LIMIT by AUTH AUTH2 OFF YES".split(),
)
SHAPES = 60
SHAPES_TO_RUN = 15


class Known(NamedTuple):
    """A server's description of one command or subcommand."""

    name: str
    arity: int
    flags: set[str]
    span: tuple[int, int, int]
    tips: dict[str, str]


@pytest.fixture(scope="module", params=[ValkeyServer, SystemServer])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = request.param(tmp_path_factory.mktemp("commands"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def asked(server: Any) -> Iterator[Any]:
    """Return a connection whose replies stay as they are."""
    connection = valkey.Valkey(
        host=HOST, port=server.port, username="admin", password="any", socket_timeout=10
    )
    connection.response_callbacks.clear()
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def commands(asked: Any) -> list[Known]:
    return list(_read(asked.execute_command("COMMAND")))


def _read(infos: list[Any]) -> Iterator[Known]:
    for name, arity, flags, first, last, step, _, tips, _, subcommands in infos:
        if subcommands:
            yield from _read(subcommands)
        if not subcommands or name == b"command":
            yield Known(
                name.decode().upper().replace("|", " "),
                arity,
                {flag.decode() for flag in flags},
                (first, last, step),
                dict(tip.decode().split(":", 1) for tip in tips if b":" in tip),
            )


def _row(command: Known) -> Row:
    return all_rows()[command.name]


def test_i3_every_command_of_the_server_is_in_the_table(commands: list[Known]) -> None:
    assert len(commands) > 350
    assert sorted({command.name for command in commands} - all_rows().keys()) == []


def test_i3_reads_are_reads(commands: list[Known]) -> None:
    writes = {command.name for command in commands if "write" in command.flags}
    reads = {command.name for command in commands if "readonly" in command.flags}
    ours = {name for name, row in all_rows().items() if row.reads}
    assert sorted(writes & ours) == []
    assert sorted(reads - ours) == []


def test_i3_what_may_block_never_travels_on_the_shared_connection(commands: list[Known]) -> None:
    blocking = {command.name for command in commands if "blocking" in command.flags}
    assert len(blocking) > 9
    ours = {row.name for row in all_rows().values() if row.blocks} | BLOCK_BY_OPTION
    assert sorted(blocking - ours) == []
    assert sorted(name for name in blocking - BLOCK_BY_OPTION if all_rows()[name].lane != DEDICATED) == []
    for name in BLOCK_BY_OPTION:
        assert row_of([name.encode(), b"BLOCK", b"0", b"STREAMS", b"s", b"0"]).lane == DEDICATED
    # Redis 7.0 does not flag WAIT.
    assert sorted(ours - blocking - {"WAIT", "WAITAOF"}) == []


def test_i3_what_may_not_be_in_a_transaction_is_not_shared(commands: list[Known]) -> None:
    """In a transaction the server refuses commands that take the connection over, or end the server."""
    refused = [command.name for command in commands if "no_multi" in command.flags]
    assert "SHUTDOWN" in refused
    assert [name for name in refused if all_rows()[name].lane == SHARED] == []


def test_i3_keys_stand_where_the_server_says(commands: list[Known]) -> None:
    wrong = []
    for command in commands:
        row = _row(command)
        # SORT_RO has a pattern that may name keys: with BY and GET, which a cluster refuses.
        movable = "movablekeys" in command.flags and command.name != "SORT_RO"
        if movable != (row.finder is not None) or (
            not movable and (row.first, row.last, row.step) != command.span
        ):
            if not movable and row.first == command.span[0] == 0:
                continue
            wrong.append((command.name, command.span, movable))
    assert wrong == []


def test_i3_several_nodes_replies_become_one_as_the_server_advises(commands: list[Known]) -> None:
    wrong = []
    for command in commands:
        policy = command.tips.get("response_policy")
        # A command that is "special" and does not ask several nodes has a cursor.
        if (
            policy is None
            or command.tips.get("request_policy") == "special"
            or command.name in NOT_AS_THE_SERVER_ADVISES
        ):
            continue
        if _row(command).policy not in POLICIES[policy]:
            wrong.append((command.name, policy, _row(command).policy))
    assert wrong == []


def _arguments(command: Known, chance: random.Random) -> list[bytes]:
    name = command.name.encode().split(b" ")
    count = (
        abs(command.arity) - len(name) + (chance.choice((0, 0, 1, 2, 3, 4, 6)) if command.arity < 0 else 0)
    )
    words = [chance.choice(WORDS) for _ in range(max(count, 0))]
    if "movablekeys" in command.flags and words:
        # Some of these are well-formed: their count of keys is right.
        words[chance.randrange(min(3, len(words)))] = chance.choice((b"1", b"2"))
    return [*name, *words]


def _stream_arguments(command: Known, chance: random.Random) -> list[bytes]:
    """Return a well-formed call: of others the server looks for STREAMS where it will not when it runs them."""
    keys = [chance.choice((b"a", b"b", b"COUNT", b"BLOCK", b"")) for _ in range(chance.randint(1, 3))]
    options = [[b"COUNT", b"1"], [b"BLOCK", b"1"]]
    group = [b"GROUP", chance.choice((b"g", b"COUNT")), chance.choice((b"c", b"BLOCK"))]
    chosen = chance.sample(options, chance.randint(0, 2))
    words = [*(group if command.name == "XREADGROUP" else ()), *(word for each in chosen for word in each)]
    return [
        command.name.encode(),
        *words,
        chance.choice((b"STREAMS", b"streams")),
        *keys,
        *[b"0"] * len(keys),
    ]


def _is_undecided(arguments: list[bytes]) -> bool:
    """Return True if servers find other keys than they use: Redis finds GEORADIUS' first STORE, and runs the last."""
    words = [word.upper() for word in arguments]
    stores = words.count(b"STORE") + words.count(b"STOREDIST")
    return words[0] in {b"GEORADIUS", b"GEORADIUSBYMEMBER"} and (
        stores > 1 or words[5:6] in ([b"STORE"], [b"STOREDIST"])
    )


def test_i3_keys_are_the_servers_whatever_the_arguments(asked: Any, commands: list[Known]) -> None:
    """Every command of the server has generated arguments; some arguments have the names of options."""
    chance = random.Random(11)
    compared = 0
    wrong = []
    for command in commands:
        if command.name in KEYS_FOR_ROUTING_ALONE:
            continue
        calls = []
        for _ in range(SHAPES if abs(command.span[0]) or "movablekeys" in command.flags else 5):
            make = _stream_arguments if command.name in BLOCK_BY_OPTION else _arguments
            calls.append(make(command, chance))
        pipeline = asked.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command("COMMAND", "GETKEYS", *call)
        for call, reply in zip(calls, pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(reply, Exception):
                if "no key arguments" not in str(reply):
                    continue
                reply = []  # noqa: PLW2901 - the same answer, in another form
            compared += 1
            # The order of destination and sources differs between servers.
            if sorted(find_keys(call)) != sorted(reply) and not _is_undecided(call):
                wrong.append((call, reply, find_keys(call)))
    assert wrong == []
    assert compared > 10_000


@pytest.mark.parametrize("text", ["0", "50", "050", "-0", "+50", "0x10", "5.5", "1e2", " 5", "-1", "", "x"])
def test_i3_a_time_out_in_milliseconds_is_read_as_the_server_does(asked: Any, text: str) -> None:
    _compare_timeout(asked, [b"XREAD", b"BLOCK", text.encode(), b"STREAMS", b"nosuch", b"$"])


@pytest.mark.parametrize(
    "text",
    [
        *(
            "0",
            "-0",
            ".05",
            "5e-2",
            "+0.05",
            "0x0.1",
            "0x1p-4",
            " 0.05",
            "0.05 ",
            "0.0_5",
            "-1",
            "nan",
            "",
            "x",
        ),
        *("0.05\0", "0.05\n", "1e-5"),
    ],
)
def test_i3_a_time_out_in_seconds_is_read_as_the_server_does(asked: Any, text: str) -> None:
    for command in (
        [b"BLPOP", b"nosuch", text.encode()],
        [b"BLMPOP", text.encode(), b"1", b"nosuch", b"LEFT"],
    ):
        _compare_timeout(asked, command)


def _compare_timeout(asked: Any, command: list[bytes]) -> None:
    """Check that the server waits as the table says, and for as long."""
    waits_ns = blocking_timeout_ns(command)
    pool = asked.connection_pool
    connection = valkey.Connection(**{**pool.connection_kwargs, "socket_timeout": 0.3})
    try:
        connection.send_command(*command)
        if waits_ns == FOR_EVER_NS:
            with pytest.raises(valkey.TimeoutError):
                connection.read_response()
        elif waits_ns:
            assert connection.read_response() is None
        else:
            with pytest.raises(valkey.ResponseError):
                connection.read_response()
    finally:
        connection.disconnect()


STREAM_NAMES = (b"streams", b"block", b"STREAMS", b"count", b"group", b"s")


def test_i3_streams_are_read_where_the_table_finds_them(asked: Any) -> None:
    """The test runs the commands: only a server that looks for keys may take a group's name for an option."""
    chance = random.Random(5)
    asked.flushall()
    for _ in range(300):
        key = chance.choice(STREAM_NAMES)
        options = [
            [b"GROUP", chance.choice(STREAM_NAMES), chance.choice(STREAM_NAMES)],
            [b"COUNT", b"1"],
            [b"NOACK"],
        ]
        chance.shuffle(options)
        call = [b"XREADGROUP", *(word for each in options for word in each), b"STREAMS", key, b">"]
        with pytest.raises(valkey.ResponseError, match="NOGROUP") as refused:
            asked.execute_command(*call)
        assert f"No such key '{key.decode()}'" in str(refused.value)
        assert list(find_keys(call)) == [key]
        assert row_of(call).lane == SHARED


@pytest.mark.parametrize("protocol", [2, 3])
def test_i3_a_shared_command_has_one_reply_at_once_and_leaves_the_connection_as_it_was(
    server: Any, commands: list[Known], protocol: int
) -> None:
    """A marker follows every shared command with generated arguments; its reply must come next."""
    chance = random.Random(protocol)
    connection = valkey.Connection(
        host=HOST, port=server.port, username="admin", password="any", socket_timeout=10, protocol=protocol
    )
    connection.connect()
    wrong = []
    run = 0
    for command in commands:
        for number in range(SHAPES_TO_RUN):
            call = _arguments(command, chance)
            if row_of(call).lane not in (SHARED, SCRIPTS):
                continue
            run += 1
            marker = b"marker-%d" % number
            connection.send_packed_command(connection.pack_commands([call, (b"ECHO", marker)]))
            with contextlib.suppress(valkey.ResponseError):
                connection.read_response()
            if connection.read_response() != marker or connection.can_read(timeout=0):
                wrong.append(call)
    connection.disconnect()
    assert wrong == []
    assert run > 3_000
