"""Commands on sets; `smembers` itself is a cached read and is part of the clients."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_bool, to_bools, to_set
from glidecache.commands.encoding import encode, encode_command, encode_each
from glidecache.commands.keys import scan_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.encoding import Argument


def sadd(key: Argument, members: Iterable[Argument]) -> Command[int]:
    """Add members (`SADD`). Return how many of them are new."""
    return Command([b"SADD", encode(key, "key"), *encode_each(members, "members")])


def srem(key: Argument, members: Iterable[Argument]) -> Command[int]:
    """Remove members (`SREM`). Return how many there were."""
    return Command([b"SREM", encode(key, "key"), *encode_each(members, "members")])


def scard(key: Argument) -> Command[int]:
    """Return how many members the set has (`SCARD`)."""
    return Command(encode_command(b"SCARD", key))


def sismember(key: Argument, member: Argument) -> Command[bool]:
    """Return whether the set has the member (`SISMEMBER`)."""
    return Command(encode_command(b"SISMEMBER", key, member), to_bool)


def sismember_if_exists(key: Argument, member: Argument) -> Command[int]:
    """Return 1 or 0 as `sismember`, -1 if there is no such set (`SISMEMBER … XX`; servers that know the option)."""
    return Command(encode_command(b"SISMEMBER", key, member, b"XX"))


def smismember(key: Argument, members: Iterable[Argument]) -> Command[list[bool]]:
    """Return whether the set has each of the members (`SMISMEMBER`)."""
    return Command([b"SMISMEMBER", encode(key, "key"), *encode_each(members, "members")], to_bools)


def smove(source: Argument, destination: Argument, member: Argument) -> Command[bool]:
    """Move a member to another set (`SMOVE`). Return whether there was one."""
    return Command(encode_command(b"SMOVE", source, destination, member), to_bool)


def spop(key: Argument) -> Command[bytes | None]:
    """Return any member, and remove it (`SPOP`); None if there is none."""
    return Command(encode_command(b"SPOP", key))


def spop_count(key: Argument, count: int) -> Command[set[bytes]]:
    """Return up to `count` members, and remove them (`SPOP`)."""
    return Command(encode_command(b"SPOP", key, count), to_set)


def srandmember(key: Argument) -> Command[bytes | None]:
    """Return any member (`SRANDMEMBER`); None if there is none."""
    return Command(encode_command(b"SRANDMEMBER", key))


def srandmember_count(key: Argument, count: int) -> Command[list[bytes]]:
    """Return up to `count` different members. Negative: exactly that many, perhaps repeated (`SRANDMEMBER`)."""
    return Command(encode_command(b"SRANDMEMBER", key, count))


def sdiff(keys: Iterable[Argument]) -> Command[set[bytes]]:
    """Return the members of the first set that no other has (`SDIFF`)."""
    return Command([b"SDIFF", *encode_each(keys, "keys")], to_set)


def sdiffstore(destination: Argument, keys: Iterable[Argument]) -> Command[int]:
    """Store the result of `sdiff` as a set at `destination` (`SDIFFSTORE`). Return its size."""
    return Command([b"SDIFFSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sinter(keys: Iterable[Argument]) -> Command[set[bytes]]:
    """Return the members that all sets have (`SINTER`)."""
    return Command([b"SINTER", *encode_each(keys, "keys")], to_set)


def sinterstore(destination: Argument, keys: Iterable[Argument]) -> Command[int]:
    """Store the result of `sinter` as a set at `destination` (`SINTERSTORE`). Return its size."""
    return Command([b"SINTERSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sintercard(keys: Iterable[Argument], limit: int | None = None) -> Command[int]:
    """Return how many members all sets have; counting stops at `limit` (`SINTERCARD`)."""
    encoded = encode_each(keys, "keys")
    args = [b"SINTERCARD", b"%d" % len(encoded), *encoded]
    if limit is not None:
        args += encode_command(b"LIMIT", limit)
    return Command(args)


def sunion(keys: Iterable[Argument]) -> Command[set[bytes]]:
    """Return the members that any of the sets has (`SUNION`)."""
    return Command([b"SUNION", *encode_each(keys, "keys")], to_set)


def sunionstore(destination: Argument, keys: Iterable[Argument]) -> Command[int]:
    """Store the result of `sunion` as a set at `destination` (`SUNIONSTORE`). Return its size."""
    return Command([b"SUNIONSTORE", encode(destination, "destination"), *encode_each(keys, "keys")])


def sscan(
    key: Argument, cursor: Argument, match: Argument | None = None, count: int | None = None
) -> Command[list[Any]]:
    """Take one step over a set (`SSCAN`): `[next cursor, [member, …]]`; from `"0"` on, until `b"0"`."""
    return Command([*encode_command(b"SSCAN", key, cursor), *scan_options(match, count)])
