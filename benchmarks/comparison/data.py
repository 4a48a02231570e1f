"""The data that are read: one string, one hash, one set, one large value, and many small strings."""

from __future__ import annotations

import random

STRING_KEY = "bench:string"
STRING = b"x" * 100

MEMBERS = 20
HASH_KEY = "bench:hash"
HASH = {b"field:%02d" % number: b"value of field %02d..." % number for number in range(MEMBERS)}
SET_KEY = "bench:set"
SET = {b"a member numbered %02d" % number for number in range(MEMBERS)}

LARGE_KEY = "bench:large"
LARGE_BYTES = 1 << 20
LARGE = random.Random(1).randbytes(LARGE_BYTES)

KEY_BYTES = 16


def large_key(number: int) -> bytes:
    """Return the key of one of many large values, all of them `LARGE`."""
    return b"bench:large:%04d" % number


def many_key(number: int) -> bytes:
    """Return the key of the entry with this number, among many.

    It is always a new object, as keys are that come from outside.
    """
    return b"%016d" % number


def many_value(number: int) -> bytes:
    """Return the 100 bytes that belong to the key of that number."""
    return b"%0100d" % number
