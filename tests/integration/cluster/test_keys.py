"""What the daemon takes for keys is what the server takes for keys, command by command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.command_table import all_rows, find_keys, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.cluster import Cluster

EXAMPLES = """
    BITOP AND d a b
    BLMPOP 1 2 a b LEFT
    BLPOP a b 0
    BZMPOP 1 1 a MIN
    COPY a b
    DEL a b c
    EVAL script 2 a b c
    EVALSHA_RO digest 0 a
    FCALL f 1 a b
    GEORADIUS a 1 1 1 m STORE b
    GEORADIUS a 1 1 1 m COUNT 1 STOREDIST b
    GEORADIUSBYMEMBER a m 1 m STORE b STOREDIST c
    GEOSEARCHSTORE d a FROMMEMBER m BYRADIUS 1 m
    LMPOP 2 a b LEFT
    MEMORY USAGE a
    MIGRATE host 1 a 0 1
    MIGRATE host 1  0 1 COPY KEYS a b
    MSET a 1 b 2
    MSETEX 2 a 1 b 2 EX 1
    OBJECT ENCODING a
    PFCOUNT a b
    RENAME a b
    SINTERCARD 2 a b LIMIT 1
    SORT a BY x STORE b
    SORT a GET STORE
    SORT_RO a BY x
    XADD a * f v
    XGROUP CREATE a g $
    XINFO STREAM a
    XREAD COUNT 1 STREAMS a b 0 0
    XREADGROUP GROUP g c STREAMS a >
    ZDIFFSTORE d 2 a b
    ZINTER 2 a b WITHSCORES
    ZRANGESTORE d a 0 1
    ZUNIONSTORE d 2 a b WEIGHTS 1 2
""".strip().split("\n")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: " ".join(example.split()[:2]))
def test_keys_are_the_servers(cluster: Cluster, example: str) -> None:
    command = [word.encode() for word in example.strip().split(" ")]
    expected = cluster.nodes[0].ask("COMMAND", "GETKEYS", *command)
    assert list(find_keys(command)) == expected


def test_every_command_of_the_server_has_its_keys_where_the_table_says(cluster: Cluster) -> None:
    """What examples cannot show: that no command is missing. Those that clients are refused do not matter."""
    arguments = [b"1", b"2", b"3", b"4"]
    wrong = []
    for name, flags, first, last, step in _commands(cluster.nodes[0].ask("COMMAND")):
        command = [*name.upper().split(b"|"), *arguments]
        if b"movablekeys" in flags or row_of(command).refusal is not None:
            continue
        behind = len(command) + last + 1 if last < 0 else last + 1
        expected = command[first:behind:step] if first else []
        if list(find_keys(command)) != expected:
            wrong.append((name, expected, list(find_keys(command))))
    assert wrong == []


def test_every_command_with_subcommands_is_known(cluster: Cluster) -> None:
    names = {info[0].upper() for info in cluster.nodes[0].ask("COMMAND") if len(info) > 9 and info[9]}
    assert names <= {name.encode() for name, row in all_rows().items() if row.subcommands}


def _commands(infos: list[Any]) -> Iterator[tuple[bytes, list[bytes], int, int, int]]:
    for info in infos:
        if info[9]:
            yield from _commands(info[9])
        else:
            yield info[0], info[2], info[3], info[4], info[5]
