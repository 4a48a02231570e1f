"""The kinds of a reply's parts, as GLIDE has them (contract C26).

In the protocol a status reply is text and a bulk string is bytes. GLIDE returns the status `OK` as `str` and every
other status as bytes, at any depth. An error inside a reply is raised; in a batch it takes its place.
"""

from __future__ import annotations

from glidecache.core.transport_errors import error_for_reply
from glidecache.errors import RequestError
from glidecache_shared.protocol import ReplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

_OK = "OK"
_PLAIN = frozenset((bytes, int, float, bool, type(None)))
_CONTAINERS = (list, dict, set)


def in_glides_kinds(reply: Any, *, raises: bool = True) -> Any:
    """Convert a reply's statuses and errors to GLIDE's kinds; its containers are changed in place.

    raises: raise the first error that the reply contains. Otherwise each error becomes a `RequestError` in its place.
    Replies may be nested as deep as the protocol lets them, so nothing here recurses.
    """
    if type(reply) in _PLAIN:
        return reply
    errors: list[RequestError] = []
    settled = _settled([reply], errors)[0]
    if errors and raises:
        raise first_error(settled) or errors[0]
    return settled


def first_error(result: Any) -> RequestError | None:
    """Return the first error that a result contains, in the order of its parts, or None."""
    waiting = [result]
    while waiting:
        part = waiting.pop()
        if isinstance(part, RequestError):
            return part
        kind = type(part)
        if kind is list and not _PLAIN.issuperset(map(type, part)):
            waiting.extend(reversed(part))
        elif kind is dict:
            waiting.extend(each for key, value in reversed(part.items()) for each in (value, key))
        elif kind is set:
            waiting.extend(part)
    return None


def _settled(parts: Collection[Any], errors: list[RequestError]) -> list[Any]:
    """Return the parts in GLIDE's kinds, with all that is within them; append errors to `errors`."""
    waiting: list[Any] = []
    settled = _level(parts, waiting, errors)
    while waiting:
        container = waiting.pop()
        kind = type(container)
        if kind is dict:
            keys, values = _level(container, waiting, errors), _level(container.values(), waiting, errors)
            container.clear()
            container.update(zip(keys, values, strict=True))
        elif not _PLAIN.issuperset(map(type, container)):
            level = _level(container, waiting, errors)
            if kind is list:
                container[:] = level
            else:
                container.clear()
                container.update(level)
    return settled


def _level(parts: Collection[Any], waiting: list[Any], errors: list[RequestError]) -> list[Any]:
    """Return parts in GLIDE's kinds; keep the containers among them, to be processed later."""
    level = []
    for part in parts:
        kind = type(part)
        if kind in _PLAIN:
            level.append(part)
        elif kind is str:
            level.append(part if part == _OK else part.encode("utf-8", "surrogateescape"))
        elif kind is ReplyError:
            errors.append(error_for_reply(str(part)))
            level.append(errors[-1])
        else:
            if kind in _CONTAINERS:
                waiting.append(part)
            level.append(part)
    return level
