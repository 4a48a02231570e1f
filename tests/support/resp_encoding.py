"""A plain encoder of the servers' protocol, RESP3: the reference for the compiled reader."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ReplyError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_INTEGER = -(2**63)
_GREATEST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class SetOf:
    """A set, by its members in the order of sending; which of them a Python set takes does not matter here."""

    members: Sequence[Any]


@dataclass(frozen=True)
class MapOf:
    """A map, by its pairs in the order of sending."""

    pairs: Sequence[tuple[Any, Any]]


@dataclass(frozen=True)
class Verbatim:
    """A string with a format."""

    text: bytes


@dataclass(frozen=True)
class Attributed:
    """A value behind an attribute."""

    attribute: MapOf
    value: Any


def encode(value: Any) -> bytes:  # noqa: C901 - a case for each kind
    """Return the bytes that a server sends for a value."""
    match value:
        case None:
            return b"_\r\n"
        case bool():
            return b"#t\r\n" if value else b"#f\r\n"
        case int():
            mark = b":" if _LEAST_INTEGER <= value <= _GREATEST_INTEGER else b"("
            return mark + str(value).encode() + b"\r\n"
        case float():
            return b"," + repr(value).encode() + b"\r\n"
        case str():
            return b"+" + value.encode() + b"\r\n"
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(value), value)
        case ReplyError():
            return b"-" + str(value).encode() + b"\r\n"
        case list():
            return b"*%d\r\n" % len(value) + b"".join(map(encode, value))
        case SetOf():
            return b"~%d\r\n" % len(value.members) + b"".join(map(encode, value.members))
        case MapOf():
            return b"%%%d\r\n" % len(value.pairs) + _pairs(value)
        case Verbatim():
            return b"=%d\r\ntxt:%s\r\n" % (len(value.text) + 4, value.text)
        case Attributed():
            return b"|%d\r\n" % len(value.attribute.pairs) + _pairs(value.attribute) + encode(value.value)
    message = f"not a value of the protocol: {type(value).__name__}"
    raise TypeError(message)


def decoded(value: Any) -> Any:
    """Return what a reader makes of a value that was encoded.

    Equal members, and equal keys, are one as long as all that came before fits into a set or a dict.
    """
    match value:
        case list():
            return [decoded(each) for each in value]
        case int() if not _LEAST_INTEGER <= value <= _GREATEST_INTEGER:
            return str(value).encode()
        case SetOf():
            members = [decoded(member) for member in value.members]
            fitting = list(itertools.takewhile(_fits, members))
            return set(members) if len(fitting) == len(members) else [*set(fitting), *members[len(fitting) :]]
        case MapOf():
            pairs = [[decoded(key), decoded(held)] for key, held in value.pairs]
            together = list(itertools.takewhile(lambda pair: _fits(pair[0]), pairs))
            fitted = dict(map(tuple, together))
            if len(together) == len(pairs):
                return fitted
            return [*map(list, fitted.items()), *pairs[len(together) :]]
        case Verbatim():
            return value.text
        case Attributed():
            return decoded(value.value)
    return value


def same(one: Any, other: Any) -> bool:
    """Return True if two results are the same, in type as in value."""
    if type(one) is not type(other):
        return False
    if isinstance(one, ReplyError):
        return str(one) == str(other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same([list(pair) for pair in one.items()], [list(pair) for pair in other.items()])
    if isinstance(one, set):
        return len(one) == len(other) and sorted(map(_shown, one)) == sorted(map(_shown, other))
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - not a number


def _pairs(value: MapOf) -> bytes:
    return b"".join(encode(key) + encode(held) for key, held in value.pairs)


def _fits(value: Any) -> bool:
    """Return True if the value may be in a set or a key."""
    return not isinstance(value, (list, set, dict))


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {value}"
