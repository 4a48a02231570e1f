"""What extras of the project require, one requirement a line: pip installs it without installing the project again.

    python tools/requirements.py dev bench

Extras that name others of the project (`glidecached[daemon]`) are followed. The base is always there.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).resolve().parent.parent / "pyproject.toml").read_text())["project"]
OWN = re.compile(rf"{re.escape(PROJECT['name'])}\[(?P<extras>[^]]*)\]$")


def requirements(extras: list[str]) -> dict[str, None]:
    """Return the requirements of the base and the extras, without their repeats. Raises KeyError for no such extra."""
    found = dict.fromkeys(PROJECT["dependencies"])
    for extra in extras:
        for requirement in PROJECT["optional-dependencies"][extra]:
            own = OWN.match(requirement)
            found.update(requirements(own["extras"].split(",")) if own else {requirement: None})
    return found


if __name__ == "__main__":
    try:
        print(*requirements(sys.argv[1:]), sep="\n")
    except KeyError as error:
        known = ", ".join(PROJECT["optional-dependencies"])
        sys.exit(f"requirements: pyproject.toml has no extra {error}; it has: {known}")
