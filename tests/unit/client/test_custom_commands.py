"""The kinds of custom commands' results follow from their names alone."""

from __future__ import annotations

from typing import Any

import pytest

from glidecache.batch import Batch
from glidecache.commands.custom_command import custom_command

SHAPES = [
    ("set k v", b"OK", "OK"),
    ("SET k v GET", b"OK", b"OK"),
    ("SET k GET", b"OK", "OK"),
    ("FLUSHALL", b"OK", "OK"),
    ("ECHO OK", b"OK", b"OK"),
    ("GET k", b"OK", b"OK"),
    ("hgetall h", [b"f", b"v"], {b"f": b"v"}),
    ("HGETALL h", None, None),
    ("Config Get maxmemory", [b"maxmemory", b"0"], {b"maxmemory": b"0"}),
    ("CONFIG SET a b", b"OK", "OK"),
    ("SMEMBERS s", [b"a"], {b"a"}),
    ("SPOP s", b"a", b"a"),
    ("SPOP s 1", [b"a"], {b"a"}),
    ("EXISTS k", 1, 1),
    ("EXPIRE k 1", 1, True),
    ("SISMEMBER s m", 1, True),
    ("SISMEMBER s m XX", -1, -1),
    ("ZADD z 1 INCR", 1, 1),
    ("ZADD z NX INCR 1 m", b"2", 2.0),
    ("ZRANGE z 0 -1", [b"a"], [b"a"]),
    ("ZRANGE z 0 -1 withscores", [b"a", b"1"], {b"a": 1.0}),
    ("ZINTER 1 WITHSCORES", [b"a"], [b"a"]),
    ("ZINTER 1 z WITHSCORES", [b"a", b"1"], {b"a": 1.0}),
    ("ZRANK z WITHSCORE", 0, 0),
    ("ZRANK z m WITHSCORE", [0, b"1"], [0, 1.0]),
    ("ZSCORE z m", None, None),
    ("LMPOP 1 l LEFT", [b"l", [b"a"]], {b"l": [b"a"]}),
    ("XLEN s", 5, 5),
    ("XREAD STREAMS s 0", {b"s": [[b"1-0", [b"f", b"v"]]]}, {b"s": {b"1-0": [[b"f", b"v"]]}}),
    ("XRANGE s - +", [[b"1-0", [b"f", b"v"]]], {b"1-0": [[b"f", b"v"]]}),
    ("XCLAIM s g c 0 1-0 justid", [b"1-0"], [b"1-0"]),
    ("XCLAIM s justid c 0 1-0", [[b"1-0", [b"f", b"v"]]], {b"1-0": [[b"f", b"v"]]}),
    ("XINFO STREAM full", [b"length", 1], {b"length": 1}),
    ("XINFO STREAM s FULL", [b"groups", []], {b"groups": []}),
    ("XINFO HELP", [b"XINFO <subcommand>"], [b"XINFO <subcommand>"]),
    ("XINFO", b"x", b"x"),
    ("GEOSEARCH withdist FROMMEMBER m BYRADIUS 1 m", [b"m"], [b"m"]),
    ("GEOSEARCH g FROMMEMBER m BYRADIUS 1 m WITHDIST", [[b"m", b"1.5"]], [[b"m", [1.5]]]),
    ("LCS a b IDX", [b"matches", [], b"len", 0], {b"matches": [], b"len": 0}),
    ("LCS a IDX", b"x", b"x"),
    ("MEMORY STATS", [b"ratio", b"1.5", b"db.0", [b"a", 1]], {b"ratio": 1.5, b"db.0": {b"a": 1}}),
    ("SLOWLOG RESET", b"OK", "OK"),
    ("UNKNOWN", b"x", b"x"),
]


@pytest.mark.parametrize(("command", "reply", "result"), SHAPES, ids=[command for command, _, _ in SHAPES])
def test_custom_commands_return_what_glide_returns(command: str, reply: Any, result: Any) -> None:
    decoded = custom_command(command.split()).result(reply)  # type: ignore[arg-type]
    assert decoded == result
    assert type(decoded) is type(result)


@pytest.mark.parametrize("nothing", [[], [""], [b"", "k"]])
def test_a_custom_command_has_a_name(nothing: list[Any]) -> None:
    with pytest.raises(ValueError, match="begin with a command's name"):
        custom_command(nothing)
    with pytest.raises(ValueError, match="begin with a command's name"):
        Batch(is_atomic=False).custom_command(nothing)
