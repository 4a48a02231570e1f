"""The dependency rule: `glidecached -> glidecache_shared <- glidecache`, and nothing else."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from glidecached.extras import EXTRA_OF
from support.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = {
    "glidecached": (ROOT / "daemon" / "glidecached", {"glidecached", "glidecache_shared"}),
    "glidecache": (ROOT / "client" / "glidecache", {"glidecache", "glidecache_shared"}),
    "glidecache_shared": (ROOT / "shared" / "glidecache_shared", {"glidecache_shared"}),
}
CLIENT_MAY_IMPORT = {"django", "msgpack", "opentelemetry", "redis", "valkey"}
"""Third-party packages of the stub: `django`, `redis` and `valkey` for the fronts, `valkey` for the direct fallback
too, `opentelemetry` where it is switched on."""


def imports(source: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, at whatever depth of nesting, with the line."""
    for node in ast.walk(ast.parse(source.read_text(), str(source))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno}: a relative import hides its package"
            yield node.module or "", node.lineno


def cython_imports(source: Path) -> Iterator[tuple[str, int]]:
    """Every `import` and `cimport` line of a Cython file."""
    for number, line in enumerate(source.read_text().splitlines(), 1):
        words = line.split()
        if len(words) > 1 and words[0] in {"import", "cimport", "from"}:
            yield words[1], number


def sources(directory: Path) -> Iterator[tuple[Path, str, int]]:
    for source in sorted(directory.rglob("*.py*")):
        if source.suffix in {".py", ".pyi"}:
            for module, line in imports(source):
                yield source, module, line
        elif source.suffix in {".pyx", ".pxd"}:
            for module, line in cython_imports(source):
                yield source, module, line


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_what_they_may(package: str) -> None:
    directory, allowed = PACKAGES[package]
    found = list(sources(directory))
    assert found, f"no source in {directory}"
    wrong = [
        f"{source.relative_to(ROOT)}:{line}: {module}"
        for source, module, line in found
        if module.partition(".")[0] in PACKAGES.keys() - allowed
    ]
    assert wrong == []


def test_the_stub_needs_nothing_but_msgpack() -> None:
    """Compiled modules import Cython's directives for the compiler alone."""
    import sys

    own = {"glidecache", "glidecache_shared"}
    wrong = [
        f"{source.relative_to(ROOT)}:{line}: {module}"
        for directory in (PACKAGES["glidecache"][0], PACKAGES["glidecache_shared"][0])
        for source, module, line in sources(directory)
        if source.suffix in {".py", ".pyi"}
        and module.partition(".")[0] not in own | CLIENT_MAY_IMPORT | set(sys.stdlib_module_names)
        and not (module.partition(".")[0] == "cython" and source.with_suffix(".pxd").exists())
    ]
    assert wrong == []


def test_only_its_backend_imports_django() -> None:
    client = PACKAGES["glidecache"][0]
    importing = {
        source.relative_to(client).parts[0]
        for source, module, _ in sources(client)
        if module.partition(".")[0] == "django"
    }
    assert importing == {"django"}


@pytest.mark.parametrize("library", ["redis", "valkey"])
def test_only_its_front_and_the_direct_fallback_import_a_library(library: str) -> None:
    client = PACKAGES["glidecache"][0]
    importing = {
        str(source.relative_to(client))
        for source, module, _ in sources(client)
        if module.partition(".")[0] == library
    }
    front = {"fronts/libraries.py", f"{library}/__init__.py", f"{library}/asyncio/__init__.py"}
    others = {"core/fallback.py", "django/__init__.py"}  # the latter to say what is missing
    assert importing <= front | (others if library == "valkey" else set())


def test_the_daemon_imports_what_an_extra_brings() -> None:
    """`glidecached/extras.py` names the extra of each package as pyproject.toml does, and names all packages."""
    import sys

    third_party = {
        module.partition(".")[0]
        for source, module, _ in sources(PACKAGES["glidecached"][0])
        if source.suffix == ".py"
        and not (module.partition(".")[0] == "cython" and source.with_suffix(".pxd").exists())
    } - {*sys.stdlib_module_names, *PACKAGES}
    assert third_party == set(EXTRA_OF)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for module, extra in EXTRA_OF.items():
        required = {re.split(r"[^\w-]", each)[0].replace("-", "_") for each in extras[extra]}
        assert module in required, f"{module} is not brought by {extra}"


def test_source_roots_are_no_packages() -> None:
    for root in ("daemon", "client", "shared"):
        assert not (ROOT / root / "__init__.py").exists()
