"""Arguments of commands as bytes: the one rule for keys, values, fields, numbers and options (contract C5)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet
    from enum import Enum
    from typing import Any, Protocol, TypeVar

    Argument = bytes | str | bytearray | memoryview | int | float

    Item = TypeVar("Item")
    Key_co = TypeVar("Key_co", covariant=True)
    Value_co = TypeVar("Value_co", covariant=True)

    class AnyMapping(Protocol[Key_co, Value_co]):
        """A mapping to read from. `Mapping` itself does not accept a `dict[str, str]` where keys may also be bytes."""

        def keys(self) -> Iterable[Key_co]:
            """Return its keys."""

        def values(self) -> Iterable[Value_co]:
            """Return its values, in the same order."""

        def items(self) -> AbstractSet[tuple[Key_co, Value_co]]:
            """Return its keys with their values."""


_EXPECTED = "bytes, bytearray, memoryview, str, int or float"
_INSTEAD = {
    "bool": ": write 1 or 0",
    "timedelta": ": write its number, int(delta.total_seconds()), times 1000 for milliseconds",
    "datetime": ": write its number, int(moment.timestamp()), times 1000 for milliseconds",
    "dict": ": the server keeps bytes; make some of it, for example json.dumps(value)",
}
"""By the name of a class, what to write instead of its objects: other clients take some of them."""


def encode(value: Argument, what: str) -> bytes:
    """Encode one argument as bytes: text as UTF-8, numbers as Python writes them.

    `what` names the argument in the `TypeError` for `bool`, None and all other types.
    """
    kind = type(value)
    if kind is bytes:
        return value  # type: ignore[return-value]
    if isinstance(value, str):
        return value.encode()
    # A bool is an int to Python. As an argument it is nearly always a mistake: "True" means nothing to a server.
    if isinstance(value, int) and kind is not bool:
        return int.__repr__(value).encode()
    if isinstance(value, float):
        return float.__repr__(value).encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    message = f"{what} must be {_EXPECTED}, not {kind.__name__}{_INSTEAD.get(kind.__name__, '')}"
    raise TypeError(message)


def encode_command(name: bytes, *arguments: Argument) -> list[bytes]:
    """Encode a command: its name, which is sent as it is, and its arguments. Raises `TypeError` naming the position."""
    command = [name]
    for argument in arguments:
        if type(argument) is bytes:
            command.append(argument)
        else:
            command.append(encode(argument, f"argument {len(command)} of {name.decode()}"))
    return command


def encode_each(values: Iterable[Argument], what: str) -> list[bytes]:
    """Encode a list of arguments. Raises `TypeError`, also for a lone string instead of a list."""
    # The usual two first: the name of an argument is made only where an error may need it.
    return [
        value
        if type(value) is bytes
        else value.encode()
        if type(value) is str
        else encode(value, f"{what}[{index}]")
        for index, value in enumerate(each_of(values, what))
    ]


def encode_optional(values: Iterable[Argument] | None, what: str) -> list[bytes]:
    """Return the encoded list of arguments that may be left out. Raises as `encode_each`."""
    return [] if values is None else encode_each(values, what)


def each_of(values: Iterable[Item], what: str) -> Iterator[Item]:
    """Iterate over an argument that must be a list or another iterable. Raises `TypeError` for a lone string."""
    if not isinstance(values, (str, bytes, bytearray, memoryview)):
        try:
            return iter(values)
        except TypeError:
            pass
    is_alone = isinstance(values, (str, bytes, bytearray, memoryview, int, float))
    hint = ": write a list of one, [value]" if is_alone else ""
    message = f"{what} must be a list, not {type(values).__name__}{hint}"
    raise TypeError(message)


def encode_pairs(mapping: AnyMapping[Argument, Argument], what: str) -> list[bytes]:
    """Encode a mapping, flat: key, value, key, value, … Raises `TypeError`."""
    flat: list[bytes] = []
    try:
        items = mapping.items()
    except AttributeError:
        message = f"{what} must be a mapping, not {type(mapping).__name__}"
        raise TypeError(message) from None
    for key, value in items:
        flat.append(encode(key, f"a key of {what}"))
        flat.append(encode(value, f"the value of {key!r} in {what}"))
    return flat


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
