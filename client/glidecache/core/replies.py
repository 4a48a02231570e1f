"""Replies as GLIDE's clients return them: the kinds of their parts (contract C26), and one reply per node of a cluster.

In the protocol a status reply is text and a bulk string is bytes. GLIDE returns the status `OK` as `str` and every
other status as bytes, at any depth. An error inside a reply is raised; in a batch it takes its place.

The daemon gives a map from address to reply if several nodes were asked and their replies do not become one. Some
commands reply with a map themselves. So the form is known from the command and its route, and never guessed.
"""

from __future__ import annotations

from glidecache.core.transport_errors import error_for_reply
from glidecache.errors import RequestError
from glidecache_shared.command_table import ALL_NODES, ALL_PRIMARIES, BY_NODE, row_of
from glidecache_shared.protocol import ReplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from glidecache.routes import Route

_OK = "OK"
_PLAIN = frozenset((bytes, int, float, bool, type(None)))
_CONTAINERS = (list, dict, set)
_SEVERAL_NODES = (ALL_NODES, ALL_PRIMARIES)


def in_glides_kinds(reply: Any, *, raises: bool = True) -> Any:
    """Convert a reply's statuses and errors to GLIDE's kinds; its containers are changed in place.

    raises: raise the first error that the reply contains. Otherwise each error becomes a `RequestError` in its place.
    Replies may be nested as deep as the protocol lets them, so nothing here recurses.
    """
    if type(reply) in _PLAIN:
        return reply
    errors: list[RequestError] = []
    converted = _converted([reply], errors)[0]
    if errors and raises:
        raise first_error(converted) or errors[0]
    return converted


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


def is_by_node(args: Sequence[bytes], route: Route | None) -> bool:
    """Return whether the reply to this command is a map from address to reply."""
    if route is not None and route.is_single_node:
        return False
    row = row_of(args)
    if row.policy != BY_NODE:
        return False
    return route is not None or row.spread in _SEVERAL_NODES


def decode_each(decode: Callable[[Any], Any], reply: Any) -> Any:
    """Return every node's decoded reply, by address. The reply of a cluster's only node is decoded as it is."""
    if not isinstance(reply, dict):
        return decode(reply)
    return {address: decode(each) for address, each in reply.items()}


def _converted(parts: Collection[Any], errors: list[RequestError]) -> list[Any]:
    """Return the parts in GLIDE's kinds, with all that is within them; append errors to `errors`."""
    waiting: list[Any] = []
    converted = _level(parts, waiting, errors)
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
    return converted


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
