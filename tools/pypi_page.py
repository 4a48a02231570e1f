"""README.md as PyPI shows it: its links lead to the files of this version on the web, and its pictures show.

In the repository the links stay relative, and right for every branch and copy.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^]]*)\]\((?P<target>(?!https?:|#|mailto:)[^)\s]+)\)")


def page() -> str:
    """Return the page for the version in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return absolute((ROOT / "README.md").read_text(), project["urls"]["Source"], f"v{project['version']}")


def absolute(text: str, repository: str, tag: str) -> str:
    """Return Markdown with absolute links: `repository` is its address on GitHub, `tag` the version's."""
    files = f"{repository}/blob/{tag}"
    raw = f"{repository.replace('https://github.com', 'https://raw.githubusercontent.com')}/{tag}"

    def link(found: re.Match[str]) -> str:
        base = raw if found["picture"] else files
        return f"{found['picture']}[{found['text']}]({base}/{found['target']})"

    return _LINK.sub(link, text)
