"""Which arguments of a command are keys: the server's own table, as far as it does not change, in short.

A command that is not in the tables is taken to have one key, its first argument, as GLIDE takes it: if that is wrong,
a server says so with a redirection, which is followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTAINERS = frozenset(
    b"""
    ACL CLIENT CLUSTER COMMAND COMMANDLOG CONFIG FUNCTION LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT SLOWLOG XGROUP
    XINFO
    """.split()
)
"""Commands whose second word says what they do."""

_KEYLESS = frozenset(
    b"""
    AUTH BGREWRITEAOF BGSAVE DBSIZE DEBUG ECHO FAILOVER FLUSHALL FLUSHDB INFO KEYS LASTSAVE LOLWUT PFSELFTEST PING
    PUBLISH RANDOMKEY REPLICAOF ROLE SAVE SCAN SHUTDOWN SLAVEOF SWAPDB TIME WAIT WAITAOF
    """.split()
)

# First key, last key (negative: counted from the end), distance.
_RANGES: dict[bytes, tuple[int, int, int]] = {
    name: span
    for names, span in (
        ("BLPOP BRPOP BZPOPMAX BZPOPMIN", (1, -2, 1)),
        (
            "DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION SUNIONSTORE TOUCH UNLINK WATCH",
            (1, -1, 1),
        ),
        ("MSET MSETNX", (1, -1, 2)),
        (
            "BLMOVE BRPOPLPUSH COPY GEOSEARCHSTORE LCS LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE",
            (1, 2, 1),
        ),
        ("BITOP", (2, -1, 1)),
        ("PFDEBUG", (2, 2, 1)),
    )
    for name in names.encode().split()
}

_KEY_AFTER_SUBCOMMAND = {
    b"MEMORY": frozenset((b"USAGE",)),
    b"OBJECT": frozenset(b"ENCODING FREQ IDLETIME REFCOUNT".split()),
    b"XGROUP": frozenset(b"CREATE CREATECONSUMER DELCONSUMER DESTROY SETID".split()),
    b"XINFO": frozenset(b"CONSUMERS GROUPS STREAM".split()),
}

# Where the number of keys stands, the distance between them, and whether a destination stands before it.
_COUNTED: dict[bytes, tuple[int, int, bool]] = {
    name: place
    for names, place in (
        ("LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION", (1, 1, False)),
        ("BLMPOP BZMPOP EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO", (2, 1, False)),
        ("ZDIFFSTORE ZINTERSTORE ZUNIONSTORE", (2, 1, True)),
        ("MSETEX", (1, 2, False)),
    )
    for name in names.encode().split()
}

KEYS_ALONE = frozenset(name for name, span in _RANGES.items() if span == (1, -1, 1))
"""Commands whose arguments are all keys: where there is one, it is the one key."""

_STORE_OPTIONS = {
    b"GEORADIUS": (6, frozenset((b"STORE", b"STOREDIST"))),
    b"GEORADIUSBYMEMBER": (5, frozenset((b"STORE", b"STOREDIST"))),
    b"SORT": (2, frozenset((b"STORE",))),
}
"""From which argument on an option may name a second key, and which options do."""


def find_keys(arguments: Sequence[bytes]) -> Sequence[bytes]:
    """The keys of a command, its name first, in their order; none where the command has none, or is malformed."""
    name = arguments[0].upper()
    special = _SPECIAL.get(name)
    if special is not None:
        return special(name, arguments)
    if name in _KEYLESS:
        return ()
    return arguments[1:2]


def _in_range(name: bytes, arguments: Sequence[bytes]) -> Sequence[bytes]:
    first, last, step = _RANGES[name]
    return arguments[first : len(arguments) + last + 1 if last < 0 else last + 1 : step]


def _counted(name: bytes, arguments: Sequence[bytes]) -> Sequence[bytes]:
    place, step, stores = _COUNTED[name]
    count = arguments[place] if len(arguments) > place else b""
    if not count.isdigit() or len(count) > 7:  # noqa: PLR2004 - more than any server takes
        return arguments[1:2] if stores else ()
    keys = arguments[place + 1 : place + 1 + int(count) * step : step]
    return [arguments[1], *keys] if stores else keys


def _of_streams(_name: bytes, arguments: Sequence[bytes]) -> Sequence[bytes]:
    """Behind STREAMS: half of it are keys, the other half ids."""
    for place, argument in enumerate(arguments):
        if argument.upper() == b"STREAMS":
            return arguments[place + 1 : place + 1 + (len(arguments) - place - 1) // 2]
    return ()


def _of_container(name: bytes, arguments: Sequence[bytes]) -> Sequence[bytes]:
    keyed = _KEY_AFTER_SUBCOMMAND.get(name, frozenset())
    return arguments[2:3] if len(arguments) > 1 and arguments[1].upper() in keyed else ()


def _with_store(name: bytes, arguments: Sequence[bytes]) -> Sequence[bytes]:
    """The source and, where the result is stored, the destination that was named last."""
    place, options = _STORE_OPTIONS[name]
    destination: Sequence[bytes] = ()
    while place < len(arguments) - 1:
        if arguments[place].upper() in options:
            place += 1
            destination = arguments[place : place + 1]
        place += 1
    return [*arguments[1:2], *destination]


def _of_migrate(_name: bytes, arguments: Sequence[bytes]) -> Sequence[bytes]:
    """One key in the third place or, if that is empty, all behind KEYS."""
    if arguments[3:4] != [b""]:
        return arguments[3:4]
    for place, argument in enumerate(arguments):
        if argument.upper() == b"KEYS":
            return arguments[place + 1 :]
    return ()


_SPECIAL: dict[bytes, Callable[[bytes, Sequence[bytes]], Sequence[bytes]]] = {
    **dict.fromkeys(_RANGES, _in_range),
    **dict.fromkeys(_COUNTED, _counted),
    **dict.fromkeys(_STORE_OPTIONS, _with_store),
    **dict.fromkeys(CONTAINERS, _of_container),
    b"MIGRATE": _of_migrate,
    b"XREAD": _of_streams,
    b"XREADGROUP": _of_streams,
}

IRREGULAR = frozenset((*_KEYLESS, *_SPECIAL))
"""Commands whose first argument is not, or not always, their one key."""
