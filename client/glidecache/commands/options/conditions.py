"""The conditions of writes: options of `SET`, `ZADD` and `HSETEX`."""

from __future__ import annotations

from enum import Enum

from glidecache.commands.encoding import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
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
