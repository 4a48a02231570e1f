"""Commands that work on keys of any type."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_bool, to_status
from glidecache.commands.encoding import (
    encode,
    encode_command,
    encode_each,
    encode_optional,
    need,
    optional_keyword,
)
from glidecache.commands.options.ranges import Limit, OrderBy
from glidecache.commands.options.server import MigrateOptions
from glidecache.commands.options.writes import ExpireOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from glidecache.commands.encoding import Argument


def delete(keys: Iterable[Argument]) -> Command[int]:
    """Delete keys (`DEL`). Return how many there were. The cache is not touched (contract C15)."""
    return Command([b"DEL", *encode_each(keys, "keys")])


def unlink(keys: Iterable[Argument]) -> Command[int]:
    """Delete keys, giving their memory back later (`UNLINK`). Return how many there were."""
    return Command([b"UNLINK", *encode_each(keys, "keys")])


def exists(keys: Iterable[Argument]) -> Command[int]:
    """Return how many of the keys exist; a key given twice counts twice (`EXISTS`)."""
    return Command([b"EXISTS", *encode_each(keys, "keys")])


def touch(keys: Iterable[Argument]) -> Command[int]:
    """Mark keys as used just now on the server (`TOUCH`). Return how many exist."""
    return Command([b"TOUCH", *encode_each(keys, "keys")])


def type(key: Argument) -> Command[bytes]:
    """Return the type of the value: `b"string"`, `b"hash"`, …, `b"none"` if there is none (`TYPE`)."""
    return Command(encode_command(b"TYPE", key))


def expire(key: Argument, seconds: int, option: ExpireOptions | None = None) -> Command[bool]:
    """Let `key` expire after `seconds` (`EXPIRE`). Return whether that was set."""
    return _expiring(b"EXPIRE", key, seconds, option)


def expireat(key: Argument, unix_seconds: int, option: ExpireOptions | None = None) -> Command[bool]:
    """Let `key` expire at a Unix time in seconds (`EXPIREAT`). Return whether that was set."""
    return _expiring(b"EXPIREAT", key, unix_seconds, option)


def pexpire(key: Argument, milliseconds: int, option: ExpireOptions | None = None) -> Command[bool]:
    """Let `key` expire after `milliseconds` (`PEXPIRE`). Return whether that was set."""
    return _expiring(b"PEXPIRE", key, milliseconds, option)


def pexpireat(key: Argument, unix_milliseconds: int, option: ExpireOptions | None = None) -> Command[bool]:
    """Let `key` expire at a Unix time in milliseconds (`PEXPIREAT`). Return whether that was set."""
    return _expiring(b"PEXPIREAT", key, unix_milliseconds, option)


def expiretime(key: Argument) -> Command[int]:
    """Return the Unix time in seconds when `key` expires; -1: never, -2: no such key (`EXPIRETIME`)."""
    return Command(encode_command(b"EXPIRETIME", key))


def pexpiretime(key: Argument) -> Command[int]:
    """Return the Unix time in milliseconds when `key` expires; -1: never, -2: no such key (`PEXPIRETIME`)."""
    return Command(encode_command(b"PEXPIRETIME", key))


def ttl(key: Argument) -> Command[int]:
    """Return the seconds that `key` has to live; -1: forever, -2: there is no such key (`TTL`)."""
    return Command(encode_command(b"TTL", key))


def pttl(key: Argument) -> Command[int]:
    """Return the milliseconds that `key` has to live; -1: forever, -2: there is no such key (`PTTL`)."""
    return Command(encode_command(b"PTTL", key))


def persist(key: Argument) -> Command[bool]:
    """Let `key` live forever (`PERSIST`). Return whether it had an expiry."""
    return Command(encode_command(b"PERSIST", key), to_bool)


def rename(key: Argument, new_key: Argument) -> Command[Literal["OK"]]:
    """Rename a key, and replace a key that already has the new name (`RENAME`)."""
    return Command(encode_command(b"RENAME", key, new_key), to_status)


def renamenx(key: Argument, new_key: Argument) -> Command[bool]:
    """Rename a key unless the new name is taken (`RENAMENX`). Return whether it was renamed."""
    return Command(encode_command(b"RENAMENX", key, new_key), to_bool)


def copy(
    source: Argument,
    destination: Argument,
    destinationDB: int | None = None,  # noqa: N803 - GLIDE's name
    replace: bool | None = None,
) -> Command[bool]:
    """Copy a value to another key, of another database if asked for (`COPY`). Return whether it was copied."""
    args = encode_command(b"COPY", source, destination)
    if destinationDB is not None:
        args += encode_command(b"DB", destinationDB)
    if replace:
        args.append(b"REPLACE")
    return Command(args, to_bool)


def move(key: Argument, db_index: int) -> Command[bool]:
    """Move a key to another database (`MOVE`). Return whether it was moved."""
    return Command(encode_command(b"MOVE", key, db_index), to_bool)


def dump(key: Argument) -> Command[bytes | None]:
    """Return the value in the server's own serialised form (`DUMP`); None if there is none."""
    return Command(encode_command(b"DUMP", key))


