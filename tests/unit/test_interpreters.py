"""What the project says about interpreters: one word in its metadata, its documents and its compiled modules."""

from __future__ import annotations

import re
import tomllib

from support.process import ROOT

METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGE = (ROOT / "docs" / "interpreters.md").read_text()


def test_each_version_of_the_metadata_has_its_row() -> None:
    claimed = [
        version
        for classifier in METADATA["classifiers"]
        for version in re.findall(r":: Python :: (3\.\d+)$", classifier)
    ]
    assert re.findall(r"^\| (3\.\d+)\.\d+ \|", PAGE, re.MULTILINE) == claimed
    assert METADATA["requires-python"] == f">={claimed[0]}"


def test_nothing_claims_to_do_without_the_gil() -> None:
    """An interpreter switches the GIL on for modules that do not claim it; these need it (docs/interpreters.md)."""
    sources = [source for root in ("shared", "daemon") for source in (ROOT / root).rglob("*.pyx")]
    assert sources
    assert [source.name for source in sources if "freethreading_compatible" in source.read_text()] == []
    assert "freethreading_compatible" not in (ROOT / "setup.py").read_text()
    assert "Free Threading" not in "".join(METADATA["classifiers"])
