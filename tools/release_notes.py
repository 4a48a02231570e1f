"""The changelog's part for this version, as the text of its release.

    python tools/release_notes.py
    python tools/release_notes.py --version

Exits 1 where CHANGELOG.md has no part for the version in pyproject.toml.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def version() -> str:
    """Return the version in pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def notes(changelog: str, wanted: str) -> str | None:
    """Return the text below `## [wanted]`, with or without a date, up to the next version, or None."""
    found = re.search(
        rf"^## \[{re.escape(wanted)}\].*?\n(?P<text>.*?)(?=^## \[|\Z)", changelog, re.DOTALL | re.MULTILINE
    )
    return found["text"].strip() if found else None


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print(version())
    else:
        text = notes((ROOT / "CHANGELOG.md").read_text(), version())
        if not text:
            sys.exit(f"release_notes: CHANGELOG.md has no text below '## [{version()}]'")
        print(text)