def restore(
    key: Argument,
    ttl: int,
    value: Argument,
    replace: bool = False,
    absttl: bool = False,
    idletime: int | None = None,
    frequency: int | None = None,
) -> Command[Literal["OK"]]:
    """Make a key from the result of `dump` (`RESTORE`), to live `ttl` milliseconds; 0: forever.

    With `absttl` the `ttl` is a Unix time in milliseconds. A server refuses `idletime` with `frequency`.
    """
    args = encode_command(b"RESTORE", key, ttl, value)
    if replace:
        args.append(b"REPLACE")
    if absttl:
        args.append(b"ABSTTL")
    if idletime is not None:
        args += encode_command(b"IDLETIME", idletime)
    if frequency is not None:
        args += encode_command(b"FREQ", frequency)
    return Command(args, to_status)


def object_encoding(key: Argument) -> Command[bytes | None]:
    """Return the server's encoding of the value (`OBJECT ENCODING`); None if there is none."""
    return Command(encode_command(b"OBJECT", b"ENCODING", key))


def object_freq(key: Argument) -> Command[int | None]:
    """Return the server's access frequency counter of the key (`OBJECT FREQ`); None if there is none."""
    return Command(encode_command(b"OBJECT", b"FREQ", key))


def object_idletime(key: Argument) -> Command[int | None]:
    """Return the seconds since the last access on the server (`OBJECT IDLETIME`); None if there is no such key."""
    return Command(encode_command(b"OBJECT", b"IDLETIME", key))


def object_refcount(key: Argument) -> Command[int | None]:
    """Return the server's reference count of the value (`OBJECT REFCOUNT`); None if there is none."""
    return Command(encode_command(b"OBJECT", b"REFCOUNT", key))


def random_key() -> Command[bytes | None]:
    """Return any key (`RANDOMKEY`); None if there is none."""
    return Command([b"RANDOMKEY"])


def sort(
    key: Argument,
    by_pattern: Argument | None = None,
    limit: Limit | None = None,
    get_patterns: Iterable[Argument] | None = None,
    order: OrderBy | None = None,
    alpha: bool | None = None,
) -> Command[list[bytes | None]]:
    """Return the elements of a list, set or sorted set in order (`SORT`)."""
    return Command(_sorting(b"SORT", key, by_pattern, limit, get_patterns, order, alpha))


def sort_ro(
    key: Argument,
    by_pattern: Argument | None = None,
    limit: Limit | None = None,
    get_patterns: Iterable[Argument] | None = None,
    order: OrderBy | None = None,
    alpha: bool | None = None,
) -> Command[list[bytes | None]]:
    """Return the same as `sort`, also from replicas (`SORT_RO`)."""
    return Command(_sorting(b"SORT_RO", key, by_pattern, limit, get_patterns, order, alpha))


def sort_store(
    key: Argument,
    destination: Argument,
    by_pattern: Argument | None = None,
    limit: Limit | None = None,
    get_patterns: Iterable[Argument] | None = None,
    order: OrderBy | None = None,
    alpha: bool | None = None,
) -> Command[int]:
    """Store the result of `sort` as a list at `destination` (`SORT … STORE`). Return its length."""
    args = _sorting(b"SORT", key, by_pattern, limit, get_patterns, order, alpha)
    return Command([*args, b"STORE", encode(destination, "destination")])


def scan_options(match: Argument | None, count: int | None) -> list[bytes]:
    """Return the arguments that all commands of the `SCAN` kind share."""
    args: list[bytes] = []
    if match is not None:
        args += encode_command(b"MATCH", match)
    if count is not None:
        args += encode_command(b"COUNT", count)
    return args


def migration(
    host: str, port: int, key: Argument, destination_db: int, timeout: int, options: MigrateOptions | None
) -> list[bytes]:
    """Return the arguments of `MIGRATE` up to its options. Raises `TypeError` and `ValueError`."""
    args = encode_command(b"MIGRATE", host, port, key, destination_db, timeout)
    if options is not None:
        need(options, MigrateOptions, "options")
        args += options.to_args()
    return args


def _expiring(name: bytes, key: Argument, when: int, option: ExpireOptions | None) -> Command[bool]:
    return Command(
        [*encode_command(name, key, when), *optional_keyword(option, ExpireOptions, "option")], to_bool
    )


def _sorting(
    name: bytes,
    key: Argument,
    by_pattern: Argument | None,
    limit: Limit | None,
    get_patterns: Iterable[Argument] | None,
    order: OrderBy | None,
    alpha: bool | None,
) -> list[bytes]:
    args = encode_command(name, key)
    if by_pattern is not None:
        args += encode_command(b"BY", by_pattern)
    if limit is not None:
        need(limit, Limit, "limit")
        args += limit.to_args()
    for pattern in encode_optional(get_patterns, "get_patterns"):
        args += [b"GET", pattern]
    args += optional_keyword(order, OrderBy, "order")
    if alpha:
        args.append(b"ALPHA")
    return args
