"""Commands on streams, and on their consumer groups."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import (
    optional,
    to_bool,
    to_claimed,
    to_entries,
    to_map,
    to_maps,
    to_status,
    to_streams,
    to_whole_stream,
)
from glidecache.commands.encoding import each_of, encode, encode_command, encode_each, need
from glidecache.commands.options.stream_options import (
    StreamAddOptions,
    StreamClaimOptions,
    StreamGroupOptions,
    StreamPendingOptions,
    StreamRangeBound,
    StreamReadGroupOptions,
    StreamReadOptions,
    StreamTrimOptions,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from glidecache.commands.encoding import AnyMapping, Argument


def xadd(
    key: Argument, values: Iterable[tuple[Argument, Argument]], options: StreamAddOptions | None = None
) -> Command[bytes | None]:
    """Add an entry of fields and values (`XADD`). Return its ID, None if no stream was to be made."""
    args = encode_command(b"XADD", key)
    if options is None:
        args.append(b"*")
    else:
        need(options, StreamAddOptions, "options")
        args += options.to_args()
    for index, pair in enumerate(each_of(values, "values")):
        fields = encode_each(pair, f"values[{index}]")
        if len(fields) != 2:  # noqa: PLR2004 - a pair
            message = f"values[{index}] must be a field and a value, not {len(fields)} items"
            raise ValueError(message)
        args += fields
    return Command(args)


def xdel(key: Argument, ids: Iterable[Argument]) -> Command[int]:
    """Delete entries (`XDEL`). Return how many there were."""
    return Command([b"XDEL", encode(key, "key"), *encode_each(ids, "ids")])


def xtrim(key: Argument, options: StreamTrimOptions) -> Command[int]:
    """Remove old entries (`XTRIM`). Return how many."""
    need(options, StreamTrimOptions, "options")
    return Command([*encode_command(b"XTRIM", key), *options.to_args()])


def xlen(key: Argument) -> Command[int]:
    """Return how many entries the stream has (`XLEN`)."""
    return Command(encode_command(b"XLEN", key))


def xrange(
    key: Argument, start: StreamRangeBound, end: StreamRangeBound, count: int | None = None
) -> Command[dict[bytes, list[list[bytes]]] | None]:
    """Return the entries between two IDs, oldest first (`XRANGE`): `{id: [[field, value], …]}`."""
    return _range(b"XRANGE", key, bound(start, "start"), bound(end, "end"), count)


def xrevrange(
    key: Argument, end: StreamRangeBound, start: StreamRangeBound, count: int | None = None
) -> Command[dict[bytes, list[list[bytes]]] | None]:
    """Return the same as `xrange`, newest first (`XREVRANGE`); the higher bound also comes first."""
    return _range(b"XREVRANGE", key, bound(end, "end"), bound(start, "start"), count)


def xread(
    keys_and_ids: AnyMapping[Argument, Argument], options: StreamReadOptions | None = None
) -> Command[dict[bytes, dict[bytes, list[list[bytes]]]] | None]:
    """Return the entries after an ID, of several streams (`XREAD`): `{key: {id: [[field, value], …]}}` or None."""
    args = [b"XREAD"]
    if options is not None:
        need(options, StreamReadOptions, "options")
        args += options.to_args()
    return Command(args + streams(keys_and_ids), optional(to_streams))


def xinfo_stream(key: Argument) -> Command[dict[bytes, Any]]:
    """Return the state of a stream (`XINFO STREAM`)."""
    return Command(encode_command(b"XINFO", b"STREAM", key), to_map)


def xinfo_stream_full(key: Argument, count: int | None = None) -> Command[dict[bytes, Any]]:
    """Return a stream's state, with entries, groups, consumers, `count` of each at most (`XINFO STREAM … FULL`)."""
    args = encode_command(b"XINFO", b"STREAM", key, b"FULL")
    return Command(args if count is None else [*args, b"COUNT", encode(count, "count")], to_whole_stream)


