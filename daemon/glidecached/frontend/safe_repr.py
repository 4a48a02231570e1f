"""What a client sent, as far as an error message shows it."""

from __future__ import annotations

import reprlib
from typing import Any

_REPR = reprlib.Repr()
_REPR.maxlevel = 2
_REPR.maxstring = _REPR.maxother = 200


def shown(value: Any, length: int = 40) -> str:
    """Like `repr`, but at most `length` characters.

    Nor does it cost more than these: a message may be very long, and nested so deeply that `repr` itself fails.
    """
    return _REPR.repr(value)[:length]
