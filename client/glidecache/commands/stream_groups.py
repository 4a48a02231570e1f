"""Plans of the commands on the consumer groups of streams."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import (
    optional,
    to_bool,
    to_claimed,
    to_entries,
    to_maps,
    to_status,
    to_streams,
)
from glidecache.commands.encoding import encode, encode_command, encode_each
from glidecache.commands.options.option_checks import need
from glidecache.commands.options.streams import (
    StreamClaimOptions,
    StreamGroupOptions,
    StreamPendingOptions,
    StreamRangeBound,
    StreamReadGroupOptions,
)
from glidecache.commands.streams import bound, streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from glidecache.commands.encoding import AnyMapping, Argument


def xgroup_create(
    key: Argument, group_name: Argument, group_id: Argument, options: StreamGroupOptions | None = None
) -> Plan[Literal["OK"]]:
    """Make a group that has read up to `group_id`, `"$"` for all (`XGROUP CREATE`)."""
    args = encode_command(b"XGROUP", b"CREATE", key, group_name, group_id)
    if options is not None:
        need(options, StreamGroupOptions, "options")
        args += options.to_args()
    return Plan(args, to_status)


def xgroup_destroy(key: Argument, group_name: Argument) -> Plan[bool]:
    """Delete a group, its consumers and its pending entries (`XGROUP DESTROY`). Return whether it existed."""
    return Plan(encode_command(b"XGROUP", b"DESTROY", key, group_name), to_bool)


def xgroup_set_id(
    key: Argument, group_name: Argument, stream_id: Argument, entries_read: int | None = None
) -> Plan[Literal["OK"]]:
    """Set the ID up to which a group has read (`XGROUP SETID`)."""
    args = encode_command(b"XGROUP", b"SETID", key, group_name, stream_id)
    if entries_read is not None:
        args += encode_command(b"ENTRIESREAD", entries_read)
    return Plan(args, to_status)


def xgroup_create_consumer(key: Argument, group_name: Argument, consumer_name: Argument) -> Plan[bool]:
    """Make a consumer (`XGROUP CREATECONSUMER`). Return whether it is new."""
    return Plan(encode_command(b"XGROUP", b"CREATECONSUMER", key, group_name, consumer_name), to_bool)


def xgroup_del_consumer(key: Argument, group_name: Argument, consumer_name: Argument) -> Plan[int]:
    """Delete a consumer (`XGROUP DELCONSUMER`). Return how many entries were pending with it."""
    return Plan(encode_command(b"XGROUP", b"DELCONSUMER", key, group_name, consumer_name))


def xreadgroup(
    keys_and_ids: AnyMapping[Argument, Argument],
    group_name: Argument,
    consumer_name: Argument,
    options: StreamReadGroupOptions | None = None,
) -> Plan[dict[bytes, dict[bytes, list[list[bytes]] | None]] | None]:
    """Read as a consumer of a group (`XREADGROUP`). The ID `">"`: undelivered entries; others: pending ones.

    Returns `{key: {id: [[field, value], …]}}`, with None for an entry that was deleted meanwhile; None without any.
    """
    args = encode_command(b"XREADGROUP", b"GROUP", group_name, consumer_name)
    if options is not None:
        need(options, StreamReadGroupOptions, "options")
        args += options.to_args()
    return Plan(args + streams(keys_and_ids), optional(to_streams))


def xack(key: Argument, group_name: Argument, ids: Iterable[Argument]) -> Plan[int]:
    """Acknowledge entries: they are no longer pending (`XACK`). Return how many were."""
    return Plan([*encode_command(b"XACK", key, group_name), *encode_each(ids, "ids")])


def xpending(key: Argument, group_name: Argument) -> Plan[list[Any]]:
    """Sum up the pending entries (`XPENDING`): `[count, lowest ID, highest ID, [[consumer, count], …]]`."""
    return Plan(encode_command(b"XPENDING", key, group_name))


def xpending_range(
    key: Argument,
    group_name: Argument,
    start: StreamRangeBound,
    end: StreamRangeBound,
    count: int,
    options: StreamPendingOptions | None = None,
) -> Plan[list[list[bytes | int]]]:
    """Return pending entries one by one (`XPENDING`): `[[ID, consumer, ms since delivery, deliveries], …]`."""
    args = encode_command(b"XPENDING", key, group_name)
    consumer: list[bytes] = []
    if options is not None:
        need(options, StreamPendingOptions, "options")
        if options.min_idle_time is not None:
            args += encode_command(b"IDLE", options.min_idle_time)
        if options.consumer_name is not None:
            consumer = [encode(options.consumer_name, "consumer_name")]
    return Plan([*args, bound(start, "start"), bound(end, "end"), encode(count, "count"), *consumer])


def xclaim(
    key: Argument,
    group: Argument,
    consumer: Argument,
    min_idle_time_ms: int,
    ids: Iterable[Argument],
    options: StreamClaimOptions | None = None,
) -> Plan[dict[bytes, list[list[bytes]]]]:
    """Take over entries that were pending for so long (`XCLAIM`): `{id: [[field, value], …]}`."""
    return Plan(_claim(key, group, consumer, min_idle_time_ms, ids, options), to_entries)


def xclaim_just_id(
    key: Argument,
    group: Argument,
    consumer: Argument,
    min_idle_time_ms: int,
    ids: Iterable[Argument],
    options: StreamClaimOptions | None = None,
) -> Plan[list[bytes]]:
    """Do as `xclaim`, without counting it as a delivery. Return the IDs alone (`XCLAIM … JUSTID`)."""
    return Plan([*_claim(key, group, consumer, min_idle_time_ms, ids, options), b"JUSTID"])


def xautoclaim(
    key: Argument,
    group_name: Argument,
    consumer_name: Argument,
    min_idle_time_ms: int,
    start: Argument,
    count: int | None = None,
) -> Plan[list[Any]]:
    """Take over all entries that were pending for so long, from `start` on (`XAUTOCLAIM`).

    Returns `[ID to continue from, {id: [[field, value], …]}, [deleted IDs]]`. The last one is missing before Valkey 7.
    """
    return Plan(_autoclaim(key, group_name, consumer_name, min_idle_time_ms, start, count), to_claimed)


def xautoclaim_just_id(
    key: Argument,
    group_name: Argument,
    consumer_name: Argument,
    min_idle_time_ms: int,
    start: Argument,
    count: int | None = None,
) -> Plan[list[Any]]:
    """Do as `xautoclaim`, without counting it as a delivery. Return the IDs alone (`XAUTOCLAIM … JUSTID`)."""
    return Plan([*_autoclaim(key, group_name, consumer_name, min_idle_time_ms, start, count), b"JUSTID"])


def xinfo_groups(key: Argument) -> Plan[list[dict[bytes, Any]]]:
    """Return the groups of a stream, each a map (`XINFO GROUPS`)."""
    return Plan(encode_command(b"XINFO", b"GROUPS", key), to_maps)


def xinfo_consumers(key: Argument, group_name: Argument) -> Plan[list[dict[bytes, Any]]]:
    """Return the consumers of a group, each a map (`XINFO CONSUMERS`)."""
    return Plan(encode_command(b"XINFO", b"CONSUMERS", key, group_name), to_maps)


def _claim(
    key: Argument,
    group: Argument,
    consumer: Argument,
    min_idle_time_ms: int,
    ids: Iterable[Argument],
    options: StreamClaimOptions | None,
) -> list[bytes]:
    args = encode_command(b"XCLAIM", key, group, consumer, min_idle_time_ms)
    args += encode_each(ids, "ids")
    if options is not None:
        need(options, StreamClaimOptions, "options")
        args += options.to_args()
    return args


def _autoclaim(
    key: Argument,
    group_name: Argument,
    consumer_name: Argument,
    min_idle_time_ms: int,
    start: Argument,
    count: int | None,
) -> list[bytes]:
    args = encode_command(b"XAUTOCLAIM", key, group_name, consumer_name, min_idle_time_ms, start)
    return args if count is None else [*args, b"COUNT", encode(count, "count")]
