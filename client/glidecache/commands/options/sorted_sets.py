"""Bounds, ranges and aggregation of sorted sets."""

from __future__ import annotations

from enum import Enum

from glidecache.commands.encoding import encode
from glidecache.commands.options.option_checks import need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from glidecache.commands.encoding import Argument
    from glidecache.commands.options.placement import Limit


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