def streams(keys_and_ids: AnyMapping[Argument, Argument]) -> list[bytes]:
    """Return the streams to read from: their keys first, then the IDs in the same order. Raises `TypeError`."""
    try:
        keys, ids = list(keys_and_ids.keys()), list(keys_and_ids.values())
    except AttributeError:
        message = f"keys_and_ids must be a mapping, not {type(keys_and_ids).__name__}"
        raise TypeError(message) from None
    return [
        b"STREAMS",
        *encode_each(keys, "a key of keys_and_ids"),
        *encode_each(ids, "an id of keys_and_ids"),
    ]


def _range(
    name: bytes, key: Argument, first: bytes, last: bytes, count: int | None
) -> Command[dict[bytes, list[list[bytes]]] | None]:
    args = encode_command(name, key, first, last)
    if count is not None:
        args += encode_command(b"COUNT", count)
    return Command(args, optional(to_entries))


def bound(end: StreamRangeBound, name: str) -> bytes:
    """Return the argument for one end of a range. Raises `TypeError`."""
    need(end, StreamRangeBound, name)
    return encode(end.to_arg(), name)


def xgroup_create(
    key: Argument, group_name: Argument, group_id: Argument, options: StreamGroupOptions | None = None
) -> Command[Literal["OK"]]:
    """Make a group that has read up to `group_id`, `"$"` for all (`XGROUP CREATE`)."""
    args = encode_command(b"XGROUP", b"CREATE", key, group_name, group_id)
    if options is not None:
        need(options, StreamGroupOptions, "options")
        args += options.to_args()
    return Command(args, to_status)


def xgroup_destroy(key: Argument, group_name: Argument) -> Command[bool]:
    """Delete a group, its consumers and its pending entries (`XGROUP DESTROY`). Return whether it existed."""
    return Command(encode_command(b"XGROUP", b"DESTROY", key, group_name), to_bool)


def xgroup_set_id(
    key: Argument, group_name: Argument, stream_id: Argument, entries_read: int | None = None
) -> Command[Literal["OK"]]:
    """Set the ID up to which a group has read (`XGROUP SETID`)."""
    args = encode_command(b"XGROUP", b"SETID", key, group_name, stream_id)
    if entries_read is not None:
        args += encode_command(b"ENTRIESREAD", entries_read)
    return Command(args, to_status)


def xgroup_create_consumer(key: Argument, group_name: Argument, consumer_name: Argument) -> Command[bool]:
    """Make a consumer (`XGROUP CREATECONSUMER`). Return whether it is new."""
    return Command(encode_command(b"XGROUP", b"CREATECONSUMER", key, group_name, consumer_name), to_bool)


def xgroup_del_consumer(key: Argument, group_name: Argument, consumer_name: Argument) -> Command[int]:
    """Delete a consumer (`XGROUP DELCONSUMER`). Return how many entries were pending with it."""
    return Command(encode_command(b"XGROUP", b"DELCONSUMER", key, group_name, consumer_name))


def xreadgroup(
    keys_and_ids: AnyMapping[Argument, Argument],
    group_name: Argument,
    consumer_name: Argument,
    options: StreamReadGroupOptions | None = None,
) -> Command[dict[bytes, dict[bytes, list[list[bytes]] | None]] | None]:
    """Read as a consumer of a group (`XREADGROUP`). The ID `">"`: undelivered entries; others: pending ones.

    Returns `{key: {id: [[field, value], …]}}`, with None for an entry that was deleted meanwhile; None without any.
    """
    args = encode_command(b"XREADGROUP", b"GROUP", group_name, consumer_name)
    if options is not None:
        need(options, StreamReadGroupOptions, "options")
        args += options.to_args()
    return Command(args + streams(keys_and_ids), optional(to_streams))


