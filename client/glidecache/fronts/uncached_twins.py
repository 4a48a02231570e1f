"""A client's twin: the same client, whose reads are never cached. For locks, and for pipelines that need a client."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_twin_classes: dict[type, type] = {}


def uncached_twin(client: Any) -> Any:
    """Return an object of a subclass of the client's class, with the same attributes, now and later.

    It holds the client, and never closes anything by its own end.
    """
    kind = type(client)
    if hasattr(kind, "_glidecache_is_twin"):
        return client
    twin_class = _twin_classes.get(kind)
    if twin_class is None:
        twin_class = _twin_classes.setdefault(kind, _twin_class(kind))
    twin: Any = object.__new__(twin_class)
    twin._glidecache_twin_of = client
    twin.__dict__ = client.__dict__
    return twin


def _twin_class(kind: type) -> type:
    def forwarded(name: str) -> property:
        def get(twin: Any) -> Any:
            return getattr(twin._glidecache_twin_of, name)

        def assign(twin: Any, value: Any) -> None:
            setattr(twin._glidecache_twin_of, name, value)

        return property(get, assign)

    def nothing(_: Any) -> None: ...

    def reads(twin: Any) -> Any:
        return twin.__dict__["_glidecache"].uncached

    slots = {
        name
        for base in kind.__mro__
        for name in _as_tuple(base.__dict__.get("__slots__", ()))
        if name not in {"__dict__", "__weakref__"}
    }
    contents: dict[str, Any] = {
        "__slots__": ("_glidecache_twin_of",),
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__del__": nothing,
        "_glidecache_is_twin": True,
        "_glidecache": property(reads),
    }
    contents |= {name: forwarded(name) for name in slots}
    return type(kind.__name__, (kind,), contents)


def _as_tuple(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
