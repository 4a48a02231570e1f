"""Reading the body of a request: exact types, and a clear message for each fault."""

from typing import Any

from glidecached.upstream.cluster.routing import Route

def need_fields(body: list[Any], *names: str) -> None:
    """Refuse a body that does not have exactly these fields."""

def split_route(body: list[Any], *names: str) -> tuple[list[Any], Route | None]:
    """Split a body of these fields, and an optional route, into the fields and the route."""

def need(value: Any, kind: type, name: str) -> None:
    """Refuse a field of another type; a bool is no int."""

def need_command(value: Any) -> None:
    """Refuse a value that is no command: a list of byte strings, its name first."""

def need_all_bytes(values: list[Any], name: str) -> None:
    """Refuse a list with anything but byte strings."""

def need_kind(value: Any) -> None:
    """Refuse a value that is not one of the kinds of entry."""
