"""Plans of publishing. Subscriptions are bound to one connection, and not offered."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import to_map
from glidecache.commands.encoding import encode, encode_command, encode_optional

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from glidecache.commands.encoding import Argument


def publish(message: Argument, channel: Argument) -> Plan[int]:
    """Send a message to a channel (`PUBLISH`). Return how many subscribers of this server got it."""
    return Plan(encode_command(b"PUBLISH", channel, message))


def pubsub_channels(pattern: Argument | None = None) -> Plan[list[bytes]]:
    """Return the channels that have subscribers (`PUBSUB CHANNELS`)."""
    asking = [b"PUBSUB", b"CHANNELS"]
    return Plan(asking if pattern is None else [*asking, encode(pattern, "pattern")])


def pubsub_numpat() -> Plan[int]:
    """Return the number of patterns with subscribers (`PUBSUB NUMPAT`)."""
    return Plan([b"PUBSUB", b"NUMPAT"])


def pubsub_numsub(channels: Iterable[Argument] | None = None) -> Plan[dict[bytes, int]]:
    """Return how many subscribers each of the channels has (`PUBSUB NUMSUB`)."""
    return Plan([b"PUBSUB", b"NUMSUB", *encode_optional(channels, "channels")], to_map)
