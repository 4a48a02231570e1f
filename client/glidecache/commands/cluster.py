"""Plans of the commands that a cluster's client has alone, or with other arguments than a standalone server's."""

from __future__ import annotations

from glidecache.commands import keys
from glidecache.commands import publish as standalone_publish
from glidecache.decoding import to_map
from glidecache.encoding import encode, encode_command, encode_each
from glidecache.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from glidecache.encoding import Argument


def copy(
    source: Argument,
    destination: Argument,
    replace: bool | None = None,
    destinationDB: int | None = None,  # noqa: N803 - GLIDE's name
) -> Plan[bool]:
    """Copy a value to another key of the same slot (`COPY`); whether it was copied."""
    return keys.copy(source, destination, destinationDB, replace)


def publish(message: Argument, channel: Argument, sharded: bool = False) -> Plan[int]:
    """Send a message to a channel (`PUBLISH`, with `sharded` `SPUBLISH`); how many subscribers got it."""
    if not sharded:
        return standalone_publish.publish(message, channel)
    return Plan(encode_command(b"SPUBLISH", channel, message))


def pubsub_shardchannels(pattern: Argument | None = None) -> Plan[list[bytes]]:
    """The sharded channels that have subscribers (`PUBSUB SHARDCHANNELS`)."""
    asking = [b"PUBSUB", b"SHARDCHANNELS"]
    return Plan(asking if pattern is None else [*asking, encode(pattern, "pattern")])


def pubsub_shardnumsub(channels: list[Argument] | None = None) -> Plan[dict[bytes, int]]:
    """How many subscribers each of the sharded channels has (`PUBSUB SHARDNUMSUB`)."""
    return Plan([b"PUBSUB", b"SHARDNUMSUB", *encode_each(channels or (), "channels")], to_map)
