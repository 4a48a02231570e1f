"""When a write takes place: options of `SET`, `ZADD` and `HSETEX`."""

from __future__ import annotations

from enum import Enum

from glidecache.commands.encoding import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from glidecache.commands.encoding import Argument


class ConditionalChange(Enum):
    """Whether the key, or the member, must be there or must not."""

    ONLY_IF_EXISTS = "XX"
    ONLY_IF_DOES_NOT_EXIST = "NX"

    def to_args(self) -> list[bytes]:
        """The option as arguments of a command."""
        return [self.value.encode()]


class ValueComparison:
    """Base of the conditions on a key's present value; `comparison_value` is what it is compared with."""

    __slots__ = ("comparison_value",)

    _keyword: bytes

    def __init__(self, comparison_value: Argument) -> None:
        self.comparison_value = comparison_value

    def to_args(self) -> list[bytes]:
        """The option as arguments of a command. Raises `TypeError` for a value that is no argument."""
        return [self._keyword, encode(self.comparison_value, "comparison_value")]


class OnlyIfEqual(ValueComparison):
    """Write only if the key's value equals this one (`IFEQ`; Valkey 8.1)."""

    __slots__ = ()

    _keyword = b"IFEQ"


class OnlyIfNotEqual(ValueComparison):
    """Write only if the key's value differs from this one, or there is none (`IFNE`; Valkey 9.2)."""

    __slots__ = ()

    _keyword = b"IFNE"


class HashFieldConditionalChange(Enum):
    """Whether all of the fields must be there, or none of them (`HSETEX`)."""

    ONLY_IF_ALL_EXIST = "FXX"
    ONLY_IF_NONE_EXIST = "FNX"


class UpdateOptions(Enum):
    """Which way a member's score may move (`ZADD`)."""

    LESS_THAN = "LT"
    GREATER_THAN = "GT"
