"""Keep the `tests` column of docs/contract-coverage.md: for each rule, the files with tests that are named after it.

A test holds the rules that its name begins with: `test_c10_...`, `test_i8_i9_...`. A rule has one row, which says in
short what it promises; the column `not yet` of a rule without tests says so. Run the script after adding such a test;
`--check` only says what is out of date or missing.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "contract-coverage.md"
CACHE_RULES = [*(f"C{number}" for number in range(1, 8)), "C7a", *(f"C{number}" for number in range(8, 30))]
ISOLATION_RULES = [f"I{number}" for number in range(1, 17)]
RULES = [*CACHE_RULES, *ISOLATION_RULES]
NOT_BUILT = "not built yet"
OF_OTHER_ROWS = {"C27": "those of I1 to I16"}
ROW = re.compile(r"^\| \*\*([CI]\d+a?)\*\* \| ([^|]*) \| ([^|]*) \|([^|]*)\|$", re.MULTILINE)
TEST = re.compile(r"def test_((?:[ci]\d+a?_)+)")


def files_by_rule() -> dict[str, list[str]]:
    """Return the test files of each rule, relative to `tests`.

    Those that run through real processes come first.
    """
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for names in TEST.findall(path.read_text()):
            for rule in names.rstrip("_").split("_"):
                found.setdefault(rule[0].upper() + rule[1:], set()).add(str(path.relative_to(ROOT / "tests")))
    return {
        rule: sorted(files, key=lambda name: (not name.startswith("integration/"), name))
        for rule, files in found.items()
    }


def updated(document: str, files: dict[str, list[str]]) -> str:
    """Return the document with its `tests` column brought up to date."""

    def row(match: re.Match[str]) -> str:
        rule, short, _, rest = match.groups()
        names = OF_OTHER_ROWS.get(rule) or ", ".join(f"`{name}`" for name in files.get(rule, []))
        return f"| **{rule}** | {short} | {names} |{rest}|"

    return ROW.sub(row, document)


def faults(document: str, files: dict[str, list[str]]) -> list[str]:
    """Return what is wrong with the rows: missing rows, tests of unknown rules, rules without tests."""
    rows = {match[1]: match for match in ROW.finditer(document)}
    found = []
    if [match[1] for match in ROW.finditer(document)] != RULES:
        odd = sorted(set(rows) ^ set(RULES)) or ["their order"]
        found.append(f"not one row for each rule, in order: look at {', '.join(odd)}")
    found += [
        f"{', '.join(files[rule])}: a test is named after {rule}, which is no rule"
        for rule in sorted(set(files) - set(RULES))
    ]
    for rule, match in rows.items():
        if rule not in OF_OTHER_ROWS and (NOT_BUILT in match[4]) == (rule in files):
            found.append(f"{rule}: it has tests, or it is {NOT_BUILT}, and not both")
    return found


def main() -> int:
    """Update the document, or check it. Return the exit status."""
    document = DOCUMENT.read_text()
    files = files_by_rule()
    new = updated(document, files)
    name = DOCUMENT.relative_to(ROOT)
    wrong = [f"{name}: {fault}" for fault in faults(new, files)]
    if "--check" in sys.argv[1:]:
        if new != document:
            wrong.append(f"{name} is out of date: run scripts/contract_coverage.py")
    else:
        DOCUMENT.write_text(new)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
