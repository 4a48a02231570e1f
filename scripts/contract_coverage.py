"""Keeps the `tests` column of docs/contract-coverage.md: for each rule, the files with tests that are named after it.

A test holds a rule when its name begins with it: `test_c10_...`, or `test_c2_to_c12_...` for the first of them. A rule
of isolation may follow one of the contract: `test_c26_i4_...`. Run it after adding such a test; `--check` only says
whether the column is up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "contract-coverage.md"
ROW = re.compile(r"^\| \*\*([CI]\d+a?)\*\* \| ([^|]*) \| ([^|]*) \|(.*)\|$", re.MULTILINE)


def files_by_rule() -> dict[str, list[str]]:
    """The test files of each rule, relative to `tests`; those that run through real processes come first."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        for rule in re.findall(r"def test_([ci]\d+a?)_", text) + re.findall(r"def test_c\d+a?_(i\d+)_", text):
            found.setdefault(rule[0].upper() + rule[1:], set()).add(str(path.relative_to(ROOT / "tests")))
    return {
        rule: sorted(files, key=lambda name: (not name.startswith("integration/"), name))
        for rule, files in found.items()
    }


def updated(document: str) -> str:
    """The document with its `tests` column as the tree has it."""
    files = files_by_rule()

    def row(match: re.Match[str]) -> str:
        rule, short, _, rest = match.groups()
        names = ", ".join(f"`{name}`" for name in files.get(rule, []))
        return f"| **{rule}** | {short} | {names} |{rest}|"

    return ROW.sub(row, document)


def main() -> int:
    """Update the document, or check it; the exit status."""
    document = DOCUMENT.read_text()
    new = updated(document)
    if "--check" in sys.argv[1:]:
        if new != document:
            print(
                f"{DOCUMENT.relative_to(ROOT)} is out of date: run scripts/contract_coverage.py",
                file=sys.stderr,
            )
        return new != document
    DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
