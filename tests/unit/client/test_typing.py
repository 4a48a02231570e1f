"""The types of parameters: lists of text, tuples, generators and mappings type-check as callers have them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.process import ROOT

PROGRAM = Path(__file__).with_name("typed_program.py")
WRONG = """
from glidecache.sync import GlideClient

def wrong(client: GlideClient, keys: list[object], number: int) -> None:
    client.delete(keys)
    client.delete(number)
    client.mset(["a", "b"])
    client.zunion([number, None])
"""
WRONG_CALLS = 4
ROOTS = ("client", "shared", "daemon")


def checked_by_mypy(program: Path, directory: Path) -> str:
    configuration = directory / "mypy.ini"
    configuration.write_text(
        f"[mypy]\nstrict = True\nmypy_path = {':'.join(str(ROOT / root) for root in ROOTS)}\n"
        f"cache_dir = {directory / 'cache'}\n"
        "[mypy-valkey.*,msgpack.*,cython.*]\nignore_missing_imports = True\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", configuration, program]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory).stdout


def checked_by_pyright(program: Path, directory: Path) -> str:
    (directory / "pyrightconfig.json").write_text(
        '{"strict": ["."], "reportMissingTypeStubs": false, "extraPaths": ['
        + ", ".join(f'"{ROOT / root}"' for root in ROOTS)
        + "]}"
    )
    copied = directory / program.name
    if copied != program:
        shutil.copy(program, copied)
    command = ["pyright", "-p", directory, "--pythonpath", sys.executable]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory).stdout


CHECKERS = [
    pytest.param(checked_by_mypy, id="mypy"),
    pytest.param(
        checked_by_pyright,
        id="pyright",
        marks=pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not installed"),
    ),
]


@pytest.mark.parametrize("checked", CHECKERS)
def test_lists_of_text_and_other_collections_type_check(checked: object, tmp_path: Path) -> None:
    assert callable(checked)
    report = checked(PROGRAM, tmp_path)
    assert "no issues found" in report or "0 errors" in report, report


@pytest.mark.parametrize("checked", CHECKERS)
def test_what_is_no_list_of_arguments_does_not_type_check(checked: object, tmp_path: Path) -> None:
    assert callable(checked)
    program = tmp_path / "wrong_program.py"
    program.write_text(WRONG)
    report = checked(program, tmp_path)
    assert f"{WRONG_CALLS} error" in report, report
