"""Commands on bitmaps, HyperLogLogs, positions and streams: what is sent, what older servers reply, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    BitFieldGet,
    BitFieldIncrBy,
    BitFieldOverflow,
    BitFieldSet,
    BitmapIndexType,
    BitOffset,
    BitOffsetMultiplier,
    BitOverflowControl,
    BitwiseOperation,
    ConditionalChange,
    ExclusiveIdBound,
    GeoSearchByBox,
    GeoSearchByRadius,
    GeoSearchCount,
    GeospatialData,
    GeoUnit,
    IdBound,
    MaxId,
    MinId,
    OffsetOptions,
    OrderBy,
    SignedEncoding,
    StreamAddOptions,
    StreamClaimOptions,
    StreamGroupOptions,
    StreamPendingOptions,
    StreamReadGroupOptions,
    StreamReadOptions,
    TrimByMaxLen,
    TrimByMinId,
    UnsignedEncoding,
)
from glidecache.commands import batched, geo, streams, strings

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache.commands.command import Command

U4, I8 = UnsignedEncoding(4), SignedEncoding(8)
RADIUS = GeoSearchByRadius(1.5, GeoUnit.MILES)
PLACE = GeospatialData(13.5, -38)

SENT = [
    (strings.bitcount("k", OffsetOptions(0, -1, BitmapIndexType.BIT)), "BITCOUNT k 0 -1 BIT"),
    (strings.bitpos("k", 1, OffsetOptions(2)), "BITPOS k 1 2"),
    (strings.bitop(BitwiseOperation.XOR, "d", ["a", "b"]), "BITOP XOR d a b"),
    (
        strings.bitfield(
            "k",
            [
                BitFieldSet(U4, BitOffset(5), 3),
                BitFieldOverflow(BitOverflowControl.FAIL),
                BitFieldIncrBy(I8, BitOffsetMultiplier(1), -2),
            ],
        ),
        "BITFIELD k SET u4 5 3 OVERFLOW FAIL INCRBY i8 #1 -2",
    ),
    (strings.bitfield_read_only("k", [BitFieldGet(U4, BitOffset(0))]), "BITFIELD_RO k GET u4 0"),
    (strings.pfmerge("d", ["a", "b"]), "PFMERGE d a b"),
    (
        geo.geoadd("g", {"m": PLACE}, ConditionalChange.ONLY_IF_EXISTS, True),
        "GEOADD g XX CH 13.5 -38 m",
    ),
    (geo.geodist("g", "a", "b", GeoUnit.FEET), "GEODIST g a b ft"),
    (
        geo.geosearch("g", "m", RADIUS, OrderBy.ASC, GeoSearchCount(3, True), True, True, True),
        "GEOSEARCH g FROMMEMBER m BYRADIUS 1.5 mi ASC COUNT 3 ANY WITHCOORD WITHDIST WITHHASH",
    ),
    (
        geo.geosearchstore("d", "g", PLACE, GeoSearchByBox(1, 2, GeoUnit.METERS), GeoSearchCount(3), True),
        "GEOSEARCHSTORE d g FROMLONLAT 13.5 -38 BYBOX 1 2 m COUNT 3 STOREDIST",
    ),
    (streams.xadd("s", [("f", 1), (b"g", 2.5)]), "XADD s * f 1 g 2.5"),
    (
        streams.xadd("s", [("f", 1)], StreamAddOptions("5-*", False, TrimByMinId(False, "4", 9))),
        "XADD s NOMKSTREAM MINID ~ 4 LIMIT 9 5-* f 1",
    ),
    (streams.xtrim("s", TrimByMaxLen(True, 5)), "XTRIM s MAXLEN = 5"),
    (streams.xrange("s", MinId(), ExclusiveIdBound("5-1"), 7), "XRANGE s - (5-1 COUNT 7"),
    (streams.xrevrange("s", MaxId(), IdBound.from_timestamp(5)), "XREVRANGE s + 5"),
    (streams.xrange("s", ExclusiveIdBound(b"1"), ExclusiveIdBound.from_timestamp(2)), "XRANGE s (1 (2"),
    (
        streams.xread({"s": "0", "t": "$"}, StreamReadOptions(5, 6)),
        "XREAD BLOCK 5 COUNT 6 STREAMS s t 0 $",
    ),
    (streams.xinfo_stream_full("s", 3), "XINFO STREAM s FULL COUNT 3"),
    (
        streams.xgroup_create("s", "g", "$", StreamGroupOptions(True, 5)),
        "XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 5",
    ),
    (streams.xgroup_set_id("s", "g", "0", 5), "XGROUP SETID s g 0 ENTRIESREAD 5"),
    (batched.xgroup_set_id("s", "g", "0", "5"), "XGROUP SETID s g 0 ENTRIESREAD 5"),
    (batched.rpop("l", 2), "RPOP l 2"),
    (batched.rpop("l"), "RPOP l"),
    (
        streams.xreadgroup({"s": ">"}, "g", "c", StreamReadGroupOptions(True, 0, 5)),
        "XREADGROUP GROUP g c BLOCK 0 COUNT 5 NOACK STREAMS s >",
    ),
    (
        streams.xpending_range("s", "g", MinId(), MaxId(), 5, StreamPendingOptions(9, "c")),
        "XPENDING s g IDLE 9 - + 5 c",
    ),
    (
        streams.xclaim("s", "g", "c", 5, ["1-0"], StreamClaimOptions(1, 2, 3, True)),
        "XCLAIM s g c 5 1-0 IDLE 1 TIME 2 RETRYCOUNT 3 FORCE",
    ),
    (streams.xclaim_just_id("s", "g", "c", 5, ["1-0"]), "XCLAIM s g c 5 1-0 JUSTID"),
    (streams.xautoclaim("s", "g", "c", 5, "0", 7), "XAUTOCLAIM s g c 5 0 COUNT 7"),
    (streams.xautoclaim_just_id("s", "g", "c", 5, "0"), "XAUTOCLAIM s g c 5 0 JUSTID"),
]


@pytest.mark.parametrize(("command", "sent"), SENT, ids=[sent for _, sent in SENT])
def test_what_is_sent(command: Command[Any], sent: str) -> None:
    assert command.args == sent.encode().split()


FLAT, PAIRS = [b"f", b"1", b"f", b"2"], [[b"f", b"1"], [b"f", b"2"]]

DECODED = [
    # RESP2's form of several streams; RESP3's is a map.
    (streams.xread({"s": 0}), [[b"s", [[b"1-0", FLAT]]]], {b"s": {b"1-0": PAIRS}}),
    (streams.xread({"s": 0}), {b"s": [[b"1-0", FLAT]]}, {b"s": {b"1-0": PAIRS}}),
    (streams.xread({"s": 0}), None, None),
    # An entry that was deleted while it was pending: its own history has the ID, older servers' claims have nothing.
    (streams.xreadgroup({"s": 0}, "g", "c"), {b"s": [[b"1-0", None]]}, {b"s": {b"1-0": None}}),
    (streams.xclaim("s", "g", "c", 0, ["1"]), [None, [b"2-0", FLAT]], {b"2-0": PAIRS}),
    (streams.xautoclaim("s", "g", "c", 0, "0"), [b"0-0", [None]], [b"0-0", {}]),
    (streams.xautoclaim("s", "g", "c", 0, "0"), [b"0-0", [], [b"1-0"]], [b"0-0", {}, [b"1-0"]]),
    (
        streams.xinfo_stream_full("s"),
        [b"length", 1, b"groups", [[b"name", b"g", b"consumers", [[b"name", b"c"]]]]],
        {b"length": 1, b"groups": [{b"name": b"g", b"consumers": [{b"name": b"c"}]}]},
    ),
    (geo.geopos("g", ["a", "b"]), [[b"1.5", b"2"], None], [[1.5, 2.0], None]),
    (
        geo.geosearch("g", "m", RADIUS, with_dist=True, with_coord=True),
        [[b"m", b"1.5", [b"1", b"2"]]],
        [[b"m", [1.5, [1.0, 2.0]]]],
    ),
    (geo.geosearch("g", "m", RADIUS, with_hash=True), [[b"m", 5]], [[b"m", [5]]]),
    (strings.pfadd("h", ["a"]), 1, True),
]


@pytest.mark.parametrize(
    ("command", "reply", "result"),
    DECODED,
    ids=[f"{command.args[0].decode()}-{reply}" for command, reply, _ in DECODED],
)
def test_c5_what_a_reply_becomes(command: Command[Any], reply: Any, result: Any) -> None:
    assert command.result(reply) == result


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: strings.bitcount("k", (0, 1)), TypeError, "options must be a OffsetOptions, not tuple"),
        (lambda: strings.bitop("AND", "d", ["a"]), TypeError, "operation must be a BitwiseOperation"),
        (lambda: strings.bitfield("k", ["GET"]), TypeError, "a subcommand must be a BitFieldSubCommands"),
        (
            lambda: strings.bitfield_read_only("k", [BitFieldSet(U4, BitOffset(0), 1)]),
            TypeError,
            "a subcommand must be a BitFieldGet, not BitFieldSet",
        ),
        (lambda: BitFieldGet("u4", BitOffset(0)), TypeError, "encoding must be a BitEncoding, not str"),
        (lambda: BitFieldGet(U4, 0), TypeError, "offset must be a BitFieldOffset, not int"),
        (lambda: BitFieldOverflow("WRAP"), TypeError, "overflow_control must be a BitOverflowControl"),
        (lambda: geo.geoadd("g", {"m": (1, 2)}), TypeError, "the position of 'm' must be a GeospatialData"),
        (lambda: geo.geoadd("g", ["m"]), TypeError, "members_geospatialdata must be a mapping, not list"),
        (lambda: geo.geosearch("g", "m", 5), TypeError, "search_by must be a GeoSearchByRadius or"),
        (
            lambda: geo.geosearch("g", "m", RADIUS, count=5),
            TypeError,
            "count must be a GeoSearchCount, not int",
        ),
        (lambda: geo.geodist("g", "a", "b", "m"), TypeError, "unit must be a GeoUnit, not str"),
        (lambda: streams.xadd("s", [("f",)]), ValueError, r"values\[0\] must be a field and a value, not 1"),
        (lambda: streams.xadd("s", ["fv"]), TypeError, r"values\[0\] must be a list, not str"),
        (lambda: streams.xadd("s", [], {"id": 1}), TypeError, "options must be a StreamAddOptions, not dict"),
        (
            lambda: streams.xadd("s", [], StreamAddOptions(trim=5)),
            TypeError,
            "trim must be a StreamTrimOptions",
        ),
        (lambda: TrimByMaxLen(True, 5, 6), ValueError, "limit goes with exact=False only"),
        (lambda: streams.xtrim("s", 5), TypeError, "options must be a StreamTrimOptions, not int"),
        (lambda: streams.xrange("s", "-", MaxId()), TypeError, "start must be a StreamRangeBound, not str"),
        (lambda: streams.xrevrange("s", "+", MinId()), TypeError, "end must be a StreamRangeBound, not str"),
        (lambda: streams.xread(["s"]), TypeError, "keys_and_ids must be a mapping, not list"),
        (
            lambda: streams.xreadgroup({"s": ">"}, "g", "c", StreamReadOptions()),
            TypeError,
            "options must be a StreamReadGroupOptions, not StreamReadOptions",
        ),
        (lambda: streams.xack("s", "g", "1-0"), TypeError, "ids must be a list, not str"),
    ],
)
def test_what_is_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
