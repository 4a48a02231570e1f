"""Commands to the server itself: its state, its memory and delays, and messages to subscribers.

Subscriptions are bound to one connection, and not offered.
"""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_map, to_status, to_text
from glidecache.commands.encoding import (
    each_of,
    encode,
    encode_command,
    encode_each,
    encode_optional,
    encode_pairs,
    keyword,
    optional_keyword,
)
from glidecache.commands.options.server import ClientPauseMode, FlushMode, InfoSection
from glidecache.core.lazy_import import LazyModule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from glidecache.commands import results
    from glidecache.commands.encoding import AnyMapping, Argument
    from glidecache.commands.results import LatencyEntry, LatencyEventInfo, MemoryStats


else:
    results = LazyModule("glidecache.commands.results")


def ping(message: Argument | None = None) -> Command[bytes]:
    """Return `b"PONG"`, or the message, from the server (`PING`)."""
    return Command([b"PING"] if message is None else encode_command(b"PING", message))


def echo(message: Argument) -> Command[bytes]:
    """Return the message, back from the server (`ECHO`)."""
    return Command(encode_command(b"ECHO", message))


def info(sections: Iterable[InfoSection] | None = None) -> Command[bytes]:
    """Return the server's information, as text of lines `name:value` (`INFO`)."""
    wanted = () if sections is None else each_of(sections, "sections")
    return Command([b"INFO", *(keyword(section, InfoSection, "a section") for section in wanted)])


def dbsize() -> Command[int]:
    """Return how many keys the database has (`DBSIZE`)."""
    return Command([b"DBSIZE"])


def flushall(flush_mode: FlushMode | None = None) -> Command[Literal["OK"]]:
    """Delete all keys of all databases (`FLUSHALL`). The cache is not touched (contract C15)."""
    return Command([b"FLUSHALL", *optional_keyword(flush_mode, FlushMode, "flush_mode")], to_status)


def flushdb(flush_mode: FlushMode | None = None) -> Command[Literal["OK"]]:
    """Delete all keys of the database (`FLUSHDB`). The cache is not touched (contract C15)."""
    return Command([b"FLUSHDB", *optional_keyword(flush_mode, FlushMode, "flush_mode")], to_status)


def time() -> Command[list[bytes]]:
    """Return the server's clock: Unix seconds, and microseconds within the second (`TIME`)."""
    return Command([b"TIME"])


def lastsave() -> Command[int]:
    """Return the Unix time of the last successful save (`LASTSAVE`)."""
    return Command([b"LASTSAVE"])


def save() -> Command[Literal["OK"]]:
    """Save to disk; the server does nothing else meanwhile (`SAVE`)."""
    return Command([b"SAVE"], to_status)


def bgsave() -> Command[bytes]:
    """Save to disk in the background (`BGSAVE`). Return the server's status text."""
    return Command([b"BGSAVE"])


def bgsave_schedule() -> Command[bytes]:
    """Do as `bgsave`, but after a running log rewrite (`BGSAVE SCHEDULE`)."""
    return Command([b"BGSAVE", b"SCHEDULE"])


def bgsave_cancel() -> Command[bytes]:
    """Stop a running or scheduled `bgsave` (`BGSAVE CANCEL`; Valkey 8.1)."""
    return Command([b"BGSAVE", b"CANCEL"])


def bgrewriteaof() -> Command[bytes]:
    """Rewrite the append-only log in the background (`BGREWRITEAOF`). Return the server's status text."""
    return Command([b"BGREWRITEAOF"])


def config_get(parameters: Iterable[Argument]) -> Command[dict[bytes, bytes]]:
    """Return the server's settings of these names or patterns (`CONFIG GET`)."""
    return Command([b"CONFIG", b"GET", *encode_each(parameters, "parameters")], to_map)


def config_set(parameters_map: AnyMapping[Argument, Argument]) -> Command[Literal["OK"]]:
    """Change settings of the server (`CONFIG SET`)."""
    return Command([b"CONFIG", b"SET", *encode_pairs(parameters_map, "parameters_map")], to_status)


def config_resetstat() -> Command[Literal["OK"]]:
    """Reset the server's statistics (`CONFIG RESETSTAT`)."""
    return Command([b"CONFIG", b"RESETSTAT"], to_status)


def config_rewrite() -> Command[Literal["OK"]]:
    """Write the settings in force to the server's configuration file (`CONFIG REWRITE`)."""
    return Command([b"CONFIG", b"REWRITE"], to_status)


