"""The shape of a client library: what its classes offer, as text that can be kept and compared."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any


def methods(subject: type) -> dict[str, str]:
    """The public methods of a class with their parameters, as in `key, count=None`. What is compiled has none."""
    found = {}
    for name in dir(subject):
        attribute = getattr(subject, name, None)
        if name.startswith("_") or not callable(attribute):
            continue
        try:
            found[name] = parameters(attribute)
        except ValueError:
            found[name] = "?"
    return found


def parameters(function: Any) -> str:
    """A function's parameters: names, order, defaults, but for `self`."""
    return ", ".join(
        _parameter(each) for each in inspect.signature(function).parameters.values() if each.name != "self"
    )


def shape(subject: type) -> dict[str, Any]:
    """An option class: its members with their values if it is an enumeration, else its constructor's parameters.

    A member's value counts where it is plain; GLIDE keeps tables of its own in some.
    """
    if issubclass(subject, Enum):
        return {
            name: member.value if isinstance(member.value, (str, int)) else None
            for name, member in subject.__members__.items()
        }
    if subject.__init__ is object.__init__:
        return {"()": ""}
    return {"()": parameters(subject.__init__)}


def _parameter(parameter: inspect.Parameter) -> str:
    star = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else ""
    if parameter.default is inspect.Parameter.empty:
        return star + parameter.name
    default = parameter.default
    plain = default is None or isinstance(default, (bool, int, float, str))
    # Where a default is an object, that there is one is all that can be compared; so with a dataclass's factory.
    return f"{parameter.name}={default!r}" if plain else f"{parameter.name}=<object>"
