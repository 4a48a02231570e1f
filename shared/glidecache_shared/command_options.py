"""Reading the arguments of unusual commands as the servers do: keys that options name, and BLOCK."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Finder = Callable[[Sequence[bytes]], Sequence[bytes]]

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000

SPACES = b" \t\n\v\f\r"
_SIGNS = (b"-", b"+")

_AFTER_SORT_OPTION = {b"LIMIT": 2, b"GET": 1, b"BY": 1}
_FIRST_GEORADIUS_OPTION = 5
_FIRST_MIGRATE_OPTION = 6
_AFTER_MIGRATE_OPTION = {b"AUTH": 1, b"AUTH2": 2}
_AFTER_STREAM_OPTION = {b"BLOCK": 1, b"CLAIM": 1, b"COUNT": 1, b"GROUP": 2, b"NOACK": 0}


def option(argument: bytes) -> bytes:
    """Return an option as the server compares it: in any case, and no further than a zero byte."""
    return argument.partition(b"\0")[0].upper()


def counted(place: int, step: int, *, stores: bool) -> Finder:
    """Return a finder of keys that the argument at `place` counts; `stores`: a destination comes first."""

    def find(arguments: Sequence[bytes]) -> Sequence[bytes]:
        keys = _leading_number(arguments[place]) if len(arguments) > place else 0
        if not 1 <= keys <= (len(arguments) - place + step - 2) // step:
            return ()
        found = arguments[place + 1 : place + 1 + keys * step : step]
        return [arguments[1], *found] if stores else found

    return find


def _leading_number(text: bytes) -> int:
    """Read a number as the servers do when they look for keys: text behind it is ignored, and no number is 0."""
    text = text.lstrip(SPACES)
    sign = -1 if text[:1] == b"-" else 1
    digits = text[1:] if text[:1] in _SIGNS else text
    end = 0
    # No server accepts as many keys as 10 digits can count.
    while end < len(digits) and end < 10 and 48 <= digits[end] < 58:  # noqa: PLR2004
        end += 1
    return sign * int(digits[:end] or b"0")


def keys_of_streams(arguments: Sequence[bytes]) -> Sequence[bytes]:
    """Return the keys behind STREAMS: its first half; the other half are ids."""
    place = walk_streams(arguments)[0]
    count = len(arguments) - place - 1
    if place == 0 or count % 2:
        return ()
    return arguments[place + 1 : place + 1 + count // 2]


def keys_of_sort(arguments: Sequence[bytes]) -> Sequence[bytes]:
    """Return the source and, if the result is stored, the destination that was named last."""
    found = list(arguments[1:2])
    place = 2
    while place < len(arguments):
        word = option(arguments[place])
        if word == b"STORE" and place + 1 < len(arguments):
            found[1:] = [arguments[place + 1]]
        place += 1 + _AFTER_SORT_OPTION.get(word, 0)
    return found


def keys_of_georadius(arguments: Sequence[bytes]) -> Sequence[bytes]:
    """Return the source and the destination, as for SORT."""
    found = list(arguments[1:2])
    place = _FIRST_GEORADIUS_OPTION
    while place + 1 < len(arguments):
        if option(arguments[place]) in {b"STORE", b"STOREDIST"}:
            place += 1
            found[1:] = [arguments[place]]
        place += 1
    return found


def keys_of_migrate(arguments: Sequence[bytes]) -> Sequence[bytes]:
    """Return one key from the third place or, if that is empty, all behind KEYS."""
    place = _FIRST_MIGRATE_OPTION
    while place < len(arguments):
        word = option(arguments[place])
        if word == b"KEYS" and place + 1 < len(arguments):
            return () if arguments[3] else arguments[place + 1 :]
        place += 1 + _AFTER_MIGRATE_OPTION.get(word, 0)
    return arguments[3:4]


def walk_streams(arguments: Sequence[bytes]) -> tuple[int, int, bool]:
    """Return the places of STREAMS and of BLOCK's (last) value, each 0 for none; and whether all was understood.

    A group, a consumer or a count may have an option's name; behind STREAMS everything is a key or an id.
    """
    place, block = 1, 0
    while place < len(arguments):
        word = option(arguments[place])
        if word == b"STREAMS":
            return place, block, True
        behind = _AFTER_STREAM_OPTION.get(word)
        if behind is None:
            return 0, block, False
        if word == b"BLOCK":
            block = place + 1
        place += 1 + behind
    return 0, block, True


FUNCTIONS: dict[str, Finder] = {
    function.__name__: function
    for function in (keys_of_georadius, keys_of_migrate, keys_of_sort, keys_of_streams)
}
"""Finders of keys by the name that the table gives them."""
