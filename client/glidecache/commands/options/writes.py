"""Conditions and lifetimes of keys, fields and members: options of `SET`, `ZADD`, `HSETEX`, `EXPIRE` and their kin."""

from __future__ import annotations

from enum import Enum

from glidecache.commands.encoding import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from glidecache.commands.encoding import Argument


class ConditionalChange(Enum):
    """The condition that the key, or the member, must exist or must not."""

    ONLY_IF_EXISTS = "XX"
    ONLY_IF_DOES_NOT_EXIST = "NX"

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command."""
        return [self.value.encode()]


class ValueComparison:
    """The base of the conditions on a key's present value; it is compared with `comparison_value`."""

    __slots__ = ("comparison_value",)

    _keyword: bytes

    def __init__(self, comparison_value: Argument) -> None:
        self.comparison_value = comparison_value

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError` for a value that is no argument."""
        return [self._keyword, encode(self.comparison_value, "comparison_value")]


class OnlyIfEqual(ValueComparison):
    """The condition that the key's value equals this one (`IFEQ`; Valkey 8.1)."""

    __slots__ = ()

    _keyword = b"IFEQ"


class OnlyIfNotEqual(ValueComparison):
    """The condition that the key's value differs from this one, or there is none (`IFNE`; Valkey 9.2)."""

    __slots__ = ()

    _keyword = b"IFNE"


class HashFieldConditionalChange(Enum):
    """The condition that all of the fields must exist, or none of them (`HSETEX`)."""

    ONLY_IF_ALL_EXIST = "FXX"
    ONLY_IF_NONE_EXIST = "FNX"


class UpdateOptions(Enum):
    """The direction in which a member's score may change (`ZADD`)."""

    LESS_THAN = "LT"
    GREATER_THAN = "GT"


class ExpiryType(Enum):
    """The unit of an `ExpirySet`, and whether it is a span or a point in time."""

    SEC = "EX"
    MILLSEC = "PX"
    UNIX_SEC = "EXAT"
    UNIX_MILLSEC = "PXAT"
    KEEP_TTL = "KEEPTTL"


class ExpiryTypeGetEx(Enum):
    """The unit of an `ExpiryGetEx`, and whether it is a span or a point in time."""

    SEC = "EX"
    MILLSEC = "PX"
    UNIX_SEC = "EXAT"
    UNIX_MILLSEC = "PXAT"
    PERSIST = "PERSIST"


# By the command's keyword: how many of the unit make a second, and the type of `datetime` that may replace a number.
_SPANS = {"EX": 1, "PX": 1_000}
_POINTS = {"EXAT": 1, "PXAT": 1_000}


class _Expiry:
    """An expiry's keyword and its number, None for a keyword without one."""

    __slots__ = ("cmd_arg", "expiry_type", "value")

    _kind: type[Enum]

    def __init__(self, expiry_type: Enum, value: int | datetime | timedelta | None) -> None:
        if not isinstance(expiry_type, self._kind):
            message = f"expiry_type must be an {self._kind.__name__}, not {type(expiry_type).__name__}"
            raise TypeError(message)
        keyword: str = expiry_type.value
        self.expiry_type = expiry_type
        self.cmd_arg = keyword
        self.value = _number(expiry_type, keyword, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.cmd_arg, self.value) == (other.cmd_arg, other.value)

    def __hash__(self) -> int:
        return hash((type(self), self.cmd_arg, self.value))

    def get_cmd_args(self) -> list[str]:
        """Return the option as text, as the command carries it."""
        return [self.cmd_arg] if self.value is None else [self.cmd_arg, self.value]

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command."""
        return [part.encode() for part in self.get_cmd_args()]


def _number(expiry_type: Enum, keyword: str, value: int | datetime | timedelta | None) -> str | None:
    # `timedelta` and `datetime` are recognized by their methods: importing their module costs as much as all options.
    if keyword not in _SPANS and keyword not in _POINTS:
        if value is None:
            return None
        expected = "None"
    else:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        span = getattr(value, "total_seconds", None)
        if keyword in _SPANS and span is not None:
            return str(int(span() * _SPANS[keyword]))
        point = getattr(value, "timestamp", None)
        if keyword in _POINTS and point is not None:
            return str(int(point() * _POINTS[keyword]))
        expected = "an int or a timedelta" if keyword in _SPANS else "an int or a datetime"
    message = f"the value of {expiry_type} must be {expected}, not {type(value).__name__}"
    raise ValueError(message)


class ExpirySet(_Expiry):
    """The expiry of a key or field that is written: `SEC` and `MILLSEC` take an int or a `timedelta`.

    `UNIX_SEC` and `UNIX_MILLSEC` take an int or a `datetime`, `KEEP_TTL` takes None. Raises `ValueError` otherwise.
    """

    __slots__ = ()

    _kind = ExpiryType

    def __init__(self, expiry_type: ExpiryType, value: int | datetime | timedelta | None) -> None:
        super().__init__(expiry_type, value)


class ExpiryGetEx(_Expiry):
    """The new expiry of a key or field that is read; `PERSIST` takes None, the others as `ExpirySet`."""

    __slots__ = ()

    _kind = ExpiryTypeGetEx

    def __init__(self, expiry_type: ExpiryTypeGetEx, value: int | datetime | timedelta | None) -> None:
        super().__init__(expiry_type, value)


class ExpireOptions(Enum):
    """The condition under which `EXPIRE` and its kin set the new expiry."""

    HasNoExpiry = "NX"
    HasExistingExpiry = "XX"
    NewExpiryGreaterThanCurrent = "GT"
    NewExpiryLessThanCurrent = "LT"
