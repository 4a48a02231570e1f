"""A number with its noun, for logs and screens."""

from __future__ import annotations

import reprlib
from typing import Any


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 cache`, `2 caches`, `1,234 entries`: `nouns` is the plural where that is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


_REPR = reprlib.Repr()
_REPR.maxlevel = 2
_REPR.maxstring = _REPR.maxother = 200


def shown(value: Any, length: int = 40) -> str:
    """Return `repr` of the value, cut to `length` characters.

    The cost is bounded, too: a message may be very long, and nested so deeply that `repr` itself fails.
    """
    return _REPR.repr(value)[:length]
