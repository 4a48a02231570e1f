"""Modules that are imported when something of them is first used: workers that only read hits never need them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LazyModule:
    """Stands for a module; what has been used once is an attribute of this object from then on."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        from importlib import import_module

        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value
