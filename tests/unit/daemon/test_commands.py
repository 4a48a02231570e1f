"""The tables of commands: what reads, what blocks, what is bound to one connection."""

from __future__ import annotations

import pytest

from glidecache_shared.commands import is_blocking, is_known_read, refusal


def command(text: str) -> list[bytes]:
    return text.encode().split()


@pytest.mark.parametrize(
    "text",
    [
        "GET k",
        "get k",
        "MGET a b",
        "HGETALL h",
        "TTL k",
        "PING",
        "XREAD STREAMS s 0",
        "OBJECT ENCODING k",
        "CONFIG GET *",
    ],
)
def test_known_reads(text: str) -> None:
    assert is_known_read(command(text))


@pytest.mark.parametrize(
    "text",
    [
        "SET k v",
        "GETDEL k",
        "GETEX k",
        "EVAL s 0",
        "FCALL f 0",
        "PUBLISH c m",
        "CONFIG SET a b",
        "OBJECT",
        "NOSUCH",
        "SORT k",
    ],
)
def test_everything_else_counts_as_a_command_that_may_write(text: str) -> None:
    assert not is_known_read(command(text))


@pytest.mark.parametrize(
    "text",
    [
        "BLPOP q 0",
        "blmove a b LEFT RIGHT 1",
        "WAIT 1 0",
        "XREAD BLOCK 0 STREAMS s $",
        "xread count 1 block 5 streams s $",
        "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
    ],
)
def test_blocking_commands(text: str) -> None:
    assert is_blocking(command(text))


@pytest.mark.parametrize(
    "text", ["LPOP q", "XREAD STREAMS block 0", "XREADGROUP GROUP g c STREAMS BLOCK >", "XREAD"]
)
def test_commands_that_do_not_block(text: str) -> None:
    assert not is_blocking(command(text))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("SELECT 1", "database_id"),
        ("auth secret", "credentials"),
        ("SUBSCRIBE c", "subscribe"),
        ("MONITOR", "valkey-cli"),
        ("MULTI", "atomic batch"),
        ("WATCH k", "watch(keys)"),
        ("CLIENT TRACKING ON", "TTL-only"),
        ("client reply off", "CLIENT REPLY"),
        ("HELLO 3", "HELLO"),
        ("DEBUG PROTOCOL ATTRIB", "DEBUG PROTOCOL"),
    ],
)
def test_commands_bound_to_a_connection_are_refused_with_advice(text: str, named: str) -> None:
    message = refusal(command(text))
    assert message is not None
    assert named in message
    assert command(text)[0].upper().decode() in message


@pytest.mark.parametrize("text", ["GET k", "CLIENT ID", "CLIENT", "SCRIPT LOAD x", "EVAL s 0", "PUBLISH c m"])
def test_other_commands_are_not_refused(text: str) -> None:
    assert refusal(command(text)) is None
