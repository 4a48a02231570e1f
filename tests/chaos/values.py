"""Values that prove themselves: each tells its key, its version and a digest of both, all over its length.

A value of another key, one of two halves, and one that nobody can have written are all seen by whoever reads it.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

METHODS = {"string": "get", "hash": "hgetall", "set": "smembers"}
"""The cacheable call for each kind."""

_LONGEST_STRING_PARTS = 60
_MOST_MEMBERS = 12

Value = bytes | dict[bytes, bytes] | set[bytes]


class LieError(Exception):
    """A reply that no right server could have given; the text says why."""


class Key(NamedTuple):
    """A key: its place in the `Versions`, its name and its kind."""

    number: int
    name: str
    kind: str


def make_keys(count: int) -> list[Key]:
    """`count` keys, of all three kinds in turn."""
    kinds = list(METHODS)
    return [Key(number, f"chaos:{kinds[number % 3]}:{number}", kinds[number % 3]) for number in range(count)]


def make_value(key: Key, version: int) -> Value:
    """The one value that `key` has in this version. Lengths and sizes change from version to version."""
    part = _part(key, version)
    if key.kind == "string":
        return b" ".join([part] * (1 + version * 7 % _LONGEST_STRING_PARTS))
    members = [b"%s/%d" % (part, number) for number in range(1 + version * 5 % _MOST_MEMBERS)]
    return set(members) if key.kind == "set" else dict.fromkeys(members, part)


def version_of(key: Key, value: object) -> int:
    """Which version of `key` this is. Raises `LieError` unless it is exactly that."""
    if not isinstance(value, {"string": bytes, "hash": dict, "set": set}[key.kind]) or not value:
        message = f"{key.name} reads {value!r}"
        raise LieError(message)
    first = value if isinstance(value, bytes) else next(iter(value))
    try:
        version = int(first.split(b" ", 1)[0].split(b"/")[1])
    except (IndexError, ValueError):
        version = -1
    if version < 0 or value != make_value(key, version):
        message = f"{key.name} reads {value!r}, which is none of its values"
        raise LieError(message)
    return version


def _part(key: Key, version: int) -> bytes:
    text = f"{key.name}/{version}".encode()
    return text + b"/" + hashlib.blake2b(text, digest_size=8).hexdigest().encode()
