"""Building: each module once, only what has changed, and one line for what is missing, before anything is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from support.process import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import check_build
import extensions

if TYPE_CHECKING:
    from pathlib import Path

BUILD_SECONDS = 100.0
SOURCES = ("shared", "client", "daemon", "tools", "setup.py", "pyproject.toml", "README.md")


class Checkout:
    """A copy of this checkout with what is compiled in it, and a compiler that notes what it was asked for."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "checkout"
        self._asked = directory / "asked"
        self._compiler = directory / "cc"
        self.path.mkdir()
        (self.path / "build").mkdir()
        compiled = ("build/cython", *(f"build/{each.name}" for each in (ROOT / "build").glob("lib.*")))
        for name in (*SOURCES, *compiled):
            subprocess.run(["cp", "-a", ROOT / name, self.path / name], check=True)
        self._compiler.write_text(f'#!/bin/sh\necho "$@" >>{self._asked}\nexec cc "$@"\n')
        self._compiler.chmod(0o755)

    def build(self, **environment: str) -> list[str]:
        """Bring the modules up to date, and return the names of the C files that were compiled."""
        self._asked.unlink(missing_ok=True)
        ended = subprocess.run(
            [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
            cwd=self.path,
            env={**os.environ, "CC": str(self._compiler), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_SECONDS,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        lines = self._asked.read_text().splitlines() if self._asked.exists() else []
        compiled = [line.split(" -c ")[1].split()[0] for line in lines if " -c " in line]
        return sorted(name.rpartition("/")[2] for name in compiled)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_what_is_compiled_is_not_compiled_again(checkout: Checkout) -> None:
    assert checkout.build() == []


@pytest.mark.parametrize(
    ("source", "c_file"),
    [
        ("shared/glidecache_shared/pool/check.pyx", "check.c"),
        ("client/glidecache/core/many_keys.pyx", "many_keys.c"),
        ("daemon/glidecached/handlers/commands.py", "commands.c"),
    ],
)
def test_a_changed_source_compiles_its_module_alone(checkout: Checkout, source: str, c_file: str) -> None:
    with (checkout.path / source).open("a") as file:
        file.write("\n_ADDED = 1\n")
    assert checkout.build() == [c_file]
    assert checkout.build() == []


def test_a_changed_declaration_compiles_the_modules_that_use_it(checkout: Checkout) -> None:
    with (checkout.path / "daemon/glidecached/sequence.pxd").open("a") as file:
        file.write("\n")
    compiled = checkout.build()
    assert "sequence.c" in compiled
    assert "client_session.c" in compiled
    assert "reader.c" not in compiled


def test_cflags_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CFLAGS", raising=False)
    assert {"-O2", "-g0"} <= set(extensions.compile_arguments())
    monkeypatch.setenv("CFLAGS", "-O1 -ggdb -march=x86-64-v3")
    assert not [flag for flag in extensions.compile_arguments() if flag.startswith(("-O", "-g"))]


def test_a_compiler_that_fails_is_named_in_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "setup.py", "build_ext"],
        cwd=ROOT,
        env={**os.environ, "CC": "/nowhere/cc"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        "glidecached: no C compiler: /nowhere/cc: No such file or directory (on Debian: apt-get "
    )


def test_make_says_what_is_missing_before_it_makes_anything(tmp_path: Path) -> None:
    for name in ("Makefile", "tools", "pyproject.toml", "setup.py"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name)
        else:
            shutil.copy(source, tmp_path / name)
    for name in ("shared", "client", "daemon"):
        (tmp_path / name).mkdir()
    ended = subprocess.run(
        ["make", "--silent", "run", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env={**os.environ, "CC": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert ended.returncode != 0
    assert ended.stderr.startswith("glidecached: the C compiler (false) does not compile a C11 program")
    assert not (tmp_path / ".venv").exists()


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    assert check_build.problem() == (
        f"{sys.executable} is Python 3.10; 3.11 or later is needed (make PYTHON=/path/to/python3.11)"
    )


def test_missing_headers_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    assert check_build.problem().startswith(
        f"Python's headers are not installed: {tmp_path}/Python.h is missing (on Debian: apt-get install "
    )


def test_a_missing_module_of_the_standard_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert check_build.modules_problem().startswith(f"{sys.executable} has no module ensurepip")
