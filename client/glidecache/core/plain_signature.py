"""Methods that take anything to refuse it by name, and show the parameters that they have."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Method = TypeVar("Method", bound=Any)

_REST = 0x04 | 0x08
"""`inspect.CO_VARARGS | inspect.CO_VARKEYWORDS`, without importing `inspect`."""


def plain_signature(method: Method) -> Method:
    """Decorate a method that ends in `*others, **keywords`: to `inspect`, and so to mocks and editors, it lacks both.

    They follow `__wrapped__`. A decorating function would cost each call a frame; this costs it nothing.
    """
    code = method.__code__
    plain = type(method)(
        code.replace(co_flags=code.co_flags & ~_REST), method.__globals__, code.co_name, method.__defaults__
    )
    rest = ("others", "keywords")
    plain.__annotations__ = {name: kind for name, kind in method.__annotations__.items() if name not in rest}
    method.__wrapped__ = plain
    return method
