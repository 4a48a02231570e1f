"""Plans of the three cacheable commands, for where they bypass the cache: in batches (contract C17)."""

from __future__ import annotations

from glidecache.decoding import to_map, to_set
from glidecache.encoding import encode_command
from glidecache.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from glidecache.encoding import Argument


def get(key: Argument) -> Plan[bytes | None]:
    """The value of `key` (`GET`); None where there is none."""
    return Plan(encode_command(b"GET", key))


def hgetall(key: Argument) -> Plan[dict[bytes, bytes]]:
    """All fields and values (`HGETALL`)."""
    return Plan(encode_command(b"HGETALL", key), to_map)


def smembers(key: Argument) -> Plan[set[bytes]]:
    """All members (`SMEMBERS`)."""
    return Plan(encode_command(b"SMEMBERS", key), to_set)
