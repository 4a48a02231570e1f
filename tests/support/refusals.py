"""Errors of constructors: a daemon that is too slow to refuse a client in time is no error, so it is asked again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal_of(make: Callable[[], Any], error_class: type[Exception], text: str) -> Exception:
    """The error of this class that `make` raises; its text has the regular expression `text`."""
    found: list[Exception] = []

    def refused() -> bool:
        try:
            make()
        except error_class as error:
            found.append(error)
        return bool(found)

    wait_until(refused, f"{error_class.__name__}: {text}")
    assert re.search(text, str(found[0])), found[0]
    return found[0].with_traceback(None)  # its frames hold clients
