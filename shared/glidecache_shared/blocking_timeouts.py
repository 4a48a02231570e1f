"""Time-outs of blocking commands: how long a server may let `BLPOP`, `XREAD`, `WAIT` and their like wait."""

from __future__ import annotations

from glidecache_shared.command_options import MS_NS, SECOND_NS, SPACES, walk_streams
from glidecache_shared.command_table import any_blocks, row_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FOR_EVER_NS = 365 * 86_400 * SECOND_NS
"""The meaning of 0 as a time-out at the server."""


def blocking_timeout_ns(arguments: Sequence[bytes]) -> int:
    """Return how long the server may let the command wait; 0 for almost all, and for those that it will refuse."""
    row = row_of(arguments)
    if not row.blocks:
        return 0
    if row.variant is not None:
        return block_option_ns(arguments)
    place = row.timeout_place
    if len(arguments) <= max(place, 1):
        return 0
    return as_ns(arguments[place], row.timeout_unit_ns)


def batch_timeout_ns(commands: Sequence[Sequence[bytes]]) -> int:
    """Return how long the server may let the commands of a pipeline wait, one after the other."""
    if not any_blocks(commands):
        return 0
    return min(sum(map(blocking_timeout_ns, commands)), FOR_EVER_NS)


def block_option_ns(arguments: Sequence[bytes]) -> int:
    """Return how long XREAD or XREADGROUP may wait; 0 if it does not wait, or will be refused."""
    place = walk_streams(arguments)[1]
    return as_ns(arguments[place], MS_NS) if 0 < place < len(arguments) else 0


def as_ns(text: bytes, unit_ns: int) -> int:
    """Read a time-out as the server does: whole milliseconds, or seconds as C reads them; 0 if it will refuse it."""
    number: float
    try:
        if unit_ns == MS_NS:
            number = int(text) if text.isdigit() and len(text) < 20 else -1  # noqa: PLR2004
            if str(number).encode() != text:
                return 0
        elif b"_" in text or text[:1] in SPACES or text[-1:] in SPACES:
            return 0
        elif text.lstrip(b"+-")[:2].upper() == b"0X":
            number = float.fromhex(text.decode())
        else:
            number = float(text)
    except (ValueError, OverflowError):
        return 0
    if number == 0:
        return FOR_EVER_NS
    return int(min(number * unit_ns, FOR_EVER_NS)) if number > 0 else 0
