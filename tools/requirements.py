"""Print the requirements of extras of the project, one a line: pip installs it without installing the project again.

    python tools/requirements.py dev bench
    python tools/requirements.py --group wheels

Extras that name others of the project (`glidecached[daemon]`) are followed. The base is always there.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = tomllib.loads((Path(__file__).resolve().parent.parent / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
OWN = re.compile(rf"{re.escape(PROJECT['name'])}\[(?P<extras>[^]]*)\]$")


def requirements(extras: list[str]) -> dict[str, None]:
    """Return the requirements of the base and the extras, without their repeats."""
    found = dict.fromkeys(PROJECT["dependencies"])
    for extra in extras:
        for requirement in PROJECT["optional-dependencies"][extra]:
            own = OWN.match(requirement)
            found.update(requirements(own["extras"].split(",")) if own else {requirement: None})
    return found


def main(arguments: list[str]) -> None:
    """Print what these extras, or this group of dependencies, require."""
    if arguments[:1] == ["--group"]:
        found, known = PYPROJECT["dependency-groups"].get(arguments[1]), PYPROJECT["dependency-groups"]
    else:
        unknown = set(arguments) - set(PROJECT["optional-dependencies"])
        found, known = None if unknown else requirements(arguments), PROJECT["optional-dependencies"]
    if found is None:
        sys.exit(f"requirements: not in pyproject.toml: {' '.join(arguments)}; it has: {', '.join(known)}")
    print(*found, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
