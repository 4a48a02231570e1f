"""Plans of the string commands; `get` itself is a cached read and is part of the clients."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import to_bool, to_float, to_map, to_optional_status, to_status
from glidecache.commands.encoding import encode_command, encode_each, encode_pairs
from glidecache.commands.options.conditions import ConditionalChange, ValueComparison
from glidecache.commands.options.expiry import ExpiryGetEx, ExpirySet
from glidecache.commands.options.option_checks import need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from glidecache.commands.encoding import AnyMapping, Argument


def set(
    key: Argument,
    value: Argument,
    conditional_set: ConditionalChange | ValueComparison | None = None,
    expiry: ExpirySet | None = None,
    return_old_value: bool = False,
) -> Plan[Literal["OK"] | bytes | None]:
    """Set `key` to `value` (`SET`). Return `"OK"`; None if the condition was not met.

    With `return_old_value`, returns the previous value, or None.
    """
    args = encode_command(b"SET", key, value)
    if conditional_set is not None:
        need(conditional_set, (ConditionalChange, ValueComparison), "conditional_set")
        args += conditional_set.to_args()
    if return_old_value:
        args.append(b"GET")
    if expiry is not None:
        need(expiry, ExpirySet, "expiry")
        args += expiry.to_args()
    return Plan(args, None if return_old_value else to_optional_status)


def getdel(key: Argument) -> Plan[bytes | None]:
    """Return the value of `key`, and delete it (`GETDEL`); None if there is none."""
    return Plan(encode_command(b"GETDEL", key))


def getex(key: Argument, expiry: ExpiryGetEx | None = None) -> Plan[bytes | None]:
    """Return the value of `key`, and change its expiry (`GETEX`); None if there is none."""
    args = encode_command(b"GETEX", key)
    if expiry is not None:
        need(expiry, ExpiryGetEx, "expiry")
        args += expiry.to_args()
    return Plan(args)


def getrange(key: Argument, start: int, end: int) -> Plan[bytes]:
    """Return the bytes of `key` from `start` to `end`, both included (`GETRANGE`)."""
    return Plan(encode_command(b"GETRANGE", key, start, end))


def setrange(key: Argument, offset: int, value: Argument) -> Plan[int]:
    """Write `value` over the bytes at `offset` (`SETRANGE`). Return the length afterwards."""
    return Plan(encode_command(b"SETRANGE", key, offset, value))


def append(key: Argument, value: Argument) -> Plan[int]:
    """Append to `key` (`APPEND`). Return the length afterwards."""
    return Plan(encode_command(b"APPEND", key, value))


def strlen(key: Argument) -> Plan[int]:
    """Return the length of the value in bytes (`STRLEN`); 0 if there is none."""
    return Plan(encode_command(b"STRLEN", key))


def mget(keys: Iterable[Argument]) -> Plan[list[bytes | None]]:
    """Return the values of many keys, bypassing the cache (`MGET`); `get_many` uses the cache."""
    return Plan([b"MGET", *encode_each(keys, "keys")])


def mset(key_value_map: AnyMapping[Argument, Argument]) -> Plan[Literal["OK"]]:
    """Set many keys at once (`MSET`)."""
    return Plan([b"MSET", *encode_pairs(key_value_map, "key_value_map")], to_status)


def msetnx(key_value_map: AnyMapping[Argument, Argument]) -> Plan[bool]:
    """Set many keys at once, or none if one of them exists (`MSETNX`). Return whether they were set."""
    return Plan([b"MSETNX", *encode_pairs(key_value_map, "key_value_map")], to_bool)


def incr(key: Argument) -> Plan[int]:
    """Add 1 (`INCR`). Return the number afterwards."""
    return Plan(encode_command(b"INCR", key))


def incrby(key: Argument, amount: int) -> Plan[int]:
    """Add `amount` (`INCRBY`). Return the number afterwards."""
    return Plan(encode_command(b"INCRBY", key, amount))


def incrbyfloat(key: Argument, amount: float) -> Plan[float]:
    """Add `amount` (`INCRBYFLOAT`). Return the number afterwards."""
    return Plan(encode_command(b"INCRBYFLOAT", key, amount), to_float)


def decr(key: Argument) -> Plan[int]:
    """Subtract 1 (`DECR`). Return the number afterwards."""
    return Plan(encode_command(b"DECR", key))


def decrby(key: Argument, amount: int) -> Plan[int]:
    """Subtract `amount` (`DECRBY`). Return the number afterwards."""
    return Plan(encode_command(b"DECRBY", key, amount))


def delifeq(key: Argument, value: Argument) -> Plan[bool]:
    """Delete `key` if its value equals `value` (`DELIFEQ`; Valkey 9). Return whether it did."""
    return Plan(encode_command(b"DELIFEQ", key, value), to_bool)


def lcs(key1: Argument, key2: Argument) -> Plan[bytes]:
    """Return the longest common subsequence of two values (`LCS`)."""
    return Plan(encode_command(b"LCS", key1, key2))


def lcs_len(key1: Argument, key2: Argument) -> Plan[int]:
    """Return the length of the longest common subsequence (`LCS … LEN`)."""
    return Plan(encode_command(b"LCS", key1, key2, b"LEN"))


def lcs_idx(
    key1: Argument, key2: Argument, min_match_len: int | None = None, with_match_len: bool | None = False
) -> Plan[dict[bytes, Any]]:
    """Return the places of the longest common subsequence in both values (`LCS … IDX`).

    Returns `{b"matches": [[[start1, end1], [start2, end2]], …], b"len": length}`. With `with_match_len` each match ends
    with its length.
    """
    args = encode_command(b"LCS", key1, key2, b"IDX")
    if min_match_len is not None:
        args += encode_command(b"MINMATCHLEN", min_match_len)
    if with_match_len:
        args.append(b"WITHMATCHLEN")
    return Plan(args, to_map)
