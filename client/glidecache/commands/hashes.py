"""Commands on hashes; `hgetall` itself is a cached read and is part of the clients."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_bool, to_float, to_pairs
from glidecache.commands.encoding import (
    encode,
    encode_command,
    encode_each,
    encode_pairs,
    need,
    optional_keyword,
)
from glidecache.commands.keys import scan_options
from glidecache.commands.options.writes import (
    ConditionalChange,
    ExpireOptions,
    ExpiryGetEx,
    ExpirySet,
    HashFieldConditionalChange,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.encoding import AnyMapping, Argument


def hset(key: Argument, field_value_map: AnyMapping[Argument, Argument]) -> Command[int]:
    """Set fields (`HSET`). Return how many of them are new."""
    return Command([b"HSET", encode(key, "key"), *encode_pairs(field_value_map, "field_value_map")])


def hsetnx(key: Argument, field: Argument, value: Argument) -> Command[bool]:
    """Set a field that does not exist yet (`HSETNX`). Return whether it was set."""
    return Command(encode_command(b"HSETNX", key, field, value), to_bool)


def hget(key: Argument, field: Argument) -> Command[bytes | None]:
    """Return the value of a field (`HGET`); None if there is none."""
    return Command(encode_command(b"HGET", key, field))


def hmget(key: Argument, fields: Iterable[Argument]) -> Command[list[bytes | None]]:
    """Return the values of fields (`HMGET`); None for each missing one."""
    return Command([b"HMGET", encode(key, "key"), *encode_each(fields, "fields")])


def hdel(key: Argument, fields: Iterable[Argument]) -> Command[int]:
    """Delete fields (`HDEL`). Return how many there were."""
    return Command([b"HDEL", encode(key, "key"), *encode_each(fields, "fields")])


def hexists(key: Argument, field: Argument) -> Command[bool]:
    """Return whether the hash has the field (`HEXISTS`)."""
    return Command(encode_command(b"HEXISTS", key, field), to_bool)


def hlen(key: Argument) -> Command[int]:
    """Return how many fields the hash has (`HLEN`)."""
    return Command(encode_command(b"HLEN", key))


def hkeys(key: Argument) -> Command[list[bytes]]:
    """Return all fields (`HKEYS`)."""
    return Command(encode_command(b"HKEYS", key))


def hvals(key: Argument) -> Command[list[bytes]]:
    """Return all values (`HVALS`)."""
    return Command(encode_command(b"HVALS", key))


def hstrlen(key: Argument, field: Argument) -> Command[int]:
    """Return the length of a field's value in bytes (`HSTRLEN`)."""
    return Command(encode_command(b"HSTRLEN", key, field))


def hincrby(key: Argument, field: Argument, amount: int) -> Command[int]:
    """Add `amount` to a field (`HINCRBY`). Return the number afterwards."""
    return Command(encode_command(b"HINCRBY", key, field, amount))


def hincrbyfloat(key: Argument, field: Argument, amount: float) -> Command[float]:
    """Add `amount` to a field (`HINCRBYFLOAT`). Return the number afterwards."""
    return Command(encode_command(b"HINCRBYFLOAT", key, field, amount), to_float)


def hrandfield(key: Argument) -> Command[bytes | None]:
    """Return any field (`HRANDFIELD`); None if there is none."""
    return Command(encode_command(b"HRANDFIELD", key))


def hrandfield_count(key: Argument, count: int) -> Command[list[bytes]]:
    """Return up to `count` different fields. Negative: exactly that many, perhaps repeated (`HRANDFIELD`)."""
    return Command(encode_command(b"HRANDFIELD", key, count))


def hrandfield_withvalues(key: Argument, count: int) -> Command[list[list[bytes]]]:
    """Return the same as `hrandfield_count`, each as `[field, value]` (`HRANDFIELD … WITHVALUES`)."""
    return Command(encode_command(b"HRANDFIELD", key, count, b"WITHVALUES"), to_pairs)


def hscan(
    key: Argument,
    cursor: Argument,
    match: Argument | None = None,
    count: int | None = None,
    no_values: bool = False,
) -> Command[list[Any]]:
    """Take one step over a hash (`HSCAN`): `[next cursor, [field, value, …]]`; from `"0"` on, until `b"0"`."""
    args = [*encode_command(b"HSCAN", key, cursor), *scan_options(match, count)]
    if no_values:
        args.append(b"NOVALUES")
    return Command(args)


def hgetdel(key: Argument, fields: Iterable[Argument]) -> Command[list[bytes | None]]:
    """Return the values of fields, and delete the fields (`HGETDEL`; Valkey 9.1)."""
    return Command([b"HGETDEL", encode(key, "key"), *_fields(fields)])


