"""Arguments that neither a library nor its front knows. The libraries say so when they connect, or not at all."""

from __future__ import annotations

import inspect
import re
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from glidecache.fronts.front_options import NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from glidecache.fronts.front_options import FrontOptions
    from glidecache.fronts.libraries import Library

_find_unexpected = re.compile(r"unexpected keyword argument '([^']+)'").search

_parameters: WeakKeyDictionary[type, frozenset[str]] = WeakKeyDictionary()


def unknown_to_connections(connection_class: Any, arguments: Mapping[str, Any]) -> list[str]:
    """Return the arguments that connections of this class do not take.

    A class may take arguments that it does not declare. So where one is not declared, a connection is made, which
    connects only when it is used.
    """
    # Of a factory nothing is known.
    if not isinstance(connection_class, type) or parameters_of(connection_class).issuperset(arguments):
        return []
    found: list[str] = []
    given = dict(arguments)
    while (name := _first_unexpected(connection_class, given)) is not None:
        found.append(name)
        del given[name]
    return found


def refuse_unknown_of_pool(library: Library, connection_class: Any, arguments: Mapping[str, Any]) -> None:
    """Raise the library's `ConfigurationError` if its connections do not take these arguments."""
    refuse(library, unknown_to_connections(connection_class, arguments))


def refuse_unknown_of_cluster(library: Library, names: Iterable[str]) -> None:
    """Raise the library's `ConfigurationError` for names that it would drop, and that no client of it has."""
    known = library.cluster_arguments
    refuse(library, [name for name in names if name not in known])


@contextmanager
def refusing_unknown(library: Library, options: FrontOptions | None) -> Iterator[None]:
    """Turn a call's `TypeError` for an unknown argument into the library's `ConfigurationError`.

    options: the front's; the error is the library's own to raise if they have no cache.
    """
    try:
        yield
    except TypeError as error:
        found = None if options is None or options.cache is None else _find_unexpected(str(error))
        if found is None:
            raise
        refuse(library, [found[1]])


def parameters_of(kind: type) -> frozenset[str]:
    """Return the names of the arguments that a class and its bases declare for their constructors."""
    found = _parameters.get(kind)
    if found is None:
        found = frozenset(name for base in kind.__mro__[:-1] for name in _declared_by(base))
        _parameters[kind] = found
    return found


def _declared_by(kind: type) -> Iterator[str]:
    make = kind.__dict__.get("__init__")
    try:
        parameters = inspect.signature(make).parameters.values() if make is not None else ()
    except (TypeError, ValueError):  # compiled code may declare nothing
        return
    for parameter in parameters:
        if parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
            yield parameter.name


def refuse(library: Library, names: list[str]) -> None:
    """Raise the library's `ConfigurationError` for unknown arguments, if there are any."""
    if not names:
        return
    from difflib import get_close_matches

    meant = sorted({near for name in names for near in get_close_matches(name, NAMES, n=1)})
    hint = f" (did you mean {', '.join(meant)}?)" if meant else ""
    plural = "s" if len(names) > 1 else ""
    message = (
        f"unknown argument{plural} {', '.join(names)}{hint}: besides those of {library.name}-py, a client with a "
        f"shared cache takes {', '.join(NAMES)}"
    )
    raise library.configuration_error(message)


def _first_unexpected(connection_class: type, arguments: Mapping[str, Any]) -> str | None:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library repeats them for each connection
            connection_class(**arguments)
    except Exception as error:  # noqa: BLE001 - a fault of another kind is the library's to raise
        found = _find_unexpected(str(error)) if isinstance(error, TypeError) else None
        return found[1] if found is not None and found[1] in arguments else None
    return None
