"""The forms of stored values: pickled, or as JSON. Whole numbers are digits in both, so that the server can count."""

from __future__ import annotations

import json
import pickle
from pickle import loads as unpickled

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Serializer(Protocol):
        """A serializer of values. A `dumps` may return an int, as Django's own serializer does."""

        def dumps(self, value: Any) -> Any:
            """Return the stored form."""

        def loads(self, data: bytes) -> Any:
            """Return the value again."""


_PICKLE_MARK = b"\x80"
"""Pickles of protocol 2 and later begin with it; digits do not."""


class PickleSerializer:
    """Any object that `pickle` can write."""

    def dumps(self, value: Any) -> bytes:
        """Return the stored form. Raises the errors of `pickle`."""
        if type(value) is int:
            return b"%d" % value
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def loads(self, data: bytes) -> Any:
        """Return the value again, a new object each time."""
        # A user who can write to the server can run code here, as with Django's own backends: docs/security.md.
        return unpickled(data) if data[:1] == _PICKLE_MARK else int(data)  # noqa: S301


class JsonSerializer:
    """The values of JSON: numbers, text, booleans, None, lists, and dictionaries with text as keys."""

    def dumps(self, value: Any) -> bytes:
        """Return the stored form. Raises `TypeError` for a value that JSON does not have."""
        return json.dumps(value, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        """Return the value again. Raises `ValueError` for data that is not JSON."""
        return json.loads(data)


def serializer_of(option: object) -> Serializer:
    """Return the serializer of the option `serializer`: a name, a dotted path, a class, or an object."""
    named = {"pickle": PickleSerializer, "json": JsonSerializer}
    found: Any = option
    if isinstance(found, str):
        try:
            found = named.get(found) or import_string(found)
        except ImportError as error:
            message = (
                f"OPTIONS['serializer'] is {option!r}; it must be 'pickle', 'json', "
                f"or the dotted path of a serializer: {error}"
            )
            raise ImproperlyConfigured(message) from error
    if isinstance(found, type):
        found = found()
    if not callable(getattr(found, "dumps", None)) or not callable(getattr(found, "loads", None)):
        message = f"OPTIONS['serializer'] is {option!r}; a serializer has the methods dumps and loads"
        raise ImproperlyConfigured(message)
    return found  # type: ignore[no-any-return]