def hgetex(
    key: Argument, fields: Iterable[Argument], expiry: ExpiryGetEx | None = None
) -> Command[list[bytes | None] | None]:
    """Return the values of fields, and change their expiry (`HGETEX`; Valkey 9)."""
    args = encode_command(b"HGETEX", key)
    if expiry is not None:
        need(expiry, ExpiryGetEx, "expiry")
        args += expiry.to_args()
    return Command([*args, *_fields(fields)])


def hsetex(
    key: Argument,
    field_value_map: AnyMapping[Argument, Argument],
    field_conditional_change: HashFieldConditionalChange | None = None,
    expiry: ExpirySet | None = None,
    key_conditional_change: ConditionalChange | None = None,
) -> Command[int]:
    """Set fields that expire (`HSETEX`; Valkey 9). Return 1 if all were set, 0 if none."""
    args = encode_command(b"HSETEX", key)
    args += optional_keyword(key_conditional_change, ConditionalChange, "key_conditional_change")
    args += optional_keyword(field_conditional_change, HashFieldConditionalChange, "field_conditional_change")
    if expiry is not None:
        need(expiry, ExpirySet, "expiry")
        args += expiry.to_args()
    pairs = encode_pairs(field_value_map, "field_value_map")
    return Command([*args, b"FIELDS", b"%d" % (len(pairs) // 2), *pairs])


def hexpire(
    key: Argument, seconds: int, fields: Iterable[Argument], option: ExpireOptions | None = None
) -> Command[list[int]]:
    """Let fields expire after `seconds` (`HEXPIRE`; Valkey 9).

    For each field 1: set, 0: the condition was not met, 2: deleted at once, -2: there is no such field.
    """
    return _expiring(b"HEXPIRE", key, seconds, fields, option)


def hexpireat(
    key: Argument, unix_timestamp: int, fields: Iterable[Argument], option: ExpireOptions | None = None
) -> Command[list[int]]:
    """Let fields expire at a Unix time in seconds (`HEXPIREAT`; Valkey 9); as `hexpire`."""
    return _expiring(b"HEXPIREAT", key, unix_timestamp, fields, option)


def hpexpire(
    key: Argument, milliseconds: int, fields: Iterable[Argument], option: ExpireOptions | None = None
) -> Command[list[int]]:
    """Let fields expire after `milliseconds` (`HPEXPIRE`; Valkey 9); as `hexpire`."""
    return _expiring(b"HPEXPIRE", key, milliseconds, fields, option)


def hpexpireat(
    key: Argument, unix_timestamp_ms: int, fields: Iterable[Argument], option: ExpireOptions | None = None
) -> Command[list[int]]:
    """Let fields expire at a Unix time in milliseconds (`HPEXPIREAT`; Valkey 9); as `hexpire`."""
    return _expiring(b"HPEXPIREAT", key, unix_timestamp_ms, fields, option)


def hpersist(key: Argument, fields: Iterable[Argument]) -> Command[list[int]]:
    """Let fields live forever (`HPERSIST`; Valkey 9). For each: 1, -1: it had no expiry, -2: it does not exist."""
    return Command([b"HPERSIST", encode(key, "key"), *_fields(fields)])


def httl(key: Argument, fields: Iterable[Argument]) -> Command[list[int]]:
    """Return the seconds that fields have to live (`HTTL`; Valkey 9); -1: forever, -2: no such field."""
    return Command([b"HTTL", encode(key, "key"), *_fields(fields)])


def hpttl(key: Argument, fields: Iterable[Argument]) -> Command[list[int]]:
    """Return the milliseconds that fields have to live (`HPTTL`; Valkey 9); -1: forever, -2: no such field."""
    return Command([b"HPTTL", encode(key, "key"), *_fields(fields)])


def hexpiretime(key: Argument, fields: Iterable[Argument]) -> Command[list[int]]:
    """Return the Unix times in seconds when fields expire (`HEXPIRETIME`; Valkey 9); as `httl`."""
    return Command([b"HEXPIRETIME", encode(key, "key"), *_fields(fields)])


def hpexpiretime(key: Argument, fields: Iterable[Argument]) -> Command[list[int]]:
    """Return the Unix times in milliseconds when fields expire (`HPEXPIRETIME`; Valkey 9); as `httl`."""
    return Command([b"HPEXPIRETIME", encode(key, "key"), *_fields(fields)])


def _fields(fields: Iterable[Argument]) -> list[bytes]:
    encoded = encode_each(fields, "fields")
    return [b"FIELDS", b"%d" % len(encoded), *encoded]


def _expiring(
    name: bytes, key: Argument, when: int, fields: Iterable[Argument], option: ExpireOptions | None
) -> Command[list[int]]:
    return Command(
        [
            *encode_command(name, key, when),
            *optional_keyword(option, ExpireOptions, "option"),
            *_fields(fields),
        ]
    )
