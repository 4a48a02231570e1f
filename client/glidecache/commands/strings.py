"""Commands on strings, on their bits, and on HyperLogLogs, which estimate the number of different elements."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_bool, to_float, to_map, to_optional_status, to_status
from glidecache.commands.encoding import encode, encode_command, encode_each, encode_pairs, keyword, need
from glidecache.commands.options.bitmaps import (
    BitFieldGet,
    BitFieldSubCommands,
    BitwiseOperation,
    OffsetOptions,
    bitfield_steps,
)
from glidecache.commands.options.writes import ConditionalChange, ExpiryGetEx, ExpirySet, ValueComparison

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
) -> Command[Literal["OK"] | bytes | None]:
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
    return Command(args, None if return_old_value else to_optional_status)


def getdel(key: Argument) -> Command[bytes | None]:
    """Return the value of `key`, and delete it (`GETDEL`); None if there is none."""
    return Command(encode_command(b"GETDEL", key))


def getex(key: Argument, expiry: ExpiryGetEx | None = None) -> Command[bytes | None]:
    """Return the value of `key`, and change its expiry (`GETEX`); None if there is none."""
    args = encode_command(b"GETEX", key)
    if expiry is not None:
        need(expiry, ExpiryGetEx, "expiry")
        args += expiry.to_args()
    return Command(args)


def getrange(key: Argument, start: int, end: int) -> Command[bytes]:
    """Return the bytes of `key` from `start` to `end`, both included (`GETRANGE`)."""
    return Command(encode_command(b"GETRANGE", key, start, end))


def setrange(key: Argument, offset: int, value: Argument) -> Command[int]:
    """Write `value` over the bytes at `offset` (`SETRANGE`). Return the length afterwards."""
    return Command(encode_command(b"SETRANGE", key, offset, value))


def append(key: Argument, value: Argument) -> Command[int]:
    """Append to `key` (`APPEND`). Return the length afterwards."""
    return Command(encode_command(b"APPEND", key, value))


def strlen(key: Argument) -> Command[int]:
    """Return the length of the value in bytes (`STRLEN`); 0 if there is none."""
    return Command(encode_command(b"STRLEN", key))


def mget(keys: Iterable[Argument]) -> Command[list[bytes | None]]:
    """Return the values of many keys, bypassing the cache (`MGET`); `get_many` uses the cache."""
    return Command([b"MGET", *encode_each(keys, "keys")])


def mset(key_value_map: AnyMapping[Argument, Argument]) -> Command[Literal["OK"]]:
    """Set many keys at once (`MSET`)."""
    return Command([b"MSET", *encode_pairs(key_value_map, "key_value_map")], to_status)


def msetnx(key_value_map: AnyMapping[Argument, Argument]) -> Command[bool]:
    """Set many keys at once, or none if one of them exists (`MSETNX`). Return whether they were set."""
    return Command([b"MSETNX", *encode_pairs(key_value_map, "key_value_map")], to_bool)


def incr(key: Argument) -> Command[int]:
    """Add 1 (`INCR`). Return the number afterwards."""
    return Command(encode_command(b"INCR", key))


def incrby(key: Argument, amount: int) -> Command[int]:
    """Add `amount` (`INCRBY`). Return the number afterwards."""
    return Command(encode_command(b"INCRBY", key, amount))


def incrbyfloat(key: Argument, amount: float) -> Command[float]:
    """Add `amount` (`INCRBYFLOAT`). Return the number afterwards."""
    return Command(encode_command(b"INCRBYFLOAT", key, amount), to_float)


def decr(key: Argument) -> Command[int]:
    """Subtract 1 (`DECR`). Return the number afterwards."""
    return Command(encode_command(b"DECR", key))


def decrby(key: Argument, amount: int) -> Command[int]:
    """Subtract `amount` (`DECRBY`). Return the number afterwards."""
    return Command(encode_command(b"DECRBY", key, amount))


def delifeq(key: Argument, value: Argument) -> Command[bool]:
    """Delete `key` if its value equals `value` (`DELIFEQ`; Valkey 9). Return whether it did."""
    return Command(encode_command(b"DELIFEQ", key, value), to_bool)


def lcs(key1: Argument, key2: Argument) -> Command[bytes]:
    """Return the longest common subsequence of two values (`LCS`)."""
    return Command(encode_command(b"LCS", key1, key2))


def lcs_len(key1: Argument, key2: Argument) -> Command[int]:
    """Return the length of the longest common subsequence (`LCS … LEN`)."""
    return Command(encode_command(b"LCS", key1, key2, b"LEN"))


def lcs_idx(
    key1: Argument, key2: Argument, min_match_len: int | None = None, with_match_len: bool | None = False
) -> Command[dict[bytes, Any]]:
    """Return the places of the longest common subsequence in both values (`LCS … IDX`).

    Returns `{b"matches": [[[start1, end1], [start2, end2]], …], b"len": length}`. With `with_match_len` each match ends
    with its length.
    """
    args = encode_command(b"LCS", key1, key2, b"IDX")
    if min_match_len is not None:
        args += encode_command(b"MINMATCHLEN", min_match_len)
    if with_match_len:
        args.append(b"WITHMATCHLEN")
    return Command(args, to_map)


def setbit(key: Argument, offset: int, value: int) -> Command[int]:
    """Set or clear the bit at `offset` (`SETBIT`). Return the bit that was there."""
    return Command(encode_command(b"SETBIT", key, offset, value))


def getbit(key: Argument, offset: int) -> Command[int]:
    """Return the bit at `offset` (`GETBIT`); 0 past the end."""
    return Command(encode_command(b"GETBIT", key, offset))


def bitcount(key: Argument, options: OffsetOptions | None = None) -> Command[int]:
    """Return how many bits are set, in the whole string or in a part of it (`BITCOUNT`)."""
    return Command([*encode_command(b"BITCOUNT", key), *_part(options)])


def bitpos(key: Argument, bit: int, options: OffsetOptions | None = None) -> Command[int]:
    """Return the place of the first bit that is `bit` (`BITPOS`); -1 if there is none."""
    return Command([*encode_command(b"BITPOS", key, bit), *_part(options)])


def bitop(operation: BitwiseOperation, destination: Argument, keys: Iterable[Argument]) -> Command[int]:
    """Combine strings bit by bit, into `destination` (`BITOP`). Return its length in bytes."""
    name = keyword(operation, BitwiseOperation, "operation")
    return Command([b"BITOP", name, encode(destination, "destination"), *encode_each(keys, "keys")])


def bitfield(key: Argument, subcommands: Iterable[BitFieldSubCommands]) -> Command[list[int | None]]:
    """Read and write integers of any length within a string (`BITFIELD`). Return each step's result."""
    return Command([*encode_command(b"BITFIELD", key), *bitfield_steps(subcommands, BitFieldSubCommands)])


