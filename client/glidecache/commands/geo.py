"""Commands on sorted sets of positions."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_found_places, to_optional_float, to_positions
from glidecache.commands.encoding import encode, encode_command, encode_each, need, optional_keyword
from glidecache.commands.options.ranges import (
    GeoSearchByBox,
    GeoSearchByRadius,
    GeoSearchCount,
    GeospatialData,
    GeoUnit,
    OrderBy,
)
from glidecache.commands.options.writes import ConditionalChange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.encoding import AnyMapping, Argument


def geoadd(
    key: Argument,
    members_geospatialdata: AnyMapping[Argument, GeospatialData],
    existing_options: ConditionalChange | None = None,
    changed: bool = False,
) -> Command[int]:
    """Add members with their positions (`GEOADD`). Return the number of new ones; `changed`: also of moved ones."""
    args = encode_command(b"GEOADD", key)
    args += optional_keyword(existing_options, ConditionalChange, "existing_options")
    if changed:
        args.append(b"CH")
    try:
        items = members_geospatialdata.items()
    except AttributeError:
        message = f"members_geospatialdata must be a mapping, not {type(members_geospatialdata).__name__}"
        raise TypeError(message) from None
    for member, position in items:
        need(position, GeospatialData, f"the position of {member!r}")
        args += [*position.to_args(), encode(member, "a member")]
    return Command(args)


def geodist(
    key: Argument, member1: Argument, member2: Argument, unit: GeoUnit | None = None
) -> Command[float | None]:
    """Return the distance of two members, in metres or another unit (`GEODIST`); None if one is missing."""
    args = encode_command(b"GEODIST", key, member1, member2)
    return Command([*args, *optional_keyword(unit, GeoUnit, "unit")], to_optional_float)


def geohash(key: Argument, members: Iterable[Argument]) -> Command[list[bytes | None]]:
    """Return the positions of members as geohash strings (`GEOHASH`); None for each missing one."""
    return Command([b"GEOHASH", encode(key, "key"), *encode_each(members, "members")])


def geopos(key: Argument, members: Iterable[Argument]) -> Command[list[list[float] | None]]:
    """Return the positions of members as `[longitude, latitude]` (`GEOPOS`); None for each missing one."""
    return Command([b"GEOPOS", encode(key, "key"), *encode_each(members, "members")], to_positions)


def geosearch(
    key: Argument,
    search_from: Argument | GeospatialData,
    search_by: GeoSearchByRadius | GeoSearchByBox,
    order_by: OrderBy | None = None,
    count: GeoSearchCount | None = None,
    with_coord: bool = False,
    with_dist: bool = False,
    with_hash: bool = False,
) -> Command[list[Any]]:
    """Return the members within an area around a member or a position (`GEOSEARCH`).

    With any of the last three each is `[member, [distance, hash, [longitude, latitude]]]`, with the parts asked for.
    """
    args = [b"GEOSEARCH", encode(key, "key"), *_area(search_from, search_by)]
    args += optional_keyword(order_by, OrderBy, "order_by")
    args += _count(count)
    wanted = ((with_coord, b"WITHCOORD"), (with_dist, b"WITHDIST"), (with_hash, b"WITHHASH"))
    extras = [word for wants, word in wanted if wants]
    return Command(args + extras, to_found_places if extras else None)


def geosearchstore(
    destination: Argument,
    source: Argument,
    search_from: Argument | GeospatialData,
    search_by: GeoSearchByRadius | GeoSearchByBox,
    count: GeoSearchCount | None = None,
    store_dist: bool = False,
) -> Command[int]:
    """Store the result of `geosearch` as positions or distances (`GEOSEARCHSTORE`). Return their number."""
    args = [*encode_command(b"GEOSEARCHSTORE", destination, source), *_area(search_from, search_by)]
    return Command([*args, *_count(count), *([b"STOREDIST"] if store_dist else [])])


def _area(
    search_from: Argument | GeospatialData, search_by: GeoSearchByRadius | GeoSearchByBox
) -> list[bytes]:
    need(search_by, (GeoSearchByRadius, GeoSearchByBox), "search_by")
    if isinstance(search_from, GeospatialData):
        return [b"FROMLONLAT", *search_from.to_args(), *search_by.to_args()]
    return [b"FROMMEMBER", encode(search_from, "search_from"), *search_by.to_args()]


def _count(count: GeoSearchCount | None) -> list[bytes]:
    if count is None:
        return []
    need(count, GeoSearchCount, "count")
    return count.to_args()
