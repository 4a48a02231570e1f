"""Commands that only a cluster's client has, or with other arguments than a standalone server's."""

from __future__ import annotations

from glidecache.commands import keys, scripting, server
from glidecache.commands.command import Command
from glidecache.commands.decoding import to_map, to_optional_status
from glidecache.commands.encoding import encode, encode_command, encode_optional

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from glidecache.commands.encoding import Argument
    from glidecache.commands.options.server import MigrateOptions

# Commands that take a route, by family. If it leads to several nodes, each of them answers ...
ANSWERED_BY_EACH = {
    "server": """
        bgrewriteaof bgsave bgsave_cancel bgsave_schedule client_getname client_id config_get echo info lastsave
        latency_history latency_latest lolwut memory_doctor memory_malloc_stats memory_stats time
    """,
    "scripting": "function_dump function_list function_stats",
    "cluster_only": "fcall_route fcall_ro_route",
}
# ... or they give one answer together: the sum, the least, the union, or that all have succeeded.
ANSWERED_TOGETHER = {
    "keys": "random_key",
    "server": """
        client_pause client_unpause config_resetstat config_rewrite config_set dbsize flushall flushdb latency_reset
        memory_purge ping save wait
    """,
    "scripting": """
        function_delete function_flush function_kill function_load function_restore
        script_exists script_flush script_kill
    """,
}


def copy(
    source: Argument,
    destination: Argument,
    replace: bool | None = None,
    destinationDB: int | None = None,  # noqa: N803 - GLIDE's name
) -> Command[bool]:
    """Copy a value to another key of the same slot (`COPY`). Return whether it was copied."""
    return keys.copy(source, destination, destinationDB, replace)


def publish(message: Argument, channel: Argument, sharded: bool = False) -> Command[int]:
    """Send a message to a channel (`PUBLISH`, with `sharded` `SPUBLISH`). Return how many subscribers got it."""
    if not sharded:
        return server.publish(message, channel)
    return Command(encode_command(b"SPUBLISH", channel, message))


def pubsub_shardchannels(pattern: Argument | None = None) -> Command[list[bytes]]:
    """Return the sharded channels that have subscribers (`PUBSUB SHARDCHANNELS`)."""
    asking = [b"PUBSUB", b"SHARDCHANNELS"]
    return Command(asking if pattern is None else [*asking, encode(pattern, "pattern")])


def pubsub_shardnumsub(channels: Iterable[Argument] | None = None) -> Command[dict[bytes, int]]:
    """Return how many subscribers each of the sharded channels has (`PUBSUB SHARDNUMSUB`)."""
    return Command([b"PUBSUB", b"SHARDNUMSUB", *encode_optional(channels, "channels")], to_map)


def migrate(
    host: str,
    port: int,
    key: Argument,
    destination_db: int,
    timeout: int,
    options: MigrateOptions | None = None,
) -> Command[Literal["OK"] | bytes]:
    """Move a key to another server (`MIGRATE`), with `timeout` in milliseconds. Return `"OK"` or `b"NOKEY"`."""
    return Command(keys.migration(host, port, key, destination_db, timeout, options), to_optional_status)


def fcall_route(function: Argument, arguments: Iterable[Argument] | None = None) -> Command[Any]:
    """Call a function without keys, on the nodes of a route (`FCALL`)."""
    return scripting.fcall(function, None, arguments)


def fcall_ro_route(function: Argument, arguments: Iterable[Argument] | None = None) -> Command[Any]:
    """Call a function that only reads, without keys, on the nodes of a route (`FCALL_RO`)."""
    return scripting.fcall_ro(function, None, arguments)
