"""Plans of the set commands; `smembers` itself is a cached read and stands in the clients."""

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
    """Add members (`SADD`); how many of them are new."""
    return Plan([b"SADD", encode(key, "key"), *encode_each(members, "members")])


def srem(key: Argument, members: Iterable[Argument]) -> Plan[int]:
    """Remove members (`SREM`); how many there were."""
    return Plan([b"SREM", encode(key, "key"), *encode_each(members, "members")])


def scard(key: Argument) -> Plan[int]:
    """How many members the set has (`SCARD`)."""
    return Plan(encode_command(b"SCARD", key))


def sismember(key: Argument, member: Argument) -> Plan[bool]:
    """Whether the set has the member (`SISMEMBER`)."""
    return Plan(encode_command(b"SISMEMBER", key, member), to_bool)


def sismember_if_exists(key: Argument, member: Argument) -> Plan[int]:
    """1 or 0 as `sismember`, -1 where there is no such set (`SISMEMBER … XX`; servers that know the option)."""
    return Plan(encode_command(b"SISMEMBER", key, member, b"XX"))


def smismember(key: Argument, members: Iterable[Argument]) -> Plan[list[bool]]:
    """Whether the set has each of the members (`SMISMEMBER`)."""
    return Plan([b"SMISMEMBER", encode(key, "key"), *encode_each(members, "members")], to_bools)


def smove(source: Argument, destination: Argument, member: Argument) -> Plan[bool]:
    """Move a member to another set (`SMOVE`); whether there was one."""
    return Plan(encode_command(b"SMOVE", source, destination, member), to_bool)


def spop(key: Argument) -> Plan[bytes | None]:
    """Any member, which is removed (`SPOP`); None where there is none."""
    return Plan(encode_command(b"SPOP", key))


def spop_count(key: Argument, count: int) -> Plan[set[bytes]]:
    """Up to `count` members, which are removed (`SPOP`)."""
    return Plan(encode_command(b"SPOP", key, count), to_set)


def srandmember(key: Argument) -> Plan[bytes | None]:
    """Any member (`SRANDMEMBER`); None where there is none."""
    return Plan(encode_command(b"SRANDMEMBER", key))


def srandmember_count(key: Argument, count: int) -> Plan[list[bytes]]:
    """Up to `count` different members; with a negative count that many, repeated perhaps (`SRANDMEMBER`)."""
    return Plan(encode_command(b"SRANDMEMBER", key, count))


def sdiff(keys: Iterable[Argument]) -> Plan[set[bytes]]:
    """The members of the first set that no other has (`SDIFF`)."""
    return Plan([b"SDIFF", *encode_each(keys, "keys")], to_set)


def sdiffstore(destination: Argument, keys: Iterable[Argument]) -> Plan[int]:
    """As `sdiff`, into a set at `destination` (`SDIFFSTORE`); its size."""
    return Plan([b"SDIFFSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sinter(keys: Iterable[Argument]) -> Plan[set[bytes]]:
    """The members that all sets have (`SINTER`)."""
    return Plan([b"SINTER", *encode_each(keys, "keys")], to_set)


def sinterstore(destination: Argument, keys: Iterable[Argument]) -> Plan[int]:
    """As `sinter`, into a set at `destination` (`SINTERSTORE`); its size."""
    return Plan([b"SINTERSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sintercard(keys: Iterable[Argument], limit: int | None = None) -> Plan[int]:
    """How many members all sets have; counting stops at `limit` (`SINTERCARD`)."""
    encoded = encode_each(keys, "keys")
    args = [b"SINTERCARD", b"%d" % len(encoded), *encoded]
    if limit is not None:
        args += encode_command(b"LIMIT", limit)
    return Plan(args)


def sunion(keys: Iterable[Argument]) -> Plan[set[bytes]]:
    """The members that any of the sets has (`SUNION`)."""
    return Plan([b"SUNION", *encode_each(keys, "keys")], to_set)


def sunionstore(destination: Argument, keys: Iterable[Argument]) -> Plan[int]:
    """As `sunion`, into a set at `destination` (`SUNIONSTORE`); its size."""
    return Plan([b"SUNIONSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sscan(
    key: Argument, cursor: Argument, match: Argument | None = None, count: int | None = None
) -> Plan[list[Any]]:
    """One step over a set (`SSCAN`): `[next cursor, [member, …]]`; begin with `"0"`, the end is `b"0"`."""
    return Plan([*encode_command(b"SSCAN", key, cursor), *scan_options(match, count)])