def client_id() -> Command[int]:
    """Return the server's id of the connection that carried the request, one of the daemon's (`CLIENT ID`)."""
    return Command([b"CLIENT", b"ID"])


def client_getname() -> Command[bytes | None]:
    """Return the name of the connection that carried the request, which the daemon set (`CLIENT GETNAME`)."""
    return Command([b"CLIENT", b"GETNAME"])


def client_pause(timeout: int, mode: ClientPauseMode | None = None) -> Command[Literal["OK"]]:
    """Make the server hold back all commands, or all writes, for `timeout` milliseconds (`CLIENT PAUSE`)."""
    args = encode_command(b"CLIENT", b"PAUSE", timeout)
    return Command([*args, *optional_keyword(mode, ClientPauseMode, "mode")], to_status)


def client_unpause() -> Command[Literal["OK"]]:
    """End a pause (`CLIENT UNPAUSE`)."""
    return Command([b"CLIENT", b"UNPAUSE"], to_status)


def wait(numreplicas: int, timeout: int) -> Command[int]:
    """Wait until replicas have the writes, at most `timeout` milliseconds (`WAIT`). Return how many have them.

    The daemon's connections are shared, and a command that waits has one of its own. `WAIT` counts the writes of that
    connection, which has none. So the result is the number of replicas, and does not say that a write has arrived.
    """
    return Command(encode_command(b"WAIT", numreplicas, timeout))


def lolwut(version: int | None = None, parameters: Iterable[int] | None = None) -> Command[bytes]:
    """Return the server's version and a piece of art (`LOLWUT`)."""
    args = [b"LOLWUT"]
    if version is not None:
        args += encode_command(b"VERSION", version)
    return Command([*args, *encode_optional(parameters, "parameters")])


def memory_stats() -> Command[MemoryStats]:
    """Return the server's use of its memory (`MEMORY STATS`)."""
    return Command([b"MEMORY", b"STATS"], results.to_memory_stats)


def memory_doctor() -> Command[str]:
    """Return the server's own diagnosis of its memory (`MEMORY DOCTOR`)."""
    return Command([b"MEMORY", b"DOCTOR"], to_text)


def memory_malloc_stats() -> Command[str]:
    """Return the allocator's statistics (`MEMORY MALLOC-STATS`)."""
    return Command([b"MEMORY", b"MALLOC-STATS"], to_text)


def memory_purge() -> Command[Literal["OK"]]:
    """Have the allocator give memory back (`MEMORY PURGE`)."""
    return Command([b"MEMORY", b"PURGE"], to_status)


def latency_history(event: Argument) -> Command[list[LatencyEntry]]:
    """Return the times at which an event was slow, and its delays (`LATENCY HISTORY`)."""
    return Command(encode_command(b"LATENCY", b"HISTORY", event), results.to_latency_history)


def latency_latest() -> Command[list[LatencyEventInfo]]:
    """Return the last time and the worst delay of each event that was slow (`LATENCY LATEST`)."""
    return Command([b"LATENCY", b"LATEST"], results.to_latest_latencies)


def latency_reset(*events: Argument) -> Command[int]:
    """Forget the slow times of these events, or of all (`LATENCY RESET`). Return how many events were forgotten."""
    return Command([b"LATENCY", b"RESET", *encode_each(events, "events")])


def publish(message: Argument, channel: Argument) -> Command[int]:
    """Send a message to a channel (`PUBLISH`). Return how many subscribers of this server got it."""
    return Command(encode_command(b"PUBLISH", channel, message))


def pubsub_channels(pattern: Argument | None = None) -> Command[list[bytes]]:
    """Return the channels that have subscribers (`PUBSUB CHANNELS`)."""
    asking = [b"PUBSUB", b"CHANNELS"]
    return Command(asking if pattern is None else [*asking, encode(pattern, "pattern")])


def pubsub_numpat() -> Command[int]:
    """Return the number of patterns with subscribers (`PUBSUB NUMPAT`)."""
    return Command([b"PUBSUB", b"NUMPAT"])


def pubsub_numsub(channels: Iterable[Argument] | None = None) -> Command[dict[bytes, int]]:
    """Return how many subscribers each of the channels has (`PUBSUB NUMSUB`)."""
    return Command([b"PUBSUB", b"NUMSUB", *encode_optional(channels, "channels")], to_map)
