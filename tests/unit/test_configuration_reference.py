"""The configuration's reference, its manual page and its example have every key, as the code has it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import typing

import pytest

from glidecached.config.key_reference import KEYS
from glidecached.config.schema import File
from support.process import ROOT

PAGE = ROOT / "docs" / "configuration.md"
MANUAL = ROOT / "man" / "glidecached.toml.5"
EXAMPLE = ROOT / "glidecached.toml.example"
FORMS = {
    # A table of tables says what is in it by its last argument.
    section: (typing.get_args(form) or (form,))[-1]
    for section, form in typing.get_type_hints(File).items()
}
EACH_KEY = [(section, key) for section, keys in KEYS.items() for key in keys]


def section_of(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def test_they_are_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate_configuration.py", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize(("section", "key"), EACH_KEY)
def test_each_key_stands_in_all_three(section: str, key: str) -> None:
    """By what a reader sees, and not by the way in which it was made."""
    page = section_of(PAGE.read_text(), f"\n## `[{section}", "\n## ")
    rows = [line for line in page.splitlines() if line.startswith(f"| `{key}` |")]
    assert len(rows) == 1
    cells = rows[0].strip("| ").split(" | ")
    assert cells[1] == KEYS[section][key].meaning
    assert cells[4].startswith("*changes*" if KEYS[section][key].reloads else "*kept*")
    defaults = FORMS[section].__dataclass_fields__[key].default
    if isinstance(defaults, (bool, int, str)):
        assert cells[3] == f"`{str(defaults).lower() if isinstance(defaults, bool) else defaults}`"
    manual = section_of(MANUAL.read_text(), f'\n.SH "[{section}', "\n.SH ")
    assert len(re.findall(rf"^\.B {key}$", manual, re.MULTILINE)) == 1
    example = section_of(EXAMPLE.read_text(), f"\n[{section}", "\n[")
    assert len(re.findall(rf"^(?:# )?{key} = ", example, re.MULTILINE)) == 1


def test_the_manual_page_is_right_in_form() -> None:
    if shutil.which("groff") is None:
        pytest.skip("needs groff")
    checked = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", MANUAL],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
