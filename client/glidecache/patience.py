"""How long a command lets the server wait before it answers: so much longer its caller waits too."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SECOND_NS = 1_000_000_000
_MS_NS = 1_000_000

FOR_EVER_NS = 365 * 86_400 * _SECOND_NS
"""What the server calls 0."""

# Where the time-out stands, and its unit in ns.
_TIMEOUTS = {
    b"BLPOP": (-1, _SECOND_NS),
    b"BRPOP": (-1, _SECOND_NS),
    b"BRPOPLPUSH": (-1, _SECOND_NS),
    b"BLMOVE": (-1, _SECOND_NS),
    b"BLMPOP": (1, _SECOND_NS),
    b"BZPOPMIN": (-1, _SECOND_NS),
    b"BZPOPMAX": (-1, _SECOND_NS),
    b"BZMPOP": (1, _SECOND_NS),
    b"WAIT": (-1, _MS_NS),
    b"WAITAOF": (-1, _MS_NS),
}
_BY_OPTION = (b"XREAD", b"XREADGROUP")


def patience_ns(args: Sequence[bytes]) -> int:
    """How long the server may let the command wait; 0 for almost all of them, and for those it will refuse."""
    name = args[0].upper()
    place = _TIMEOUTS.get(name)
    if place is not None:
        index, unit_ns = place
        return _as_ns(args[index], unit_ns) if len(args) > 1 else 0
    if name in _BY_OPTION:
        # BLOCK stands before STREAMS; behind it everything is a key or an id.
        for index, argument in enumerate(args[:-1]):
            option = argument.upper()
            if option == b"STREAMS":
                break
            if option == b"BLOCK":
                return _as_ns(args[index + 1], _MS_NS)
    return 0


def _as_ns(text: bytes, unit_ns: int) -> int:
    try:
        number = float(text)
    except ValueError:
        return 0
    if number == 0:
        return FOR_EVER_NS
    return int(min(number * unit_ns, FOR_EVER_NS)) if number > 0 else 0
