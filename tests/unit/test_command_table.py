"""The one table of commands: which command reads, blocks and for how long, is refused, and takes which lane."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import Any

import pytest

from glidecache_shared import command_table
from glidecache_shared.blocking_timeouts import FOR_EVER_NS, batch_timeout_ns, blocking_timeout_ns
from glidecache_shared.command_facts import ADVICE
from glidecache_shared.command_table import (
    DEDICATED,
    OUT_OF_BAND,
    SCRIPTS,
    SHARED,
    all_rows,
    any_blocks,
    find_keys,
    is_known_read,
    most_demanding,
    row_of,
    survey,
)


def command(text: str) -> list[bytes]:
    return text.encode().split(b" ")


@pytest.mark.parametrize(
    "text",
    [
        "GET k",
        "get k",
        "gEt k",
        "MGET a b",
        "HGETALL h",
        "TTL k",
        "PING",
        "XREAD STREAMS s 0",
        "XREAD BLOCK 0 STREAMS s 0",
        "OBJECT freq k",
        "CONFIG GET *",
        "COMMAND",
    ],
)
def test_i3_known_reads(text: str) -> None:
    assert is_known_read(command(text))


@pytest.mark.parametrize(
    "text",
    [
        "SET k v",
        "GETDEL k",
        "EVAL s 0",
        "FCALL f 0",
        "PUBLISH c m",
        "CONFIG SET a b",
        "OBJECT",
        "NOSUCH",
        "SORT k",
    ],
)
def test_i3_everything_else_counts_as_a_command_that_may_write(text: str) -> None:
    assert not is_known_read(command(text))


@pytest.mark.parametrize(
    ("text", "waits_ns"),
    [
        ("GET k", 0),
        ("BLPOP a b 2.5", 2_500_000_000),
        ("blpop a 0", FOR_EVER_NS),
        ("BLPOP a -0", FOR_EVER_NS),
        ("BLPOP a 1e-3", 1_000_000),
        ("BLPOP a 0x10", 16_000_000_000),
        ("BLPOP a +.5", 500_000_000),
        ("BLPOP a inf", FOR_EVER_NS),
        ("BLPOP a nan", 0),
        ("BLPOP a 1_0", 0),
        ("BLPOP a 1\n", 0),
        ("BLPOP a \t1", 0),
        ("BLPOP a nonsense", 0),
        ("BLPOP a 0xzz", 0),
        ("BLPOP a ", 0),
        ("BLPOP a -1", 0),
        ("BLPOP", 0),
        ("BRPOPLPUSH a b 3", 3_000_000_000),
        ("BLMPOP 1 2 a b LEFT", 1_000_000_000),
        ("BLMPOP", 0),
        ("WAIT 1 100", 100_000_000),
        ("WAIT 1 0100", 0),
        ("WAIT 1 1e2", 0),
        ("WAITAOF 1 1 0", FOR_EVER_NS),
        ("XREAD COUNT 1 BLOCK 50 STREAMS s 0", 50_000_000),
        ("XREAD BLOCK 1 BLOCK 50 STREAMS s 0", 50_000_000),
        ("XREAD STREAMS BLOCK 50", 0),
        ("XREAD BLOCK", 0),
        ("XREAD BLOCK +5 STREAMS s 0", 0),
        ("XREADGROUP GROUP block 7 STREAMS s >", 0),
        ("XREADGROUP GROUP streams me BLOCK 5000 STREAMS s >", 5_000_000_000),
    ],
)
def test_i3_how_long_a_command_may_wait(text: str, waits_ns: int) -> None:
    assert blocking_timeout_ns(command(text)) == waits_ns


def test_i3_a_pipeline_waits_for_one_after_the_other() -> None:
    assert batch_timeout_ns([command("GET k"), command("BLPOP q 1"), command("WAIT 1 500")]) == 1_500_000_000
    assert batch_timeout_ns([command("BLPOP q 0")] * 3) == FOR_EVER_NS
    assert batch_timeout_ns([command("GET k")]) == batch_timeout_ns([]) == 0


STREAM_NAMES = (b"streams", b"BLOCK", b"count", b"group", b"NOACK", b"STREAMS", b"claim", b"s", b"0", b"")


def test_i3_a_group_or_a_key_called_as_an_option_hides_no_block() -> None:
    """Groups, consumers and keys may have the name of an option: only the option BLOCK blocks, and keys are keys."""
    chance = random.Random(3)
    for _ in range(5_000):
        keys = [chance.choice(STREAM_NAMES) for _ in range(chance.randint(1, 3))]
        blocks = chance.random() < 0.5
        options: list[list[bytes]] = []
        name = chance.choice([b"XREAD", b"xreadgroup"])
        if name == b"xreadgroup":
            options.append([b"Group", chance.choice(STREAM_NAMES), chance.choice(STREAM_NAMES)])
            options += [[b"noack"]] * chance.randint(0, 1)
        if blocks:
            options.append([chance.choice([b"BLOCK", b"block", b"bLoCk", b"BLOCK\0x"]), b"50"])
        options += [[b"COUNT", chance.choice([b"1", b"BLOCK"])]] * chance.randint(0, 1)
        chance.shuffle(options)
        arguments = [
            name,
            *(word for each in options for word in each),
            b"streams",
            *keys,
            *[b"0"] * len(keys),
        ]
        row = row_of(arguments)
        assert (row.blocks, row.lane) == ((True, DEDICATED) if blocks else (False, SHARED)), arguments
        assert list(find_keys(arguments)) == keys, arguments
        assert blocking_timeout_ns(arguments) == (50_000_000 if blocks else 0), arguments


@pytest.mark.parametrize(
    "text", ["XREAD NEWOPTION BLOCK 0 STREAMS s $", "XREADGROUP GROUP g c X STREAMS s >"]
)
def test_i3_an_option_that_is_not_known_is_not_shared(text: str) -> None:
    assert row_of(command(text)).lane == DEDICATED


SHARED_CALLS = (
    "GET k|set k v|LPOP q|XREAD STREAMS s 0|SCRIPT LOAD x|CLIENT LIST|CLUSTER SLOTS|CONFIG GET a|FLUSHALL|GET"
)
DEDICATED_CALLS = (
    "NOSUCH|JSON.GET k|FT.SEARCH i q|DEBUG SLEEP 1|CLUSTER RESET|CLUSTER SETSLOT 1 STABLE|SHUTDOWN|FAILOVER"
    "|REPLICAOF no one|MIGRATE h 1 k 0 1|MODULE LIST|SAVE|BLPOP q 0|WAIT 1 0|CLIENT NOSUCH|CLIENT|POST|host:"
    "|GET\0 k||RESTORE-ASKING k 0 v|ACL DELUSER u|CLIENT REPLY OFF|SUBSCRIBE c|COMMAND DOCS"
)


@pytest.mark.parametrize(
    ("lane", "texts"),
    [
        (SHARED, SHARED_CALLS),
        (SCRIPTS, "EVAL s 0|evalsha h 0|EVAL_RO s 0|EVALSHA_RO h 0|FCALL f 0|fcall_ro f 0"),
        (OUT_OF_BAND, "SCRIPT KILL|function kill|FUNCTION STATS|CLIENT UNPAUSE|CLIENT KILL ID 1"),
        (DEDICATED, DEDICATED_CALLS),
    ],
)
def test_i3_lanes(lane: int, texts: str) -> None:
    assert {text: row_of(command(text)).lane for text in texts.split("|")} == dict.fromkeys(
        texts.split("|"), lane
    )


def test_i3_what_blocks_or_is_refused_is_never_shared() -> None:
    assert [
        row.name for row in all_rows().values() if (row.blocks or row.refusal) and row.lane != DEDICATED
    ] == []


@pytest.mark.parametrize(
    ("texts", "atomic", "expected"),
    [
        ("GET a|HGETALL b", False, (SHARED, True, None)),
        ("GET a|SET b 1", False, (SHARED, False, None)),
        ("GET a|EVAL s 0", False, (SCRIPTS, False, None)),
        ("GET a|EVAL s 0", True, (SCRIPTS, False, None)),
        ("CLIENT UNPAUSE|FUNCTION STATS", False, (OUT_OF_BAND, False, None)),
        ("CLIENT UNPAUSE|GET a", False, (DEDICATED, False, None)),
        ("SCRIPT KILL|EVAL s 0", True, (DEDICATED, False, None)),
        ("GET a|blpop q 0", False, (DEDICATED, False, None)),
        ("GET a|blpop q 0", True, (SHARED, False, None)),
        ("GET a|XREAD BLOCK 0 STREAMS s 0", True, (SHARED, True, None)),
        ("GET a|XREAD BLOCK 0 STREAMS s 0", False, (DEDICATED, True, None)),
        ("GET a|NOSUCH", True, (DEDICATED, False, None)),
        ("", False, (DEDICATED, False, None)),
    ],
)
def test_i3_a_batch_goes_whole_by_its_most_demanding_member(
    texts: str, atomic: bool, expected: tuple[int, bool, str | None]
) -> None:
    commands = [command(text) for text in texts.split("|")]
    assert survey(commands, atomic=atomic) == expected
    assert survey(commands[::-1], atomic=atomic) == expected


def test_i3_slices_of_a_batch_go_where_the_whole_goes() -> None:
    """A generated batch has the same lane, examined in slices or at once."""
    chance = random.Random(7)
    calls = [
        command(text)
        for text in ("GET a", "EVAL s 0", "CLIENT UNPAUSE", "blpop q 0", "NOSUCH", "SCRIPT KILL")
    ]
    for _ in range(500):
        commands = chance.choices(calls, weights=(9, 3, 3, 1, 1, 3), k=chance.randint(1, 6))
        cut = chance.randint(1, len(commands))
        for atomic in (False, True):
            slices = [part for part in (commands[:cut], commands[cut:]) if part]
            lane = most_demanding(survey(part, atomic=atomic)[0] for part in slices)
            assert lane == survey(commands, atomic=atomic)[0]
        assert any_blocks(commands) == (calls[3] in commands)


def test_i3_no_batch_is_shared_and_reads() -> None:
    assert survey([], atomic=False) == (SHARED, True, None)


def test_i3_the_first_refusal_of_a_batch_is_told() -> None:
    refused = survey([command("GET a"), command("select 1"), command("MULTI")], atomic=True)[2]
    assert refused is not None
    assert refused.startswith("SELECT is bound to one connection")


@pytest.mark.parametrize(
    "names", [[b"SET"], [b"sEt"], [b"CONFIG"], [b"x%d" % number for number in range(1_000)]]
)
def test_i3_a_batch_of_200_000_is_looked_at_in_no_time(names: list[bytes]) -> None:
    commands = [[names[number % len(names)], b"k", b"v"] for number in range(200_000)]
    survey(commands[:1], atomic=False)
    began = time.process_time()
    survey(commands, atomic=False)
    assert time.process_time() - began < 1


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
        ("CLUSTER SYNCSLOTS SYNC", "CLUSTER SYNCSLOTS"),
    ],
)
def test_i3_commands_bound_to_a_connection_are_refused_with_advice(text: str, named: str) -> None:
    message = row_of(command(text)).refusal
    assert message is not None
    assert named in message
    assert command(text)[0].upper().decode() in message


def test_i3_every_advice_is_given() -> None:
    refused = {row.name for row in all_rows().values() if row.refusal is not None}
    assert refused == ADVICE.keys() - {"DEBUG PROTOCOL"}


@pytest.mark.parametrize(
    "text",
    ["GET k", "CLIENT ID", "CLIENT", "SCRIPT LOAD x", "EVAL s 0", "PUBLISH c m", "DEBUG SLEEP 0", "DEBUG"],
)
def test_i3_other_commands_are_not_refused(text: str) -> None:
    assert row_of(command(text)).refusal is None


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("SORT a GET STORE x", "a"),
        ("SORT a GET STORE STORE b", "a b"),
        ("SORT a BY STORE LIMIT STORE GET STORE STORE STORE", "a STORE"),
        ("SORT a store b STORE c", "a c"),
        ("GEORADIUS a 1 1 1 m STORE b STOREDIST c", "a c"),
        ("GEORADIUSBYMEMBER STORE STORE 1 m", "STORE"),
        ("MIGRATE h 1  0 1 AUTH KEYS KEYS a b", "a b"),
        ("MIGRATE h 1  0 1 AUTH2 KEYS KEYS COPY KEYS a", "a"),
        ("MIGRATE h 1 KEYS 0 1", "KEYS"),
        ("EVAL KEYS 2 2 3 4", "2 3"),
        ("EVAL s 0 a b", ""),
        ("EVAL s 3 a b", ""),
        ("EVAL s -1 a b", ""),
        ("ZUNION 2 WEIGHTS WEIGHTS WEIGHTS 1 2", "WEIGHTS WEIGHTS"),
        ("ZUNIONSTORE d 1 a", "d a"),
        ("MSETEX 2 a 1 b 2 EX 1", "a b"),
        ("JSON.MGET a b $", "a b"),
        ("NOSUCH a b", "a"),
        ("CLIENT NOSUCH a", ""),
    ],
)
def test_i3_keys_that_options_hide(text: str, keys: str) -> None:
    assert list(find_keys(command(text))) == keys.encode().split()


def test_i3_any_case_of_a_name_has_the_same_row() -> None:
    for row in all_rows().values():
        words = row.name.encode().split()
        mixed = [word[:1] + word[1:].lower() for word in words]
        assert row_of(words) is row_of([word.lower() for word in words]) is row_of(mixed)


def test_i3_the_table_costs_nothing_until_it_is_asked() -> None:
    code = (
        "import sys; before = set(sys.modules); from glidecache_shared import command_table as table\n"
        "assert not table._ROWS\n"
        "new = {name for name in set(sys.modules) - before if not name.startswith('glidecache')}\n"
        "assert new <= {'__future__'}, new\n"
        "table.row_of([b'get', b'k']); assert table._ROWS"
    )
    subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"], check=True
    )


def test_i3_rows_are_shown_by_name() -> None:
    rows: Any = command_table.row_of([b"client", b"kill"])
    assert repr(rows) == "<Row CLIENT KILL>"
