"""A short form of a client's values for error messages."""

from __future__ import annotations

import reprlib
from typing import Any

_REPR = reprlib.Repr()
_REPR.maxlevel = 2
_REPR.maxstring = _REPR.maxother = 200


def shown(value: Any, length: int = 40) -> str:
    """Return `repr` of the value, cut to `length` characters.

    The cost is bounded, too: a message may be very long, and nested so deeply that `repr` itself fails.
    """
    return _REPR.repr(value)[:length]
