"""Plans of the hash commands; `hgetall` itself is a cached read and is part of the clients."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import to_bool, to_float, to_pairs
from glidecache.commands.encoding import encode, encode_command, encode_each, encode_pairs
from glidecache.commands.keys import scan_options
from glidecache.commands.options.conditions import ConditionalChange, HashFieldConditionalChange
from glidecache.commands.options.expiry import ExpireOptions, ExpiryGetEx, ExpirySet
from glidecache.commands.options.option_checks import need, optional_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.encoding import AnyMapping, Argument


def hset(key: Argument, field_value_map: AnyMapping[Argument, Argument]) -> Plan[int]:
    """Set fields (`HSET`). Return how many of them are new."""
    return Plan([b"HSET", encode(key, "key"), *encode_pairs(field_value_map, "field_value_map")])


def hsetnx(key: Argument, field: Argument, value: Argument) -> Plan[bool]:
    """Set a field that does not exist yet (`HSETNX`). Return whether it was set."""
    return Plan(encode_command(b"HSETNX", key, field, value), to_bool)


def hget(key: Argument, field: Argument) -> Plan[bytes | None]:
    """Return the value of a field (`HGET`); None if there is none."""
    return Plan(encode_command(b"HGET", key, field))


def hmget(key: Argument, fields: Iterable[Argument]) -> Plan[list[bytes | None]]:
    """Return the values of fields (`HMGET`); None for each missing one."""
    return Plan([b"HMGET", encode(key, "key"), *encode_each(fields, "fields")])


def hdel(key: Argument, fields: Iterable[Argument]) -> Plan[int]:
    """Delete fields (`HDEL`). Return how many there were."""
    return Plan([b"HDEL", encode(key, "key"), *encode_each(fields, "fields")])


def hexists(key: Argument, field: Argument) -> Plan[bool]:
    """Return whether the hash has the field (`HEXISTS`)."""
    return Plan(encode_command(b"HEXISTS", key, field), to_bool)


def hlen(key: Argument) -> Plan[int]:
    """Return how many fields the hash has (`HLEN`)."""
    return Plan(encode_command(b"HLEN", key))


def hkeys(key: Argument) -> Plan[list[bytes]]:
    """Return all fields (`HKEYS`)."""
    return Plan(encode_command(b"HKEYS", key))


def hvals(key: Argument) -> Plan[list[bytes]]:
    """Return all values (`HVALS`)."""
    return Plan(encode_command(b"HVALS", key))


def hstrlen(key: Argument, field: Argument) -> Plan[int]:
    """Return the length of a field's value in bytes (`HSTRLEN`)."""
    return Plan(encode_command(b"HSTRLEN", key, field))


def hincrby(key: Argument, field: Argument, amount: int) -> Plan[int]:
    """Add `amount` to a field (`HINCRBY`). Return the number afterwards."""
    return Plan(encode_command(b"HINCRBY", key, field, amount))


def hincrbyfloat(key: Argument, field: Argument, amount: float) -> Plan[float]:
    """Add `amount` to a field (`HINCRBYFLOAT`). Return the number afterwards."""
    return Plan(encode_command(b"HINCRBYFLOAT", key, field, amount), to_float)


def hrandfield(key: Argument) -> Plan[bytes | None]:
    """Return any field (`HRANDFIELD`); None if there is none."""
    return Plan(encode_command(b"HRANDFIELD", key))


def hrandfield_count(key: Argument, count: int) -> Plan[list[bytes]]:
    """Return up to `count` different fields. Negative: exactly that many, perhaps repeated (`HRANDFIELD`)."""
    return Plan(encode_command(b"HRANDFIELD", key, count))


def hrandfield_withvalues(key: Argument, count: int) -> Plan[list[list[bytes]]]:
    """Return the same as `hrandfield_count`, each as `[field, value]` (`HRANDFIELD … WITHVALUES`)."""
    return Plan(encode_command(b"HRANDFIELD", key, count, b"WITHVALUES"), to_pairs)


def hscan(
    key: Argument,
    cursor: Argument,
    match: Argument | None = None,
    count: int | None = None,
    no_values: bool = False,
) -> Plan[list[Any]]:
    """Take one step over a hash (`HSCAN`): `[next cursor, [field, value, …]]`; from `"0"` on, until `b"0"`."""
    args = [*encode_command(b"HSCAN", key, cursor), *scan_options(match, count)]
    if no_values:
        args.append(b"NOVALUES")
    return Plan(args)


def hgetdel(key: Argument, fields: Iterable[Argument]) -> Plan[list[bytes | None]]:
    """Return the values of fields, and delete the fields (`HGETDEL`; Valkey 9.1)."""
    return Plan([b"HGETDEL", encode(key, "key"), *_fields(fields)])


