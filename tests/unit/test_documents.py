"""The documents agree with the tree: links lead somewhere, every rule has tests, the coverage is up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.process import ROOT

if TYPE_CHECKING:
    from pathlib import Path

RULES = (
    [f"C{number}" for number in (*range(1, 25), 26, 28)] + ["C7a"] + [f"I{number}" for number in range(1, 17)]
)
REAL_PROCESSES = ("`integration/", "`isolation/", "`security/")
COVERAGE = ROOT / "docs" / "contract-coverage.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_coverages_column_of_tests_is_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "scripts" / "contract_coverage.py", "--check"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_held_through_real_processes(rule: str) -> None:
    rows = [line for line in COVERAGE.read_text().splitlines() if line.startswith(f"| **{rule}** |")]
    assert len(rows) == 1
    assert any(folder in rows[0] for folder in REAL_PROCESSES)


def test_files_that_the_coverage_names_exist() -> None:
    names = set(re.findall(r"`([\w/]*test_\w+\.py)`", COVERAGE.read_text()))
    assert names
    assert [name for name in sorted(names) if not (ROOT / "tests" / name).exists()] == []


def anchors(document: Path) -> set[str]:
    """What a page's headings are called in links to them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", document.read_text())
    targets = [(document.parent / path if path else document, anchor) for path, anchor in links]
    assert [str(path) for path, _ in targets if not path.exists()] == []
    assert [(path.name, anchor) for path, anchor in targets if anchor and anchor not in anchors(path)] == []
