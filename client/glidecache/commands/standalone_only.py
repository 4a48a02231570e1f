"""Commands that only a standalone server's client has, or with other arguments than a cluster's."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_function_stats, to_optional_status, to_status
from glidecache.commands.encoding import encode, encode_command, encode_each, keyword
from glidecache.commands.keys import migration, scan_options
from glidecache.commands.options.server import MigrateOptions, ObjectType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from glidecache.commands.encoding import Argument


def scan(
    cursor: Argument, match: Argument | None = None, count: int | None = None, type: ObjectType | None = None
) -> Command[list[Any]]:
    """Take one step over all keys (`SCAN`): `[next cursor, [key, …]]`. Begin with `"0"`; `b"0"` is the end."""
    args = [b"SCAN", encode(cursor, "cursor"), *scan_options(match, count)]
    if type is not None:
        args += [b"TYPE", keyword(type, ObjectType, "type")]
    return Command(args)


def migrate(
    host: str,
    port: int,
    keys: Argument | Iterable[Argument],
    destination_db: int,
    timeout: int,
    options: MigrateOptions | None = None,
) -> Command[Literal["OK"] | bytes]:
    """Move a key, or several, to another server (`MIGRATE`), which may be silent for `timeout` milliseconds.

    Returns `"OK"`, or `b"NOKEY"` if none of them exists. Raises `ValueError` for an empty list.
    """
    if isinstance(keys, (str, bytes, bytearray, memoryview, int, float)):
        return Command(migration(host, port, keys, destination_db, timeout, options), to_optional_status)
    several = encode_each(keys, "keys")
    if not several:
        message = "keys must not be empty"
        raise ValueError(message)
    args = migration(host, port, b"", destination_db, timeout, options)
    return Command([*args, b"KEYS", *several], to_optional_status)


def function_stats() -> Command[dict[bytes, dict[bytes, Any]]]:
    """Return the running function, and each engine's numbers (`FUNCTION STATS`): `{b"primary": …}`.

    The daemon asks the primary alone, and a client that names its upstream does not know the address.
    """
    return Command([b"FUNCTION", b"STATS"], _of_primary)


def failover(
    host: Argument | None = None,
    port: int | None = None,
    force: bool = False,
    abort: bool = False,
    timeout_ms: int | None = None,
) -> Command[Literal["OK"]]:
    """Hand over to a replica, or to the one at `host` and `port` (`FAILOVER`); `abort` ends a running one.

    Raises `ValueError` for half an address, and for `force` without one.
    """
    if (host is None) != (port is None):
        message = "host and port go together"
        raise ValueError(message)
    if force and host is None:
        message = "force needs host and port: the replica that takes over whether it is up to date or not"
        raise ValueError(message)
    args = [b"FAILOVER"]
    if abort:
        return Command([*args, b"ABORT"], to_status)
    if host is not None and port is not None:
        args += encode_command(b"TO", host, port)
        if force:
            args.append(b"FORCE")
    if timeout_ms is not None:
        args += encode_command(b"TIMEOUT", timeout_ms)
    return Command(args, to_status)


def replicaof(host: Argument, port: int) -> Command[Literal["OK"]]:
    """Make the server a replica of another (`REPLICAOF`): its own data are lost."""
    return Command(encode_command(b"REPLICAOF", host, port), to_status)


def replicaof_no_one() -> Command[Literal["OK"]]:
    """Make the server a primary again (`REPLICAOF NO ONE`)."""
    return Command([b"REPLICAOF", b"NO", b"ONE"], to_status)


def _of_primary(reply: Any) -> dict[bytes, dict[bytes, Any]]:
    return {b"primary": to_function_stats(reply)}
