"""The documents agree with the tree: links lead somewhere, rules have tests, tests stand in the coverage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.process import ROOT

RULES = [f"C{number}" for number in range(1, 25)] + ["C7a"]
COVERAGE = ROOT / "docs" / "contract-coverage.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def files_by_rule() -> dict[str, set[str]]:
    """For each rule the test files that have a test named after it."""
    found: dict[str, set[str]] = {rule: set() for rule in RULES}
    for path in (ROOT / "tests").rglob("*.py"):
        for rule in re.findall(r"def test_(c\d+a?)_", path.read_text()):
            found["C" + rule[1:]].add(str(path.relative_to(ROOT)))
    return found


def rows() -> dict[str, str]:
    """The coverage document's rows by rule."""
    return {
        match[1]: match[0]
        for match in re.finditer(r"^\| \*\*(C\d+a?)\*\* \|.*$", COVERAGE.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_tests_that_the_coverage_names(rule: str) -> None:
    files = files_by_rule()[rule]
    assert files, f"no test is named after {rule}"
    row = rows()[rule]
    assert [file for file in files if Path(file).name not in row] == []


def test_files_that_the_coverage_names_exist() -> None:
    names = set(re.findall(r"`(?:[\w/]+/)?(test_\w+\.py)`", COVERAGE.read_text()))
    assert names
    assert names - {path.name for path in (ROOT / "tests").rglob("*.py")} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
