"""Commands that only batches have.

The cacheable commands bypass the cache there (contract C17). Others have different argument names in GLIDE's batches.
"""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_map, to_set, to_status
from glidecache.commands.encoding import encode_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from glidecache.commands.encoding import Argument


def get(key: Argument) -> Command[bytes | None]:
    """Return the value of `key` (`GET`); None if there is none."""
    return Command(encode_command(b"GET", key))


def hgetall(key: Argument) -> Command[dict[bytes, bytes]]:
    """Return all fields and values (`HGETALL`)."""
    return Command(encode_command(b"HGETALL", key), to_map)


def smembers(key: Argument) -> Command[set[bytes]]:
    """Return all members (`SMEMBERS`)."""
    return Command(encode_command(b"SMEMBERS", key), to_set)


def rpop(key: Argument, count: int | None = None) -> Command[bytes | list[bytes] | None]:
    """Return the last element, and remove it (`RPOP`). With `count`, a list of so many; None if there is none."""
    return Command(encode_command(b"RPOP", key) if count is None else encode_command(b"RPOP", key, count))


def xgroup_set_id(
    key: Argument, group_name: Argument, stream_id: Argument, entries_read_id: Argument | None = None
) -> Command[Literal["OK"]]:
    """Set the ID up to which a group has read (`XGROUP SETID`)."""
    args = encode_command(b"XGROUP", b"SETID", key, group_name, stream_id)
    if entries_read_id is not None:
        args += encode_command(b"ENTRIESREAD", entries_read_id)
    return Command(args, to_status)