def bitfield_read_only(key: Argument, subcommands: Iterable[BitFieldGet]) -> Command[list[int]]:
    """Read integers of any length within a string, from replicas too (`BITFIELD_RO`)."""
    return Command([*encode_command(b"BITFIELD_RO", key), *bitfield_steps(subcommands, BitFieldGet)])


def _part(options: OffsetOptions | None) -> list[bytes]:
    if options is None:
        return []
    need(options, OffsetOptions, "options")
    return options.to_args()


def pfadd(key: Argument, elements: Iterable[Argument]) -> Command[bool]:
    """Count elements (`PFADD`). Return whether the estimate has changed."""
    return Command([b"PFADD", encode(key, "key"), *encode_each(elements, "elements")], to_bool)


def pfcount(keys: Iterable[Argument]) -> Command[int]:
    """Estimate the number of different elements that were counted, in all keys together (`PFCOUNT`)."""
    return Command([b"PFCOUNT", *encode_each(keys, "keys")])


def pfmerge(destination: Argument, source_keys: Iterable[Argument]) -> Command[Literal["OK"]]:
    """Count in `destination` the elements that were counted in the others (`PFMERGE`)."""
    args = [b"PFMERGE", encode(destination, "destination"), *encode_each(source_keys, "source_keys")]
    return Command(args, to_status)
