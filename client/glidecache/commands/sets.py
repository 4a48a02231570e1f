"""Plans of the set commands; `smembers` itself is a cached read and is part of the clients."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import to_bool, to_bools, to_set
from glidecache.commands.encoding import encode, encode_command, encode_each
from glidecache.commands.keys import scan_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.encoding import Argument


def sadd(key: Argument, members: Iterable[Argument]) -> Plan[int]:
    """Add members (`SADD`). Return how many of them are new."""
    return Plan([b"SADD", encode(key, "key"), *encode_each(members, "members")])


def srem(key: Argument, members: Iterable[Argument]) -> Plan[int]:
    """Remove members (`SREM`). Return how many there were."""
    return Plan([b"SREM", encode(key, "key"), *encode_each(members, "members")])


def scard(key: Argument) -> Plan[int]:
    """Return how many members the set has (`SCARD`)."""
    return Plan(encode_command(b"SCARD", key))


def sismember(key: Argument, member: Argument) -> Plan[bool]:
    """Return whether the set has the member (`SISMEMBER`)."""
    return Plan(encode_command(b"SISMEMBER", key, member), to_bool)


def sismember_if_exists(key: Argument, member: Argument) -> Plan[int]:
    """Return 1 or 0 as `sismember`, -1 if there is no such set (`SISMEMBER … XX`; servers that know the option)."""
    return Plan(encode_command(b"SISMEMBER", key, member, b"XX"))


def smismember(key: Argument, members: Iterable[Argument]) -> Plan[list[bool]]:
    """Return whether the set has each of the members (`SMISMEMBER`)."""
    return Plan([b"SMISMEMBER", encode(key, "key"), *encode_each(members, "members")], to_bools)


def smove(source: Argument, destination: Argument, member: Argument) -> Plan[bool]:
    """Move a member to another set (`SMOVE`). Return whether there was one."""
    return Plan(encode_command(b"SMOVE", source, destination, member), to_bool)


def spop(key: Argument) -> Plan[bytes | None]:
    """Return any member, and remove it (`SPOP`); None if there is none."""
    return Plan(encode_command(b"SPOP", key))


def spop_count(key: Argument, count: int) -> Plan[set[bytes]]:
    """Return up to `count` members, and remove them (`SPOP`)."""
    return Plan(encode_command(b"SPOP", key, count), to_set)


def srandmember(key: Argument) -> Plan[bytes | None]:
    """Return any member (`SRANDMEMBER`); None if there is none."""
    return Plan(encode_command(b"SRANDMEMBER", key))


def srandmember_count(key: Argument, count: int) -> Plan[list[bytes]]:
    """Return up to `count` different members. Negative: exactly that many, perhaps repeated (`SRANDMEMBER`)."""
    return Plan(encode_command(b"SRANDMEMBER", key, count))


def sdiff(keys: Iterable[Argument]) -> Plan[set[bytes]]:
    """Return the members of the first set that no other has (`SDIFF`)."""
    return Plan([b"SDIFF", *encode_each(keys, "keys")], to_set)


def sdiffstore(destination: Argument, keys: Iterable[Argument]) -> Plan[int]:
    """Store the result of `sdiff` as a set at `destination` (`SDIFFSTORE`). Return its size."""
    return Plan([b"SDIFFSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sinter(keys: Iterable[Argument]) -> Plan[set[bytes]]:
    """Return the members that all sets have (`SINTER`)."""
    return Plan([b"SINTER", *encode_each(keys, "keys")], to_set)


def sinterstore(destination: Argument, keys: Iterable[Argument]) -> Plan[int]:
    """Store the result of `sinter` as a set at `destination` (`SINTERSTORE`). Return its size."""
    return Plan([b"SINTERSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sintercard(keys: Iterable[Argument], limit: int | None = None) -> Plan[int]:
    """Return how many members all sets have; counting stops at `limit` (`SINTERCARD`)."""
    encoded = encode_each(keys, "keys")
    args = [b"SINTERCARD", b"%d" % len(encoded), *encoded]
    if limit is not None:
        args += encode_command(b"LIMIT", limit)
    return Plan(args)


def sunion(keys: Iterable[Argument]) -> Plan[set[bytes]]:
    """Return the members that any of the sets has (`SUNION`)."""
    return Plan([b"SUNION", *encode_each(keys, "keys")], to_set)


def sunionstore(destination: Argument, keys: Iterable[Argument]) -> Plan[int]:
    """Store the result of `sunion` as a set at `destination` (`SUNIONSTORE`). Return its size."""
    return Plan([b"SUNIONSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sscan(
    key: Argument, cursor: Argument, match: Argument | None = None, count: int | None = None
) -> Plan[list[Any]]:
    """Take one step over a set (`SSCAN`): `[next cursor, [member, …]]`; from `"0"` on, until `b"0"`."""
    return Plan([*encode_command(b"SSCAN", key, cursor), *scan_options(match, count)])
