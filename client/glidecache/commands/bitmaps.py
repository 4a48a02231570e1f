"""Plans of the commands on the bits of a string."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.encoding import encode, encode_command, encode_each
from glidecache.commands.options.bitmaps import (
    BitFieldGet,
    BitFieldSubCommands,
    BitwiseOperation,
    OffsetOptions,
    bitfield_steps,
)
from glidecache.commands.options.option_checks import keyword, need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from glidecache.commands.encoding import Argument


def setbit(key: Argument, offset: int, value: int) -> Plan[int]:
    """Set or clear the bit at `offset` (`SETBIT`). Return the bit that was there."""
    return Plan(encode_command(b"SETBIT", key, offset, value))


def getbit(key: Argument, offset: int) -> Plan[int]:
    """Return the bit at `offset` (`GETBIT`); 0 past the end."""
    return Plan(encode_command(b"GETBIT", key, offset))


def bitcount(key: Argument, options: OffsetOptions | None = None) -> Plan[int]:
    """Return how many bits are set, in the whole string or in a part of it (`BITCOUNT`)."""
    return Plan([*encode_command(b"BITCOUNT", key), *_part(options)])


def bitpos(key: Argument, bit: int, options: OffsetOptions | None = None) -> Plan[int]:
    """Return the place of the first bit that is `bit` (`BITPOS`); -1 if there is none."""
    return Plan([*encode_command(b"BITPOS", key, bit), *_part(options)])


def bitop(operation: BitwiseOperation, destination: Argument, keys: Iterable[Argument]) -> Plan[int]:
    """Combine strings bit by bit, into `destination` (`BITOP`). Return its length in bytes."""
    name = keyword(operation, BitwiseOperation, "operation")
    return Plan([b"BITOP", name, encode(destination, "destination"), *encode_each(keys, "keys")])


def bitfield(key: Argument, subcommands: Iterable[BitFieldSubCommands]) -> Plan[list[int | None]]:
    """Read and write integers of any length within a string (`BITFIELD`). Return each step's result."""
    return Plan([*encode_command(b"BITFIELD", key), *bitfield_steps(subcommands, BitFieldSubCommands)])


def bitfield_read_only(key: Argument, subcommands: Iterable[BitFieldGet]) -> Plan[list[int]]:
    """Read integers of any length within a string, from replicas too (`BITFIELD_RO`)."""
    return Plan([*encode_command(b"BITFIELD_RO", key), *bitfield_steps(subcommands, BitFieldGet)])


def _part(options: OffsetOptions | None) -> list[bytes]:
    if options is None:
        return []
    need(options, OffsetOptions, "options")
    return options.to_args()
