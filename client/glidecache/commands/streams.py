"""Plans of the stream commands: writing, reading, and a stream's own state; groups are in `stream_groups`."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import optional, to_entries, to_map, to_streams, to_whole_stream
from glidecache.commands.encoding import each_of, encode, encode_command, encode_each
from glidecache.commands.options.option_checks import need
from glidecache.commands.options.streams import (
    StreamAddOptions,
    StreamRangeBound,
    StreamReadOptions,
    StreamTrimOptions,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.encoding import AnyMapping, Argument


def xadd(
    key: Argument, values: Iterable[tuple[Argument, Argument]], options: StreamAddOptions | None = None
) -> Plan[bytes | None]:
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
    return Plan(args)


def xdel(key: Argument, ids: Iterable[Argument]) -> Plan[int]:
    """Delete entries (`XDEL`). Return how many there were."""
    return Plan([b"XDEL", encode(key, "key"), *encode_each(ids, "ids")])


def xtrim(key: Argument, options: StreamTrimOptions) -> Plan[int]:
    """Remove old entries (`XTRIM`). Return how many."""
    need(options, StreamTrimOptions, "options")
    return Plan([*encode_command(b"XTRIM", key), *options.to_args()])


def xlen(key: Argument) -> Plan[int]:
    """Return how many entries the stream has (`XLEN`)."""
    return Plan(encode_command(b"XLEN", key))


def xrange(
    key: Argument, start: StreamRangeBound, end: StreamRangeBound, count: int | None = None
) -> Plan[dict[bytes, list[list[bytes]]] | None]:
    """Return the entries between two IDs, oldest first (`XRANGE`): `{id: [[field, value], …]}`."""
    return _range(b"XRANGE", key, bound(start, "start"), bound(end, "end"), count)


def xrevrange(
    key: Argument, end: StreamRangeBound, start: StreamRangeBound, count: int | None = None
) -> Plan[dict[bytes, list[list[bytes]]] | None]:
    """Return the same as `xrange`, newest first (`XREVRANGE`); the higher bound also comes first."""
    return _range(b"XREVRANGE", key, bound(end, "end"), bound(start, "start"), count)


def xread(
    keys_and_ids: AnyMapping[Argument, Argument], options: StreamReadOptions | None = None
) -> Plan[dict[bytes, dict[bytes, list[list[bytes]]]] | None]:
    """Return the entries after an ID, of several streams (`XREAD`): `{key: {id: [[field, value], …]}}` or None."""
    args = [b"XREAD"]
    if options is not None:
        need(options, StreamReadOptions, "options")
        args += options.to_args()
    return Plan(args + streams(keys_and_ids), optional(to_streams))


def xinfo_stream(key: Argument) -> Plan[dict[bytes, Any]]:
    """Return the state of a stream (`XINFO STREAM`)."""
    return Plan(encode_command(b"XINFO", b"STREAM", key), to_map)


def xinfo_stream_full(key: Argument, count: int | None = None) -> Plan[dict[bytes, Any]]:
    """Return a stream's state, with entries, groups, consumers, `count` of each at most (`XINFO STREAM … FULL`)."""
    args = encode_command(b"XINFO", b"STREAM", key, b"FULL")
    return Plan(args if count is None else [*args, b"COUNT", encode(count, "count")], to_whole_stream)


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
) -> Plan[dict[bytes, list[list[bytes]]] | None]:
    args = encode_command(name, key, first, last)
    if count is not None:
        args += encode_command(b"COUNT", count)
    return Plan(args, optional(to_entries))


def bound(end: StreamRangeBound, name: str) -> bytes:
    """Return the argument for one end of a range. Raises `TypeError`."""
    need(end, StreamRangeBound, name)
    return encode(end.to_arg(), name)
