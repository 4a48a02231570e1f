"""Options of the bitmap commands: ranges, operations and integer types."""

from __future__ import annotations

from enum import Enum

from glidecache.commands.encoding import each_of, encode, keyword, need, optional_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class BitmapIndexType(Enum):
    """The unit of offsets: bytes or bits."""

    BYTE = "BYTE"
    BIT = "BIT"


class OffsetOptions:
    """A part of a string: from `start` to `end`, both included. Negative offsets count from the end of the string.

    Without `end` it reaches to the end (`BITCOUNT`: Valkey 8). Without `index_type` the offsets count bytes.
    """

    __slots__ = ("end", "index_type", "start")

    def __init__(self, start: int, end: int | None = None, index_type: BitmapIndexType | None = None) -> None:
        self.start = start
        self.end = end
        self.index_type = index_type

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError`."""
        args = [encode(self.start, "start")]
        if self.end is not None:
            args.append(encode(self.end, "end"))
        return args + optional_keyword(self.index_type, BitmapIndexType, "index_type")


class BitwiseOperation(Enum):
    """The operation by which `BITOP` combines strings bit by bit; `NOT` takes a single string."""

    AND = "AND"
    OR = "OR"
    XOR = "XOR"
    NOT = "NOT"


class BitEncoding:
    """The base of the integer types of `BITFIELD`."""

    __slots__ = ("_arg",)

    _prefix: str

    def __init__(self, encoding_length: int) -> None:
        self._arg = f"{self._prefix}{encoding_length}"

    def to_arg(self) -> str:
        """Return the type as the command carries it."""
        return self._arg


class SignedEncoding(BitEncoding):
    """A signed integer of so many bits, 64 at most."""

    __slots__ = ()

    _prefix = "i"


class UnsignedEncoding(BitEncoding):
    """An unsigned integer of so many bits, 63 at most."""

    __slots__ = ()

    _prefix = "u"


class BitFieldOffset:
    """The base of the places in a string that `BITFIELD` knows."""

    __slots__ = ("_arg",)

    _prefix: str

    def __init__(self, offset: int) -> None:
        self._arg = f"{self._prefix}{offset}"

    def to_arg(self) -> str:
        """Return the offset as the command carries it."""
        return self._arg


class BitOffset(BitFieldOffset):
    """The place of a bit, from 0 on."""

    __slots__ = ()

    _prefix = ""


class BitOffsetMultiplier(BitFieldOffset):
    """A place counted in integers of the encoding's length, from 0 on."""

    __slots__ = ()

    _prefix = "#"


class BitFieldSubCommands:
    """The base of the operations of `BITFIELD`, each a step of one command."""

    __slots__ = ("_args",)

    _args: tuple[str, ...]

    def to_args(self) -> list[str]:
        """Return the step as the command carries it."""
        return list(self._args)


class BitFieldGet(BitFieldSubCommands):
    """A step that reads an integer."""

    __slots__ = ()

    def __init__(self, encoding: BitEncoding, offset: BitFieldOffset) -> None:
        self._args = ("GET", *_place(encoding, offset))


class BitFieldSet(BitFieldSubCommands):
    """A step that writes an integer; its result is the previous one."""

    __slots__ = ()

    def __init__(self, encoding: BitEncoding, offset: BitFieldOffset, value: int) -> None:
        self._args = ("SET", *_place(encoding, offset), str(value))


class BitFieldIncrBy(BitFieldSubCommands):
    """A step that adds to an integer. Its result: the new one; None if `BitOverflowControl.FAIL` refused it."""

    __slots__ = ()

    def __init__(self, encoding: BitEncoding, offset: BitFieldOffset, increment: int) -> None:
        self._args = ("INCRBY", *_place(encoding, offset), str(increment))


class BitOverflowControl(Enum):
    """The treatment of a number that does not fit: it wraps around, stays at the limit, or is not written."""

    WRAP = "WRAP"
    SAT = "SAT"
    FAIL = "FAIL"


class BitFieldOverflow(BitFieldSubCommands):
    """A step that sets the treatment of numbers that do not fit, for the following steps. It has no result."""

    __slots__ = ()

    def __init__(self, overflow_control: BitOverflowControl) -> None:
        self._args = ("OVERFLOW", keyword(overflow_control, BitOverflowControl, "overflow_control").decode())


def bitfield_steps(
    subcommands: Iterable[BitFieldSubCommands], kind: type[BitFieldSubCommands]
) -> list[bytes]:
    """Return the arguments of all steps, which must be of one kind. Raises `TypeError`."""
    args: list[bytes] = []
    for step in each_of(subcommands, "subcommands"):
        need(step, kind, "a subcommand")
        args += [part.encode() for part in step.to_args()]
    return args


def _place(encoding: BitEncoding, offset: BitFieldOffset) -> tuple[str, str]:
    need(encoding, BitEncoding, "encoding")
    need(offset, BitFieldOffset, "offset")
    return encoding.to_arg(), offset.to_arg()
