"""Commands on lists."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_optional_popped, to_status
from glidecache.commands.encoding import encode, encode_command, encode_each, keyword
from glidecache.commands.options.ranges import InsertPosition, ListDirection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from glidecache.commands.encoding import Argument


def lpush(key: Argument, elements: Iterable[Argument]) -> Command[int]:
    """Insert at the left end, one after the other (`LPUSH`). Return the length afterwards."""
    return Command([b"LPUSH", encode(key, "key"), *encode_each(elements, "elements")])


def lpushx(key: Argument, elements: Iterable[Argument]) -> Command[int]:
    """Do as `lpush`, if the list exists (`LPUSHX`). Return the length afterwards."""
    return Command([b"LPUSHX", encode(key, "key"), *encode_each(elements, "elements")])


def rpush(key: Argument, elements: Iterable[Argument]) -> Command[int]:
    """Append at the right end (`RPUSH`). Return the length afterwards."""
    return Command([b"RPUSH", encode(key, "key"), *encode_each(elements, "elements")])


def rpushx(key: Argument, elements: Iterable[Argument]) -> Command[int]:
    """Do as `rpush`, if the list exists (`RPUSHX`). Return the length afterwards."""
    return Command([b"RPUSHX", encode(key, "key"), *encode_each(elements, "elements")])


def lpop(key: Argument) -> Command[bytes | None]:
    """Return the leftmost element, and remove it (`LPOP`); None if there is none."""
    return Command(encode_command(b"LPOP", key))


def lpop_count(key: Argument, count: int) -> Command[list[bytes] | None]:
    """Return up to `count` elements from the left, and remove them (`LPOP`); None if there is no such list."""
    return Command(encode_command(b"LPOP", key, count))


def rpop(key: Argument) -> Command[bytes | None]:
    """Return the rightmost element, and remove it (`RPOP`); None if there is none."""
    return Command(encode_command(b"RPOP", key))


def rpop_count(key: Argument, count: int) -> Command[list[bytes] | None]:
    """Return up to `count` elements from the right, and remove them (`RPOP`); None if there is no such list."""
    return Command(encode_command(b"RPOP", key, count))


def lrange(key: Argument, start: int, end: int) -> Command[list[bytes]]:
    """Return the elements from index `start` to `end`, both included (`LRANGE`)."""
    return Command(encode_command(b"LRANGE", key, start, end))


def llen(key: Argument) -> Command[int]:
    """Return how many elements the list has (`LLEN`)."""
    return Command(encode_command(b"LLEN", key))


def lindex(key: Argument, index: int) -> Command[bytes | None]:
    """Return the element at `index` (`LINDEX`); None if there is none."""
    return Command(encode_command(b"LINDEX", key, index))


def lset(key: Argument, index: int, element: Argument) -> Command[Literal["OK"]]:
    """Replace the element at `index` (`LSET`)."""
    return Command(encode_command(b"LSET", key, index, element), to_status)


def linsert(key: Argument, position: InsertPosition, pivot: Argument, element: Argument) -> Command[int]:
    """Insert beside `pivot` (`LINSERT`). Return the length afterwards, -1: no such pivot, 0: no such list."""
    side = keyword(position, InsertPosition, "position")
    return Command([b"LINSERT", encode(key, "key"), side, encode(pivot, "pivot"), encode(element, "element")])


def lrem(key: Argument, count: int, element: Argument) -> Command[int]:
    """Remove `count` of the elements equal to `element` (`LREM`). Return how many there were.

    A positive count begins at the left, a negative one at the right, 0 removes all.
    """
    return Command(encode_command(b"LREM", key, count, element))


def ltrim(key: Argument, start: int, end: int) -> Command[Literal["OK"]]:
    """Keep only the elements from index `start` to `end`, both included (`LTRIM`)."""
    return Command(encode_command(b"LTRIM", key, start, end), to_status)


def lpos(
    key: Argument,
    element: Argument,
    rank: int | None = None,
    count: int | None = None,
    max_len: int | None = None,
) -> Command[int | list[int] | None]:
    """Return the index of `element` (`LPOS`), None if it is not in the list; with `count` a list of indices."""
    args = encode_command(b"LPOS", key, element)
    if rank is not None:
        args += encode_command(b"RANK", rank)
    if count is not None:
        args += encode_command(b"COUNT", count)
    if max_len is not None:
        args += encode_command(b"MAXLEN", max_len)
    return Command(args)


def lmove(
    source: Argument, destination: Argument, where_from: ListDirection, where_to: ListDirection
) -> Command[bytes | None]:
    """Move an element from one end of a list to an end of another (`LMOVE`). Return the element, or None."""
    return Command([*encode_command(b"LMOVE", source, destination), *_ends(where_from, where_to)])


def lmpop(
    keys: Iterable[Argument], direction: ListDirection, count: int | None = None
) -> Command[dict[bytes, list[bytes]] | None]:
    """Pop from the first list that has elements (`LMPOP`): `{key: [element, …]}`, or None."""
    return Command([b"LMPOP", *_popping(keys, direction, count)], to_optional_popped)


def blpop(keys: Iterable[Argument], timeout: float) -> Command[list[bytes] | None]:
    """Pop from the left of the first list that has elements, waiting up to `timeout` seconds (`BLPOP`).

    Returns `[key, element]`, None when the time is over; 0 waits forever.
    """
    return Command([b"BLPOP", *encode_each(keys, "keys"), encode(timeout, "timeout")])


def brpop(keys: Iterable[Argument], timeout: float) -> Command[list[bytes] | None]:
    """Pop from the right of the first list that has elements, waiting up to `timeout` seconds (`BRPOP`).

    As `blpop`.
    """
    return Command([b"BRPOP", *encode_each(keys, "keys"), encode(timeout, "timeout")])


def blmove(
    source: Argument,
    destination: Argument,
    where_from: ListDirection,
    where_to: ListDirection,
    timeout: float,
) -> Command[bytes | None]:
    """Do as `lmove`, waiting up to `timeout` seconds for an element (`BLMOVE`); 0 waits forever."""
    ends = _ends(where_from, where_to)
    return Command([*encode_command(b"BLMOVE", source, destination), *ends, encode(timeout, "timeout")])


def blmpop(
    keys: Iterable[Argument], direction: ListDirection, timeout: float, count: int | None = None
) -> Command[dict[bytes, list[bytes]] | None]:
    """Do as `lmpop`, waiting up to `timeout` seconds for elements (`BLMPOP`); 0 waits forever."""
    args = [*encode_command(b"BLMPOP", timeout), *_popping(keys, direction, count)]
    return Command(args, to_optional_popped)


def _ends(where_from: ListDirection, where_to: ListDirection) -> list[bytes]:
    return [keyword(where_from, ListDirection, "where_from"), keyword(where_to, ListDirection, "where_to")]


def _popping(keys: Iterable[Argument], direction: ListDirection, count: int | None) -> list[bytes]:
    encoded = encode_each(keys, "keys")
    args = [b"%d" % len(encoded), *encoded, keyword(direction, ListDirection, "direction")]
    return args if count is None else [*args, *encode_command(b"COUNT", count)]