def xack(key: Argument, group_name: Argument, ids: Iterable[Argument]) -> Command[int]:
    """Acknowledge entries: they are no longer pending (`XACK`). Return how many were."""
    return Command([*encode_command(b"XACK", key, group_name), *encode_each(ids, "ids")])


def xpending(key: Argument, group_name: Argument) -> Command[list[Any]]:
    """Sum up the pending entries (`XPENDING`): `[count, lowest ID, highest ID, [[consumer, count], …]]`."""
    return Command(encode_command(b"XPENDING", key, group_name))


def xpending_range(
    key: Argument,
    group_name: Argument,
    start: StreamRangeBound,
    end: StreamRangeBound,
    count: int,
    options: StreamPendingOptions | None = None,
) -> Command[list[list[bytes | int]]]:
    """Return pending entries one by one (`XPENDING`): `[[ID, consumer, ms since delivery, deliveries], …]`."""
    args = encode_command(b"XPENDING", key, group_name)
    consumer: list[bytes] = []
    if options is not None:
        need(options, StreamPendingOptions, "options")
        if options.min_idle_time is not None:
            args += encode_command(b"IDLE", options.min_idle_time)
        if options.consumer_name is not None:
            consumer = [encode(options.consumer_name, "consumer_name")]
    return Command([*args, bound(start, "start"), bound(end, "end"), encode(count, "count"), *consumer])


def xclaim(
    key: Argument,
    group: Argument,
    consumer: Argument,
    min_idle_time_ms: int,
    ids: Iterable[Argument],
    options: StreamClaimOptions | None = None,
) -> Command[dict[bytes, list[list[bytes]]]]:
    """Take over entries that were pending for so long (`XCLAIM`): `{id: [[field, value], …]}`."""
    return Command(_claim(key, group, consumer, min_idle_time_ms, ids, options), to_entries)


def xclaim_just_id(
    key: Argument,
    group: Argument,
    consumer: Argument,
    min_idle_time_ms: int,
    ids: Iterable[Argument],
    options: StreamClaimOptions | None = None,
) -> Command[list[bytes]]:
    """Do as `xclaim`, without counting it as a delivery. Return the IDs alone (`XCLAIM … JUSTID`)."""
    return Command([*_claim(key, group, consumer, min_idle_time_ms, ids, options), b"JUSTID"])


def xautoclaim(
    key: Argument,
    group_name: Argument,
    consumer_name: Argument,
    min_idle_time_ms: int,
    start: Argument,
    count: int | None = None,
) -> Command[list[Any]]:
    """Take over all entries that were pending for so long, from `start` on (`XAUTOCLAIM`).

    Returns `[ID to continue from, {id: [[field, value], …]}, [deleted IDs]]`. The last one is missing before Valkey 7.
    """
    return Command(_autoclaim(key, group_name, consumer_name, min_idle_time_ms, start, count), to_claimed)


def xautoclaim_just_id(
    key: Argument,
    group_name: Argument,
    consumer_name: Argument,
    min_idle_time_ms: int,
    start: Argument,
    count: int | None = None,
) -> Command[list[Any]]:
    """Do as `xautoclaim`, without counting it as a delivery. Return the IDs alone (`XAUTOCLAIM … JUSTID`)."""
    return Command([*_autoclaim(key, group_name, consumer_name, min_idle_time_ms, start, count), b"JUSTID"])


def xinfo_groups(key: Argument) -> Command[list[dict[bytes, Any]]]:
    """Return the groups of a stream, each a map (`XINFO GROUPS`)."""
    return Command(encode_command(b"XINFO", b"GROUPS", key), to_maps)


def xinfo_consumers(key: Argument, group_name: Argument) -> Command[list[dict[bytes, Any]]]:
    """Return the consumers of a group, each a map (`XINFO CONSUMERS`)."""
    return Command(encode_command(b"XINFO", b"CONSUMERS", key, group_name), to_maps)


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
