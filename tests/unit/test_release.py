"""The parts of a release: the changelog's part, PyPI's page, the tags of wheels, the workflows."""

from __future__ import annotations

import itertools
import re
import sys
import tomllib

import pytest
import yaml

from support.process import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from typing import TYPE_CHECKING

import pypi_page
import release_notes
from wheels.targets import TARGETS, chosen

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_changelog_has_a_part_for_the_version() -> None:
    text = release_notes.notes((ROOT / "CHANGELOG.md").read_text(), PROJECT["version"])
    assert text is not None
    assert "### Added" in text
    assert "\n## " not in text


def test_a_part_ends_where_the_next_begins() -> None:
    changelog = "# C\n\n## [2.0] - today\n\nnew\n\n## [1.0]\n\nold\n"
    assert release_notes.notes(changelog, "2.0") == "new"
    assert release_notes.notes(changelog, "1.0") == "old"
    assert release_notes.notes(changelog, "3.0") is None


def test_all_links_of_the_page_are_absolute_and_lead_to_files() -> None:
    page = pypi_page.page()
    links = re.findall(r"\]\(([^)\s]+)\)", page)
    relative = re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", (ROOT / "README.md").read_text())
    assert len(relative) > 20
    assert all(re.match(r"https://|#", link) for link in links)
    at = f"/v{PROJECT['version']}/"
    found = [link.partition(at)[2].partition("#")[0] for link in links if at in link]
    assert len(found) == len(relative)
    assert [path for path in found if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("text", "absolute"),
    [
        ("[a](docs/a.md#part)", "[a](https://github.com/o/r/blob/v1/docs/a.md#part)"),
        ("![a](docs/a.svg)", "![a](https://raw.githubusercontent.com/o/r/v1/docs/a.svg)"),
        ("[a](#part) [b](https://b.example/)", "[a](#part) [b](https://b.example/)"),
        ("[two\nlines](docs/a.md)", "[two\nlines](https://github.com/o/r/blob/v1/docs/a.md)"),
    ],
)
def test_links(text: str, absolute: str) -> None:
    assert pypi_page.absolute(text, "https://github.com/o/r", "v1") == absolute


def test_each_target_has_a_tag_and_a_suffix_of_its_own() -> None:
    assert len(TARGETS) == 16
    for field in ("tag", "suffix"):
        assert len({getattr(target, field) for target in TARGETS}) == len(TARGETS)


def test_targets_are_chosen_by_their_parts() -> None:
    assert [str(target) for target in chosen(["cp312-x86_64", "musl"])] == [
        str(target)
        for target in TARGETS
        if str(target).startswith("cp312-x86_64") or target.library.name == "musl"
    ]
    with pytest.raises(ValueError, match=r"no wheel is made for 'cp310'; choose from: cp311-x86_64-gnu, "):
        chosen(["cp310"])


def test_the_classifiers_name_the_pythons_of_the_wheels() -> None:
    prefix = "Programming Language :: Python :: 3."
    named = [f"3.{each.removeprefix(prefix)}" for each in PROJECT["classifiers"] if each.startswith(prefix)]
    assert named == list(dict.fromkeys(target.python for target in TARGETS))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_what_is_there(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"]
    steps = list(itertools.chain.from_iterable(job["steps"] for job in jobs.values()))
    script = "\n".join(step.get("run", "") for step in steps)
    targets = set(
        itertools.chain.from_iterable(
            line.split() for line in re.findall(r"^ *make ([a-z -]+)", script, re.MULTILINE)
        )
    )
    programs = set(re.findall(r"(?<![\w/])(?:\.ci|scripts|tools)/[\w./-]+", script))
    assert targets or programs
    assert [name for name in targets if not re.search(rf"^{name}:", MAKEFILE, re.MULTILINE)] == []
    assert [name for name in programs if not (ROOT / name).exists()] == []
    for job in jobs.values():
        assert set(needed(job)) <= set(jobs)


def needed(job: dict[str, object]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)  # type: ignore[call-overload]