def hgetex(
    key: Argument, fields: Iterable[Argument], expiry: ExpiryGetEx | None = None
) -> Plan[list[bytes | None] | None]:
    """Return the values of fields, and change their expiry (`HGETEX`; Valkey 9)."""
    args = encode_command(b"HGETEX", key)
    if expiry is not None:
        need(expiry, ExpiryGetEx, "expiry")
        args += expiry.to_args()
    return Plan([*args, *_fields(fields)])


def hsetex(
    key: Argument,
    field_value_map: AnyMapping[Argument, Argument],
    field_conditional_change: HashFieldConditionalChange | None = None,
    expiry: ExpirySet | None = None,
    key_conditional_change: ConditionalChange | None = None,
) -> Plan[int]:
    """Set fields that expire (`HSETEX`; Valkey 9). Return 1 if all were set, 0 if none."""
    args = encode_command(b"HSETEX", key)
    args += optional_keyword(key_conditional_change, ConditionalChange, "key_conditional_change")
    args += optional_keyword(field_conditional_change, HashFieldConditionalChange, "field_conditional_change")
    if expiry is not None:
        need(expiry, ExpirySet, "expiry")
        args += expiry.to_args()
    pairs = encode_pairs(field_value_map, "field_value_map")
    return Plan([*args, b"FIELDS", b"%d" % (len(pairs) // 2), *pairs])


def hexpire(
    key: Argument, seconds: int, fields: Iterable[Argument], option: ExpireOptions | None = None
) -> Plan[list[int]]:
    """Let fields expire after `seconds` (`HEXPIRE`; Valkey 9).

    For each field 1: set, 0: the condition was not met, 2: deleted at once, -2: there is no such field.
    """
    return _expiring(b"HEXPIRE", key, seconds, fields, option)


def hexpireat(
    key: Argument, unix_timestamp: int, fields: Iterable[Argument], option: ExpireOptions | None = None
) -> Plan[list[int]]:
    """Let fields expire at a Unix time in seconds (`HEXPIREAT`; Valkey 9); as `hexpire`."""
    return _expiring(b"HEXPIREAT", key, unix_timestamp, fields, option)


def hpexpire(
    key: Argument, milliseconds: int, fields: Iterable[Argument], option: ExpireOptions | None = None
) -> Plan[list[int]]:
    """Let fields expire after `milliseconds` (`HPEXPIRE`; Valkey 9); as `hexpire`."""
    return _expiring(b"HPEXPIRE", key, milliseconds, fields, option)


def hpexpireat(
    key: Argument, unix_timestamp_ms: int, fields: Iterable[Argument], option: ExpireOptions | None = None
) -> Plan[list[int]]:
    """Let fields expire at a Unix time in milliseconds (`HPEXPIREAT`; Valkey 9); as `hexpire`."""
    return _expiring(b"HPEXPIREAT", key, unix_timestamp_ms, fields, option)


def hpersist(key: Argument, fields: Iterable[Argument]) -> Plan[list[int]]:
    """Let fields live forever (`HPERSIST`; Valkey 9). For each: 1, -1: it had no expiry, -2: it does not exist."""
    return Plan([b"HPERSIST", encode(key, "key"), *_fields(fields)])


def httl(key: Argument, fields: Iterable[Argument]) -> Plan[list[int]]:
    """Return the seconds that fields have to live (`HTTL`; Valkey 9); -1: forever, -2: no such field."""
    return Plan([b"HTTL", encode(key, "key"), *_fields(fields)])


def hpttl(key: Argument, fields: Iterable[Argument]) -> Plan[list[int]]:
    """Return the milliseconds that fields have to live (`HPTTL`; Valkey 9); -1: forever, -2: no such field."""
    return Plan([b"HPTTL", encode(key, "key"), *_fields(fields)])


def hexpiretime(key: Argument, fields: Iterable[Argument]) -> Plan[list[int]]:
    """Return the Unix times in seconds when fields expire (`HEXPIRETIME`; Valkey 9); as `httl`."""
    return Plan([b"HEXPIRETIME", encode(key, "key"), *_fields(fields)])


def hpexpiretime(key: Argument, fields: Iterable[Argument]) -> Plan[list[int]]:
    """Return the Unix times in milliseconds when fields expire (`HPEXPIRETIME`; Valkey 9); as `httl`."""
    return Plan([b"HPEXPIRETIME", encode(key, "key"), *_fields(fields)])


def _fields(fields: Iterable[Argument]) -> list[bytes]:
    encoded = encode_each(fields, "fields")
    return [b"FIELDS", b"%d" % len(encoded), *encoded]


def _expiring(
    name: bytes, key: Argument, when: int, fields: Iterable[Argument], option: ExpireOptions | None
) -> Plan[list[int]]:
    return Plan(
        [
            *encode_command(name, key, when),
            *optional_keyword(option, ExpireOptions, "option"),
            *_fields(fields),
        ]
    )
