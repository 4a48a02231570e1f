"""Methods that take anything to refuse it by name, and show the parameters that they have."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeVar

    Method = TypeVar("Method", bound=Any)

_REST = 0x04 | 0x08
"""`inspect.CO_VARARGS | inspect.CO_VARKEYWORDS`, without importing `inspect`."""

MISSING: Any = object()
"""The value of an argument that a caller left out though it has no default."""


def plain_signature(method: Method) -> Method:
    """Decorate a method that ends in `*others`, or also in `**keywords`: to `inspect`, mocks and editors it lacks them.

    They follow `__wrapped__`. A decorating function would cost each call a frame; this costs it nothing. Arguments that
    a caller leaves out are `MISSING`, so that the method can name the call to write.
    """
    code = method.__code__
    defaults = method.__defaults__ or ()
    plain = type(method)(
        code.replace(co_flags=code.co_flags & ~_REST), method.__globals__, code.co_name, defaults
    )
    rest = ("others", "keywords")
    plain.__annotations__ = {name: kind for name, kind in method.__annotations__.items() if name not in rest}
    method.__wrapped__ = plain
    method.__defaults__ = (MISSING,) * (code.co_argcount - 1 - len(defaults)) + defaults
    return method


def refusal(
    owner: object, method: str, others: Sequence[object], keywords: Mapping[str, object] | None = None
) -> TypeError:
    """Return the error for a call of `method`, of a client or a batch, with these arguments that it does not take."""
    from glidecache.commands.redis_arguments import mistake

    return mistake(type(owner), method, others, keywords or {})
