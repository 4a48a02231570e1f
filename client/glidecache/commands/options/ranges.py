"""Positions, order, bounds and ranges: options of lists, sorted sets, geo commands, and commands that sort."""

from __future__ import annotations

from enum import Enum

from glidecache.commands.encoding import encode, keyword, need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from glidecache.commands.encoding import Argument


class Limit:
    """A part of a result: `count` elements from the zero-based `offset` on; a negative count means all of them."""

    __slots__ = ("count", "offset")

    def __init__(self, offset: int, count: int) -> None:
        self.offset = offset
        self.count = count

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command."""
        return [b"LIMIT", b"%d" % self.offset, b"%d" % self.count]


class OrderBy(Enum):
    """The order of results: ascending or descending."""

    ASC = "ASC"
    DESC = "DESC"


class ListDirection(Enum):
    """An end of a list."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"


class InsertPosition(Enum):
    """The side of the pivot (`LINSERT`)."""

    BEFORE = "BEFORE"
    AFTER = "AFTER"


class InfBound(Enum):
    """A missing bound on one side, for scores as well as for lexicographical ranges."""

    POS_INF = "+"
    NEG_INF = "-"

    @property
    def score_arg(self) -> bytes:
        """Return it as a bound of scores."""
        return self.value.encode() + b"inf"

    @property
    def lex_arg(self) -> bytes:
        """Return it as a bound of members."""
        return self.value.encode()


class ScoreBoundary:
    """A score as a bound. It belongs to the range unless `is_inclusive` is False."""

    __slots__ = ("score_arg",)

    def __init__(self, value: float, is_inclusive: bool = True) -> None:
        self.score_arg = (b"" if is_inclusive else b"(") + encode(value, "value")


class LexBoundary:
    """A member as a bound. It belongs to the range unless `is_inclusive` is False."""

    __slots__ = ("lex_arg",)

    def __init__(self, value: Argument, is_inclusive: bool = True) -> None:
        self.lex_arg = (b"[" if is_inclusive else b"(") + encode(value, "value")


class RangeByIndex:
    """A range of members by their zero-based rank, both ends included; negative ranks count from the end."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end

    def to_args(self) -> list[bytes]:
        """Return the range as arguments of `ZRANGE`."""
        return [encode(self.start, "start"), encode(self.end, "end")]


class RangeByScore:
    """A range of members by their score, from `start` to `end`. With `reverse`, `start` is the higher one."""

    __slots__ = ("end", "limit", "start")

    def __init__(
        self, start: InfBound | ScoreBoundary, end: InfBound | ScoreBoundary, limit: Limit | None = None
    ) -> None:
        self.start = score_bound(start, "start")
        self.end = score_bound(end, "end")
        self.limit = limit

    def to_args(self) -> list[bytes]:
        """Return the range as arguments of `ZRANGE`."""
        return [self.start, self.end, b"BYSCORE"]


class RangeByLex:
    """A range of members of equal score by their bytes, `start` to `end`. With `reverse`, `start` is the higher one."""

    __slots__ = ("end", "limit", "start")

    def __init__(
        self, start: InfBound | LexBoundary, end: InfBound | LexBoundary, limit: Limit | None = None
    ) -> None:
        self.start = lex_bound(start, "start")
        self.end = lex_bound(end, "end")
        self.limit = limit

    def to_args(self) -> list[bytes]:
        """Return the range as arguments of `ZRANGE`."""
        return [self.start, self.end, b"BYLEX"]


class AggregationType(Enum):
    """The combination of one member's scores from several sorted sets into one."""

    SUM = "SUM"
    MIN = "MIN"
    MAX = "MAX"


class ScoreFilter(Enum):
    """The end that is popped: the lowest scores, or the highest."""

    MIN = "MIN"
    MAX = "MAX"


def score_bound(bound: InfBound | ScoreBoundary, name: str) -> bytes:
    """Return the argument for a bound of scores. Raises `TypeError`."""
    need(bound, (InfBound, ScoreBoundary), name)
    return bound.score_arg


def lex_bound(bound: InfBound | LexBoundary, name: str) -> bytes:
    """Return the argument for a bound of members. Raises `TypeError`."""
    need(bound, (InfBound, LexBoundary), name)
    return bound.lex_arg


class GeospatialData:
    """A position in degrees: longitude from -180 to 180, latitude from -85.05112878 to 85.05112878."""

    __slots__ = ("latitude", "longitude")

    def __init__(self, longitude: float, latitude: float) -> None:
        self.longitude = longitude
        self.latitude = latitude

    def to_args(self) -> list[bytes]:
        """Return the position as arguments of a command. Raises `TypeError`."""
        return [encode(self.longitude, "longitude"), encode(self.latitude, "latitude")]


class GeoUnit(Enum):
    """The unit of distances."""

    METERS = "m"
    KILOMETERS = "km"
    MILES = "mi"
    FEET = "ft"


class GeoSearchByRadius:
    """A circle around the position at the centre of the search."""

    __slots__ = ("radius", "unit")

    def __init__(self, radius: float, unit: GeoUnit) -> None:
        self.radius = radius
        self.unit = unit

    def to_args(self) -> list[bytes]:
        """Return the area as arguments of a command. Raises `TypeError`."""
        return [b"BYRADIUS", encode(self.radius, "radius"), keyword(self.unit, GeoUnit, "unit")]


class GeoSearchByBox:
    """A rectangle around the position at the centre of the search."""

    __slots__ = ("height", "unit", "width")

    def __init__(self, width: float, height: float, unit: GeoUnit) -> None:
        self.width = width
        self.height = height
        self.unit = unit

    def to_args(self) -> list[bytes]:
        """Return the area as arguments of a command. Raises `TypeError`."""
        sides = [encode(self.width, "width"), encode(self.height, "height")]
        return [b"BYBOX", *sides, keyword(self.unit, GeoUnit, "unit")]


class GeoSearchCount:
    """A limit of `count` results: the nearest, or with `any_option` the first that are found."""

    __slots__ = ("any_option", "count")

    def __init__(self, count: int, any_option: bool = False) -> None:
        self.count = count
        self.any_option = any_option

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError`."""
        return [b"COUNT", encode(self.count, "count"), *([b"ANY"] if self.any_option else [])]
