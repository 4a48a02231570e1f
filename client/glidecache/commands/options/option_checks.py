"""Clear errors for options of a wrong type: the server would only say "syntax error"."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enum import Enum
    from typing import Any


def need(option: Any, kinds: type | tuple[type, ...], name: str) -> None:
    """Raise `TypeError` unless `option`, the argument called `name`, is one of `kinds`."""
    if not isinstance(option, kinds):
        expected = kinds if isinstance(kinds, tuple) else (kinds,)
        classes = " or ".join(kind.__name__ for kind in expected)
        message = f"{name} must be a {classes}, not {type(option).__name__}"
        raise TypeError(message)


def keyword(option: Enum, kind: type[Enum], name: str) -> bytes:
    """Return the keyword of an enumerated option. Raises `TypeError`."""
    need(option, kind, name)
    value: str = option.value
    return value.encode()


def optional_keyword(option: Enum | None, kind: type[Enum], name: str) -> list[bytes]:
    """Return the keyword of an option that may be left out, as arguments. Raises `TypeError`."""
    return [] if option is None else [keyword(option, kind, name)]
