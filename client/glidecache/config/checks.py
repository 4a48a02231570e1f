"""Refusals of configuration values, each with the parameter's name and what would be right."""

from __future__ import annotations

from glidecache.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_MAX_MS = 86_400_000


def refuse_unsupported(owner: str, given: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    """Raise for each parameter that was set but has no effect here; None and False count as not set."""
    for name, value in given.items():
        if value is not None and value is not False:
            message = f"{owner}: {name} is not supported: {reasons[name]}"
            raise ConfigurationError(message)


def described(subject: object) -> str:
    """Return a configuration's settings by name, as text. Bytes are shown only by length: they are secret, or long."""
    fields = []
    for name, value in vars(subject).items():
        if value is None or value is False:
            continue
        hidden = isinstance(value, bytes)
        fields.append(f"{name}=<{len(value)} bytes>" if hidden else f"{name}={value!r}")
    return f"{type(subject).__name__}({', '.join(fields)})"


def need(owner: str, name: str, value: object, kind: type | tuple[type, ...]) -> None:
    """Raise unless `value` is None or of one of these types; a bool does not count as an int."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if value is None or (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))):
        return
    expected = " or ".join(each.__name__ for each in kinds)
    message = f"{owner}: {name} must be {expected}, not {type(value).__name__}"
    raise ConfigurationError(message)


def need_ms(owner: str, name: str, value: int | None) -> None:
    """Raise unless `value` is None or a number of milliseconds within a day."""
    need(owner, name, value, int)
    if value is not None and not 0 < value <= _MAX_MS:
        message = f"{owner}: {name} is {value}; it must be 1 to {_MAX_MS} milliseconds"
        raise ConfigurationError(message)


def need_not_negative(owner: str, name: str, value: int | None) -> None:
    """Raise unless `value` is None or a number from 0 on."""
    need(owner, name, value, int)
    if value is not None and value < 0:
        message = f"{owner}: {name} is {value}; it must not be negative"
        raise ConfigurationError(message)
