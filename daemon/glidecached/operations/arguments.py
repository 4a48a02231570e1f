"""Reading the body of a request: exact types, and a clear word about what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.kinds import KIND_NAMES
from glidecached.front.front import MalformedError
from glidecached.front.shown import shown
from glidecached.operations.routes import read_route

if TYPE_CHECKING:
    from glidecached.upstream.cluster.route import Route


def need_fields(body: list[Any], *names: str) -> None:
    """Refuse a body that has not exactly these fields."""
    if len(body) != len(names):
        message = f"the body has {len(body)} fields; expected {len(names)}: {', '.join(names) or 'none'}"
        raise MalformedError(message)


def split_route(body: list[Any], *names: str) -> tuple[list[Any], Route | None]:
    """A body of these fields that a route may follow: the fields, and the route."""
    if len(body) != len(names) + 1:
        need_fields(body, *names)
        return body, None
    return body[:-1], read_route(body[-1])


def need(value: Any, kind: type, name: str) -> None:
    """Refuse a field of another type; a bool is no int."""
    if type(value) is not kind:
        message = f"{name} is {type(value).__name__}; expected {kind.__name__}"
        raise MalformedError(message)


def need_command(value: Any) -> None:
    """A command: a list of byte strings, its name first."""
    if type(value) is not list or not value:
        message = "a command is a list of byte strings that begins with its name"
        raise MalformedError(message)
    need_all_bytes(value, "argument")


def need_all_bytes(values: list[Any], name: str) -> None:
    """Nothing but byte strings."""
    for value in values:
        if type(value) is not bytes:
            message = f"{name} is {type(value).__name__}; expected bytes"
            raise MalformedError(message)


def need_kind(value: Any) -> None:
    """One of the kinds of entry."""
    if type(value) is not int or value not in KIND_NAMES:
        message = f"kind {shown(value)} is unknown; expected one of {sorted(KIND_NAMES)}"
        raise MalformedError(message)
