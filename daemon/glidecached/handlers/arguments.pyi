"""Reading the body of a request: exact types, and a clear word about what is wrong."""

from typing import Any

from glidecached.upstream.cluster.route import Route

def need_fields(body: list[Any], *names: str) -> None:
    """Refuse a body that has not exactly these fields."""

def split_route(body: list[Any], *names: str) -> tuple[list[Any], Route | None]:
    """A body of these fields that a route may follow: the fields, and the route."""

def need(value: Any, kind: type, name: str) -> None:
    """Refuse a field of another type; a bool is no int."""

def need_command(value: Any) -> None:
    """A command: a list of byte strings, its name first."""

def need_all_bytes(values: list[Any], name: str) -> None:
    """Nothing but byte strings."""

def need_kind(value: Any) -> None:
    """One of the kinds of entry."""
